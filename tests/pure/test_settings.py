"""Settings: what is forgiven, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.stack import environment
from orchestrator.errors import Misconfigured
from orchestrator.settings import Settings, load


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@db/jobs", "postgresql+asyncpg://u:p@db/jobs"),
        ("postgresql://u:p@db/jobs?sslmode=require", "postgresql+asyncpg://u:p@db/jobs?ssl=require"),
        ("sqlite:////srv/jobs.db", "sqlite:////srv/jobs.db"),
    ],
)
def test_the_usual_forms_of_a_database_url_are_understood(given: str, used: str) -> None:
    assert load(database_url=given).database_url == used


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://db")
    monkeypatch.setenv("WAVESPEED_TIER", "diamond")
    monkeypatch.setenv("ORCHESTRATOR_ALLOW_PORTS", "eighty")
    with pytest.raises(Misconfigured) as raised:
        load()
    for name in ("DATABASE_URL", "WAVESPEED_TIER", "ORCHESTRATOR_ALLOW_PORTS"):
        assert name in str(raised.value)


def test_only_the_names_of_the_table_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "API_KEY", "DATA_DIR", "PLAIN_LOGIN"):
        monkeypatch.setenv(name, "another program's")
    assert load() == load(secret="", api_key="", data_dir="data", plain_login=False)


@pytest.mark.parametrize("nothing", ["", "  "])
def test_what_is_set_to_nothing_has_its_default(monkeypatch: pytest.MonkeyPatch, nothing: str) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.setenv(str(field.validation_alias), nothing)
    found = load()
    assert {name: getattr(found, name) for name in Settings.model_fields} == {
        name: field.default for name, field in Settings.model_fields.items()
    }


def test_spaces_around_a_value_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAVESPEED_API_KEY", "key\n")
    monkeypatch.setenv("WAVESPEED_TIER", " gold ")
    monkeypatch.setenv("PUBLIC_URL", "https://jobs.example.com/ ")
    found = load()
    assert found.wavespeed_api_key == "key"
    assert found.wavespeed_tier == "gold"
    assert found.public_url == "https://jobs.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", "redis://:geheim@valkey:port"),
        ("REDIS_URL", "redis://:ge/heim@valkey"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://jobs.example.com?from=here"),
        ("WAVESPEED_BASE_URL", "https://api.example.com:99999"),
        ("WAVESPEED_API_KEY", "geheim\nkey"),
        ("WAVESPEED_API_KEY", "gehéim"),
        ("ORCHESTRATOR_API_KEY", "ge heim"),
        ("ORCHESTRATOR_API_KEY", "geheim-short"),
        ("ORCHESTRATOR_ALLOW_PORTS", "8080-8090"),
        ("ORCHESTRATOR_ALLOW_PORTS", "80,65536"),
        ("WAVESPEED_PER_MINUTE", "10000001"),
        ("WAVESPEED_MAX_IN_FLIGHT", "10000001"),
        ("ORCHESTRATOR_RETENTION_DAYS", "36501"),
    ],
)
def test_what_could_only_fail_later_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=f"^{name}: ") as raised:
        load()
    assert "heim" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["redis://:p@[::1]:6379/0", "rediss://valkey", "unix:///run/valkey.sock?db=1"]
)
def test_every_form_of_a_brokers_url_is_taken(url: str) -> None:
    assert load(redis_url=url).redis_url == url


def test_a_file_that_is_no_utf_8_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("WAVESPEED_TIER=gold", encoding="utf-16")
    with pytest.raises(Misconfigured, match=r"^\.env: "):
        load()


def test_a_number_overrides_the_tiers() -> None:
    limits = load(wavespeed_tier="silver", wavespeed_per_minute=7).limits
    assert (limits.image_per_minute, limits.video_per_minute, limits.max_in_flight) == (7, 7, 100)


@pytest.mark.parametrize("secret", ["x", "x" * 31, f"{'x' * 32}, {'y' * 31}"])
def test_a_short_secret_is_refused_by_name_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SECRET", secret)
    with pytest.raises(Misconfigured, match=r"ORCHESTRATOR_SECRET: must have 32 characters") as raised:
        load()
    assert "xx" not in str(raised.value)


def test_several_secrets_are_taken_apart() -> None:
    assert load(secret=f"{'x' * 32}, {'y' * 40}").secrets == ("x" * 32, "y" * 40)
    assert load(secret="").secrets == ()


def test_the_benchmarks_settings_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment("http://127.0.0.1:1").items():
        monkeypatch.setenv(name, value)
    assert load().wavespeed_base_url == "http://127.0.0.1:1"
