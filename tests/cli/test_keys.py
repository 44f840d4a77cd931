"""Tenants and API keys from the command line: on a database alone, and beside a running server."""

from __future__ import annotations

import http.client
import re
import time
from pathlib import Path

import pytest
import typer

from orchestrator.cli.client import Running
from orchestrator.cli.given import NO_LIMIT, checked_name, checked_weight, parse_lifetime, parse_limit
from orchestrator.cli.keys import Scope, keys_table, state_of
from orchestrator.clock import DAY, HOUR, MINUTE
from orchestrator.ids import is_api_key, key_prefix
from orchestrator.store.keys import ALL_SCOPES, Key, NamedKey
from tests.cli.conftest import Command
from tests.cli.test_views import rendered

pytestmark = pytest.mark.xdist_group("cli")
NOW = 1_767_323_100_000
REVOKED_WITHIN_S = 4.0


@pytest.fixture
def shop(orchestrator: Command) -> Command:
    """The command line on a database of its own, with the tenant `shop`."""
    orchestrator("migrate")
    assert orchestrator("tenants", "add", "shop").returncode == 0
    return orchestrator


def status_of(up: Running, key: str) -> int:
    connection = http.client.HTTPConnection(up.url.removeprefix("http://"))
    try:
        connection.request("GET", "/api/v3/jobs", headers={"authorization": f"Bearer {key}"})
        return connection.getresponse().status
    finally:
        connection.close()


def line_of(told: str, word: str) -> str:
    return next(line for line in told.splitlines() if word in line)


def is_soon(wanted: int, up: Running, key: str) -> bool:
    """Whether the server answers so before a revocation must have been noticed, and a bit."""
    give_up_at = time.monotonic() + REVOKED_WITHIN_S
    while status_of(up, key) != wanted:
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.05)
    return True


def named(*, name: str = "ci", last_used_at: int | None = None, expires_at: int | None = None) -> NamedKey:
    key = Key("id", "tenant", frozenset({"read", "submit"}), expires_at, None, last_used_at)
    return NamedKey(key, "default", name, "orc_abcdefgh", NOW - 3 * DAY)


def test_a_key_made_beside_a_running_server_works_until_it_is_revoked(
    orchestrator: Command, home: Path, up: Running
) -> None:
    told = orchestrator("keys", "create", "ci", "--expires", "90d", cwd=home)
    key = told.stdout.strip()
    assert told.returncode == 0, told.stderr
    assert status_of(up, key) == 200
    listed = line_of(orchestrator("keys", cwd=home).stdout, key_prefix(key))
    assert re.search(r"ci +default +submit read +\d+ s ago +in 90 d +\d+ s ago +valid", listed)

    assert orchestrator("keys", "revoke", "ci", cwd=home).returncode == 0

    assert is_soon(401, up, key)
    assert line_of(orchestrator("keys", cwd=home).stdout, key_prefix(key)).endswith("revoked")


def test_stdout_has_the_key_alone_and_stderr_everything_else(shop: Command) -> None:
    told = shop("keys", "create", "web", "--tenant", "shop", "--scope", "read")

    assert is_api_key(told.stdout.removesuffix("\n"))
    facts = re.findall(r"^(\w+) +(.+?) *$", told.stderr, re.MULTILINE)
    assert facts == [("Name", "web"), ("Tenant", "shop"), ("Scopes", "read"), ("Expires", "never")]
    assert told.stdout.strip() not in told.stderr


def test_no_list_shows_a_key(shop: Command) -> None:
    key = shop("keys", "create", "web", "--tenant", "shop").stdout.strip()

    told = shop("keys", "list", "--tenant", "shop")

    assert key_prefix(key) in told.stdout
    assert key not in told.stdout


def test_keys_are_listed_for_one_tenant_alone(shop: Command) -> None:
    shop("tenants", "add", "studio")
    for tenant in ("shop", "studio"):
        shop("keys", "create", f"of-{tenant}", "--tenant", tenant)

    told = shop("keys", "list", "--tenant", "shop").stdout

    assert "of-shop" in told
    assert "of-studio" not in told


