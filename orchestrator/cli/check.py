"""`orchestrator check`: looks at all that a healthy installation needs, and tells every fault at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from orchestrator import settings
from orchestrator.cli import disk
from orchestrator.cli.answers import Lanes
from orchestrator.cli.broker_check import look_at_broker
from orchestrator.cli.client import find_server, open_client, read_running
from orchestrator.cli.failures import CommandFailed, KeyRefused, NoServer
from orchestrator.cli.finding import Finding, Verdict
from orchestrator.cli.look import to_stdout
from orchestrator.cli.provider_check import look_at_provider
from orchestrator.cli.use import Key, Url
from orchestrator.errors import Misconfigured
from orchestrator.settings import Settings

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "bold red", Verdict.NOTE: "dim"}
_SLOW_SYNC_MS = 10.0


def check(*, url: Url = "", key: Key = "") -> None:
    """Check settings, database, workers, broker, provider, disk and lanes."""
    found = list(findings(url=url, key=key))
    to_stdout().print(_table(found))
    if any(finding.verdict is Verdict.WRONG for finding in found):
        raise typer.Exit(1)


def findings(*, url: str, key: str) -> Iterator[Finding]:
    """One or more for each subject; nothing but the settings can keep the rest from being looked at."""
    try:
        found = settings.load()
    except Misconfigured as error:
        for line in str(error).splitlines():
            yield Finding.wrong("Settings", line, "set it right in the environment or in .env")
        return
    yield from look_at_settings(found)
    for look in LOOKS:
        yield from look(found)
    yield from look_at_server(found, url=url, key=key)


def look_at_settings(found: Settings) -> Iterator[Finding]:
    """Those that only together make sense."""
    missing = [
        name
        for name, value in (("ORCHESTRATOR_SECRET", found.secret), ("ORCHESTRATOR_API_KEY", found.api_key))
        if not found.is_embedded and not value
    ]
    for name in missing:
        yield Finding.wrong(
            "Settings", f"{name} is empty, and `serve` needs it", "set it: openssl rand -hex 32"
        )
    if not missing:
        yield Finding.ok("Settings", "can be read")
    if found.public_url:
        yield Finding.ok("Public URL", f"{found.public_url} takes the provider's callbacks")
    else:
        yield Finding.warning(
            "Public URL", "not set, so results are found by polling", "set PUBLIC_URL to be told at once"
        )


def look_at_database(found: Settings) -> Iterator[Finding]:
    """Reached, and at the newest version; and who works on it."""
    from orchestrator.store import processes, schema
    from orchestrator.store.board import SILENT_AFTER_MS
    from orchestrator.store.database import database_now, open_database
    from orchestrator.store.trouble import DatabaseTrouble

    if disk.is_missing_file(found.resolved_database_url):
        yield Finding.note("Database", "none yet; `orchestrator up` makes it")
        return

    def living_kinds(connection: Any) -> list[str]:
        since = database_now(connection) - SILENT_AFTER_MS
        return [process.kind for process in processes.running(connection) if process.seen_at > since]

    async def read() -> tuple[bool, list[str]]:
        database = open_database(found.resolved_database_url, pool_size=1)
        try:
            current = await database.read(schema.is_current)
            return current, await database.read(living_kinds) if current else []
        finally:
            await database.close()

    try:
        current, kinds = asyncio.run(read())
    except Misconfigured as error:
        yield Finding.wrong("Database", str(error), "set it right in the environment or in .env")
        return
    except DatabaseTrouble as trouble:
        yield Finding.wrong("Database", f"cannot be reached: {trouble.cause}", "see DATABASE_URL")
        return
    if current:
        yield Finding.ok("Database", "reached, and at the newest version")
        if not found.is_embedded:
            yield look_at_workers(kinds)
    else:
        yield Finding.wrong("Database", "not at the newest version", "run `orchestrator migrate`")


def look_at_workers(kinds: list[str]) -> Finding:
    """On whatever machines: each tells the database that it lives."""
    workers = sum(kind != "serve" for kind in kinds)
    if workers:
        return Finding.ok("Workers", "1 runs" if workers == 1 else f"{workers} run")
    if kinds:
        told = "none runs, so jobs are stored and nothing works on them"
        return Finding.wrong("Workers", told, "start `orchestrator worker`")
    return Finding.note("Workers", "none runs, and no server either")


def look_at_disk(found: Settings) -> Iterator[Finding]:
    """Each group of moves waits for one sync of SQLite's log."""
    if not found.is_sqlite:
        return
    folder = disk.nearest(found.data_dir)
    try:
        milliseconds = disk.sync_ms(folder)
    except OSError as error:
        yield Finding.wrong(
            "Disk", f"{folder} cannot be written: {error.strerror}", "see ORCHESTRATOR_DATA_DIR"
        )
        return
    told = f"a sync takes {milliseconds:.2f} ms in {folder}"
    if milliseconds > _SLOW_SYNC_MS:
        yield Finding.warning("Disk", told, "put ORCHESTRATOR_DATA_DIR on a faster, local disk")
    else:
        yield Finding.ok("Disk", told)


