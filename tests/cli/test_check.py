"""`check` tells every fault at once, in words, and ends with 1 when there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from orchestrator.cli.answers import Account, Lane, Lanes
from orchestrator.cli.check import explain_waiting
from orchestrator.cli.client import Running
from orchestrator.cli.finding import Verdict
from tests.cli.conftest import Command
from tests.services import postgres

pytestmark = pytest.mark.xdist_group("cli")


def test_all_is_well_beside_a_running_up(
    orchestrator: Command, home: Path, up: Running, sandbox_url: str
) -> None:
    told = orchestrator("check", cwd=home, WAVESPEED_BASE_URL=sandbox_url, WAVESPEED_API_KEY="demo")

    assert told.returncode == 0, told.stdout
    assert "takes the key" in told.stdout
    assert f"{up.url} answers" in told.stdout


def test_a_server_elsewhere_is_looked_at_where_it_is_named(
    orchestrator: Command, tmp_path: Path, up: Running
) -> None:
    asked = orchestrator("check", "--url", up.url, "--key", up.api_key)
    assert f"{up.url} answers" in asked.stdout

    told = {"ORCHESTRATOR_URL": "http://127.0.0.1:1", "ORCHESTRATOR_API_KEY": up.api_key}
    away = orchestrator("check", **told)
    assert away.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in away.stdout


def test_a_new_folder_is_looked_at_and_left_as_it_was(
    orchestrator: Command, tmp_path: Path, sandbox_url: str
) -> None:
    told = orchestrator("check", WAVESPEED_BASE_URL=sandbox_url, WAVESPEED_API_KEY="demo")

    assert told.returncode == 0, told.stdout
    assert "`orchestrator up` makes it" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_provider_is_asked_as_the_server_asks_it(orchestrator: Command, sandbox_url: str) -> None:
    told = orchestrator(
        "check",
        WAVESPEED_BASE_URL=sandbox_url,
        WAVESPEED_API_KEY="demo",
        http_proxy="http://127.0.0.1:1",  # which the server does not obey
    )

    assert told.returncode == 0, told.stdout
    assert "takes the key; the balance is" in told.stdout


def test_a_provider_that_cannot_be_asked_is_told(orchestrator: Command) -> None:
    told = orchestrator("check", WAVESPEED_BASE_URL="http://127.0.0.1:1", WAVESPEED_API_KEY="demo")

    assert told.returncode == 1
    assert "http://127.0.0.1:1: WaveSpeed cannot be asked at the moment" in told.stdout


def test_a_data_folder_that_is_a_file_is_a_fault(
    orchestrator: Command, tmp_path: Path, sandbox_url: str
) -> None:
    (tmp_path / "taken").write_text("by something else")
    told = orchestrator(
        "check", WAVESPEED_BASE_URL=sandbox_url, ORCHESTRATOR_DATA_DIR=str(tmp_path / "taken")
    )
    assert told.returncode == 1
    assert "cannot be written: Not a directory" in " ".join(told.stdout.split())


def test_every_fault_is_told_at_once(orchestrator: Command, sandbox_url: str) -> None:
    told = orchestrator(
        "check",
        DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/x",
        REDIS_URL="redis://127.0.0.1:1",
        WAVESPEED_BASE_URL=sandbox_url,
        WAVESPEED_API_KEY="wrong",
    )

    assert told.returncode == 1
    faults = [line for line in told.stdout.splitlines() if line.startswith("wrong")]
    assert [line.split()[1] for line in faults] == ["Settings", "Settings", "Database", "Broker", "Provider"]
    assert "hidden" not in told.stdout + told.stderr


def test_what_is_no_address_of_a_broker_is_told_without_its_password(orchestrator: Command) -> None:
    told = orchestrator("check", REDIS_URL="foo:hidden@bar")

    assert told.returncode == 1
    assert "REDIS_URL: must be redis://" in told.stdout
    assert "hidden" not in told.stdout


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:hidden@127.0.0.1:port/x", "must be postgresql://user:password@host:port/name"),
        ("postgresql://u:hidden@127.0.0.1:1/x?channel_binding=require", "?channel_binding= is not known"),
        ("postgresql://u:hidden@127.0.0.1:1/x?sslmode=full", "must be one of: disable, allow"),
        ("postgresql://u:hidden@127.0.0.1:1/x?sslmode=verify-full", "root certificate file"),
    ],
)
def test_what_is_wrong_with_the_address_of_a_database_is_said(
    orchestrator: Command, tmp_path: Path, url: str, told: str
) -> None:
    for command in ("check", "migrate"):
        said = orchestrator(command, DATABASE_URL=url, HOME=str(tmp_path), COLUMNS="200")

        assert said.returncode == (1 if command == "check" else 2)
        assert "DATABASE_URL" in said.stdout + said.stderr
        assert told in said.stdout + said.stderr
        assert "hidden" not in said.stdout + said.stderr


def test_a_missing_key_is_that_of_the_shell(orchestrator: Command) -> None:
    assert "no WAVESPEED_API_KEY in this shell" in orchestrator("check").stdout


def test_every_wrong_setting_is_told_at_once(orchestrator: Command) -> None:
    told = orchestrator("check", WAVESPEED_TIER="iron", ORCHESTRATOR_RETENTION_DAYS="0")

    assert told.returncode == 1
    assert "WAVESPEED_TIER" in told.stdout
    assert "ORCHESTRATOR_RETENTION_DAYS" in told.stdout


def test_a_database_that_needs_migrating_says_so_until_it_is(
    orchestrator: Command, new_postgres_database: Callable[[], str], valkey_url: str
) -> None:
    services = {"DATABASE_URL": new_postgres_database(), "REDIS_URL": valkey_url}

    before = orchestrator("check", **services).stdout
    migrated = orchestrator("migrate", **services)
    after = orchestrator("check", **services).stdout

    assert "run `orchestrator migrate`" in before
    assert migrated.returncode == 0
    assert "reached, and at the newest version" in after
    assert [line.split()[0] for line in after.splitlines() if "Broker" in line] == ["ok"]


def test_a_role_without_rights_is_told(
    orchestrator: Command, new_postgres_database: Callable[[], str]
) -> None:
    owned = new_postgres_database()
    postgres.execute(owned, "CREATE ROLE poor LOGIN")
    url = make_url(owned).set(username="poor", password=None).render_as_string()

    migrated = orchestrator("migrate", DATABASE_URL=url)
    assert migrated.returncode == 2
    assert migrated.stderr.startswith("DATABASE_URL: the database cannot be reached")
    assert "permission denied for schema public" in migrated.stderr

    orchestrator("migrate", DATABASE_URL=owned)
    checked = orchestrator("check", DATABASE_URL=url, COLUMNS="200")
    assert "permission denied for table alembic_version" in checked.stdout
    postgres.execute(owned, "DROP ROLE poor")


def test_a_server_that_died_is_told(orchestrator: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "server.json").write_text('{"url":"http://127.0.0.1:1","api_key":"k","pid":1}')

    told = orchestrator("check")

    assert told.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in told.stdout


@pytest.mark.parametrize("command", [("up",), ("serve",), ("worker",), ("migrate",), ("jobs",)])
def test_wrong_settings_end_a_command_with_2_and_a_sentence(
    orchestrator: Command, command: tuple[str, ...]
) -> None:
    told = orchestrator(*command, WAVESPEED_TIER="iron")

    assert told.returncode == 2
    assert told.stderr.startswith("WAVESPEED_TIER: ")
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", ["sandbox", "up"])
def test_a_taken_port_ends_a_server_with_2_and_a_sentence(
    orchestrator: Command, sandbox_url: str, command: str
) -> None:
    told = orchestrator(command, "--port", sandbox_url.rpartition(":")[2])

    assert told.returncode == 2
    assert told.stderr.startswith("Cannot listen on 127.0.0.1")


def test_what_keeps_jobs_waiting_is_explained() -> None:
    lanes = Lanes(
        accounts=[Account("wavespeed", 3, "no credit")],
        lanes=[
            Lane(
                "wavespeed:image",
                10,
                "2026-01-02T03:04:05Z",
                "too many requests",
                callbacks_arrive=True,
                is_paused=True,
            )
        ],
        phases={"held": 2, "ready": 5, "accepted": 3},
        bell="down: jobs are safe, running on the tick",
    )

    found = list(explain_waiting(lanes))

    assert [finding.subject for finding in found] == ["Account", "Lane", "Bell", "Jobs", "Jobs"]
    assert found[0].verdict is Verdict.WRONG
    assert "too many requests" in found[1].told
    assert found[-1].told == "5 wait, 3 are at the provider"