def test_a_name_that_fits_several_keys_revokes_none_and_names_them(shop: Command) -> None:
    shop("tenants", "add", "studio")
    prefixes = [
        key_prefix(shop("keys", "create", "web", "--tenant", tenant).stdout) for tenant in ("shop", "studio")
    ]

    told = shop("keys", "revoke", "web")

    assert told.returncode == 1
    assert told.stderr.splitlines()[1:] == [
        f"  {prefixes[0]} (web, of shop)",
        f"  {prefixes[1]} (web, of studio)",
    ]
    assert "revoked" not in shop("keys").stdout
    assert shop("keys", "revoke", prefixes[0]).stdout == f"{prefixes[0]} (web, of shop) is revoked.\n"


def test_what_is_not_there_is_told(shop: Command) -> None:
    shop("keys", "create", "web", "--tenant", "shop")
    for words, sentence in (
        (("keys", "revoke", "nope"), "No key with this prefix or name"),
        (("keys", "create", "web", "--tenant", "nope"), "--tenant: there is no tenant 'nope'"),
        (("keys", "create", "web", "--tenant", "shop"), "shop has a key 'web' already"),
        (("tenants", "add", "shop"), "There is a tenant 'shop' already"),
        (("tenants", "set", "nope", "--weight", "2"), "There is no tenant 'nope'"),
    ):
        told = shop(*words)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr.startswith(sentence)


def test_what_was_changed_of_a_tenant_is_told_with_its_values(shop: Command) -> None:
    told = shop(
        "tenants", "set", "shop", "--weight", "2.5", "--max-in-flight", "none", "--max-queued", "1000000"
    )

    assert told.stdout == "shop is changed: weight 2.5, max in flight none, max queued 1000000.\n"


def test_a_wrong_choice_is_told_in_plain_words(shop: Command) -> None:
    told = shop("keys", "create", "web", "--scope", "foo")

    assert told.returncode == 2
    assert "Invalid value for '--scope': 'foo' is not one of 'submit'" in told.stderr


def test_tenants_are_listed_with_weight_limits_keys_and_waiting_jobs(shop: Command) -> None:
    shop("tenants", "set", "shop", "--weight", "2.5", "--max-in-flight", "20")
    shop("keys", "create", "web", "--tenant", "shop")

    assert shop("tenants").stdout.splitlines()[1].split() == ["shop", "2.5", "20", "none", "1", "0"]


def test_a_tenants_limits_are_set_lifted_and_given_from_the_start(shop: Command) -> None:
    shop("tenants", "add", "studio", "--max-in-flight", "2", "--max-queued", "500")
    for words in (
        ("studio", "--max-in-flight", "none"),
        ("shop", "--max-queued", "0"),
        ("shop", "--weight", "3"),
    ):
        assert shop("tenants", "set", *words).returncode == 0

    rows = [line.split() for line in shop("tenants").stdout.splitlines()[1:]]

    assert rows == [["shop", "3", "none", "0", "0", "0"], ["studio", "1", "none", "500", "0", "0"]]


def test_a_change_of_nothing_is_refused(shop: Command) -> None:
    told = shop("tenants", "set", "shop")

    assert told.returncode == 2
    assert "--weight, --max-in-flight" in told.stderr


def test_a_wrong_value_is_told_with_its_option(orchestrator: Command) -> None:
    for words, hint in (
        (("tenants", "set", "shop", "--weight", "0"), "'--weight'"),
        (("tenants", "set", "shop", "--max-in-flight", "-1"), "'--max-in-flight'"),
        (("tenants", "add", "shop", "--max-queued", "many"), "'--max-queued'"),
        (("keys", "create", "web", "--scope", "root"), "'--scope'"),
        (("keys", "create", "web", "--expires", "soon"), "'--expires'"),
        (("keys", "create", " "), "'NAME'"),
    ):
        told = orchestrator(*words)
        assert told.returncode == 2
        assert f"Invalid value for {hint}" in told.stderr


def test_all_of_it_works_on_postgresql(orchestrator: Command, postgres_url: str) -> None:
    for words in (
        ("migrate",),
        ("tenants", "add", "shop"),
        ("keys", "create", "web", "--tenant", "shop"),
        ("keys", "revoke", "web"),
    ):
        told = orchestrator(*words, DATABASE_URL=postgres_url)
        assert told.returncode == 0, told.stderr

    assert line_of(orchestrator("keys", DATABASE_URL=postgres_url).stdout, "web").endswith("revoked")


def test_without_a_database_none_is_made(orchestrator: Command, tmp_path: Path) -> None:
    told = orchestrator("keys")

    assert told.returncode == 2
    assert told.stderr.startswith("There is no database yet")
    assert list(tmp_path.iterdir()) == []