def look_at_server(found: Settings, *, url: str, key: str) -> Iterator[Finding]:
    """The one at `url`, or that `up` runs here, or a `serve` on the usual port; and why its jobs wait."""
    url = url or found.url
    is_meant = bool(url) or read_running(found.data_dir) is not None
    server = find_server(found, url=url, key=key)
    if not is_meant and not server.key:
        yield Finding.note("Server", "none runs here")
        return
    try:
        with open_client(server) as client:
            lanes = client.lanes()
    except NoServer:
        if not is_meant:
            yield Finding.note("Server", "none runs here")
            return
        mend = "start it: `orchestrator serve`" if url else "start it again: `orchestrator up`"
        yield Finding.wrong("Server", f"{server.name} does not answer", mend)
    except KeyRefused as refused:
        yield Finding.wrong("Server", str(refused), "")
    except CommandFailed as failure:
        yield Finding.wrong("Server", str(failure), "see its log")
    else:
        yield Finding.ok("Server", f"{server.name} answers")
        yield from explain_waiting(lanes)


def explain_waiting(lanes: Lanes) -> Iterator[Finding]:
    """Why jobs wait, if they do."""
    for account in lanes.accounts:
        if account.trouble:
            yield Finding.wrong(
                "Account",
                f"{account.id}: {account.trouble}; its jobs wait, and go on by themselves",
                "look at the key and the balance",
            )
    for lane in lanes.lanes:
        if lane.is_paused:
            until = f"until {lane.paused_until}" if lane.paused_until else "until it is resumed"
            yield Finding.warning("Lane", f"{lane.id} pauses {until}: {lane.pause_reason}")
    if not lanes.bell.startswith("up"):
        yield Finding.warning("Bell", lanes.bell)
    if held := lanes.phases.get("held", 0):
        yield Finding.warning(
            "Jobs",
            f"{held} held for somebody to decide",
            "`orchestrator redrive ID` or `orchestrator cancel ID`",
        )
    waiting = sum(lanes.phases.get(phase, 0) for phase in ("ready", "waiting"))
    at_provider = sum(lanes.phases.get(phase, 0) for phase in ("submitting", "in_doubt", "accepted"))
    yield Finding.ok("Jobs", f"{waiting} wait, {at_provider} are at the provider")


LOOKS: list[Callable[[Settings], Iterator[Finding]]] = [
    look_at_database,
    look_at_broker,
    look_at_provider,
    look_at_disk,
]


def _table(found: list[Finding]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in found:
        mend = f" → {finding.mend}" if finding.mend else ""
        grid.add_row(
            Text(finding.verdict.value, style=_STYLES[finding.verdict]),
            finding.subject,
            Text.assemble(finding.told, (mend, "italic")),
        )
    return grid