def test_an_old_database_is_refused_with_what_to_do(orchestrator: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orchestrator.db").touch()

    told = orchestrator("tenants", "add", "shop")

    assert told.returncode == 2
    assert told.stderr.endswith("run `orchestrator migrate`.\n")


def test_a_database_out_of_reach_is_told_without_its_password(orchestrator: Command) -> None:
    told = orchestrator("keys", DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/x")

    assert told.returncode == 2
    assert told.stderr.startswith("DATABASE_URL: ")
    assert "hidden" not in told.stderr


@pytest.mark.parametrize(
    "url", ["u:hidden@a,b/x", "u:hidden@/x?host=a:1,b:2", "u:hidden@/x?host=a&host=b", "u:hidden@a:1,b:2/x"]
)
def test_several_hosts_are_refused(orchestrator: Command, url: str) -> None:
    told = orchestrator("keys", DATABASE_URL=f"postgresql://{url}")

    assert told.returncode == 2
    assert told.stderr.startswith("DATABASE_URL: ")
    assert "hidden" not in told.stderr


def test_a_wrong_address_for_commands_stops_none_that_asks_no_server(orchestrator: Command) -> None:
    told = orchestrator("migrate", ORCHESTRATOR_URL="localhost:8080")

    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("weight", [0.0, -1.0, 1_000.1, float("nan"), float("inf"), 1e-300])
def test_a_weight_that_upsets_the_turns_is_refused(weight: float) -> None:
    with pytest.raises(typer.BadParameter):
        checked_weight(weight)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "\x1b[31m", "a\u200bb", "\udcff", "n" * 101])
def test_a_name_that_a_screen_cannot_tell_is_refused(name: str) -> None:
    with pytest.raises(typer.BadParameter):
        checked_name(name)


def test_names_and_weights_at_their_limits_are_taken() -> None:
    assert checked_name("Bühne 7") == "Bühne 7"
    assert checked_name("n" * 100)
    assert [checked_weight(weight) for weight in (0.001, 1_000.0)] == [0.001, 1_000.0]


def test_a_limit_is_a_number_or_none() -> None:
    told = {"0": 0, "20": 20, "none": NO_LIMIT}
    assert {text: parse_limit(text) for text in told} == told


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "None", "9999999999", "٩", "20\n"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_limit(text)


def test_lifetimes_are_hours_and_days() -> None:
    told = {"12h": 12 * HOUR, "90d": 90 * DAY, "3650d": 3_650 * DAY}
    assert {text: parse_lifetime(text) for text in told} == told


@pytest.mark.parametrize("text", ["", "0d", "90", "d", "-1d", "1.5h", "90m", "3651d", "999999h", "٩d"])
def test_what_is_no_lifetime_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_lifetime(text)


def test_the_scopes_to_choose_from_are_those_there_are() -> None:
    assert sorted(Scope) == ALL_SCOPES.split()


def test_a_table_of_keys_fits_80_columns_and_loses_nothing() -> None:
    table = keys_table([named(name="q" * 30, last_used_at=NOW - MINUTE, expires_at=NOW + DAY)], now=NOW)

    lines = rendered(table)

    assert all(len(line) <= 80 for line in lines)
    assert "".join(lines).count("q") == 30
    assert "3 d ago" in lines[1]
    assert "1 min ago" in lines[1]


def test_a_narrow_table_of_keys_keeps_their_prefixes_whole() -> None:
    one = named(name="q" * 30, last_used_at=NOW - MINUTE, expires_at=NOW + DAY)

    lines = rendered(keys_table([one], now=NOW), width=60)

    assert all(len(line) <= 60 for line in lines)
    assert lines[1 + (not lines[1].startswith("orc"))].split()[0] == one.prefix
    assert "".join(lines).count("q") == 30


def test_a_name_is_no_markup() -> None:
    assert "[red]x[/red]" in rendered(keys_table([named(name="[red]x[/red]")], now=NOW), width=200)[1]


def test_a_key_is_valid_expired_or_revoked() -> None:
    def key(*, expires_at: int | None = None, revoked_at: int | None = None) -> Key:
        return Key("id", "tenant", frozenset(), expires_at, revoked_at)

    assert state_of(key(expires_at=NOW + 1), NOW) == "valid"
    assert state_of(key(expires_at=NOW), NOW) == "expired"
    assert state_of(key(expires_at=NOW, revoked_at=NOW), NOW) == "revoked"
