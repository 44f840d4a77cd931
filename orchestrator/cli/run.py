"""The commands that start something: up, serve, worker, migrate, sandbox.

Each loads what it runs only when it is called, so that the client commands need not wait a second for
the libraries of a server.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from orchestrator import settings
from orchestrator.cli.look import to_stderr
from orchestrator.errors import Misconfigured
from orchestrator.ids import key_prefix
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.processes import ServerInfo

SANDBOX_PORT = 8099

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0: a free one.")]


class Tier(StrEnum):
    """WaveSpeed's account levels, and one without limits."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    ULTRA = "ultra"
    NONE = "none"


def up(*, host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Start everything in one process: no database, no Redis needed."""
    from orchestrator.processes import run_up

    found = settings.load()
    run_up(found, host=host, port=port, on_ready=lambda info: _greet(found, info))


def serve(*, host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Start the API alone, on PostgreSQL and Redis."""
    from orchestrator.processes import run_serve

    run_serve(
        settings.load(),
        host=host,
        port=port,
        on_ready=lambda info: to_stderr().print(Text(f"The API listens at {info.url}.")),
    )


def worker() -> None:
    """Start a worker alone; run as many as you like."""
    from orchestrator.processes import run_worker

    run_worker(settings.load())


def migrate() -> None:
    """Bring the database to the newest version."""
    from orchestrator.processes import run_migrate

    console = to_stderr()
    run_migrate(settings.load(), on_wait=lambda: console.print("Another migrate is at work; waiting for it."))
    console.print("The database is at the newest version.")


def sandbox(
    *,
    host: Host = "127.0.0.1",
    port: Port = SANDBOX_PORT,
    tier: Annotated[Tier, typer.Option(help="The limits it keeps.")] = Tier.ULTRA,
    duration: Annotated[
        float | None,
        typer.Option(min=0.0, show_default="as the model does", help="Seconds that each task runs."),
    ] = None,
    public_url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            show_default="as each request does",
            help="How outputs and uploads name this sandbox, such as http://localhost:8099.",
        ),
    ] = "",
) -> None:
    """Start a stand-in for WaveSpeed, to try things for free."""
    from orchestrator.sandbox.options import Options
    from orchestrator.sandbox.server import serve

    options = Options(tier=tier.value, duration_s=duration, public_url=public_url.rstrip("/"))
    try:
        serve(host=host, port=port, options=options)
    except OSError as error:
        raise Misconfigured(f"Cannot listen on {host} port {port}: {error.strerror}.") from None


def _greet(found: Settings, info: ServerInfo) -> None:
    """The key is shown whole only once, when it was made."""
    console = to_stderr()
    console.print(Text("\nOrchestrator is up.\n", style="bold green"))
    # Never folded, so that it can be clicked in a narrow window, too.
    console.print(Text.assemble(("  Dashboard ", "dim"), (info.login_url, "bold")), soft_wrap=True)
    console.print(
        Text("            logs you in once, within 15 minutes; then: orchestrator login", style="dim")
    )
    console.print(_facts(found, info))
    if not found.wavespeed_api_key:
        console.print(_how_to_get_a_provider())
    console.print(Text("\nGo on with", style="dim"))
    console.print(f"  {curl_line(info.url, _key_for_shell(found, info))}\n", soft_wrap=True, markup=False)


def _facts(found: Settings, info: ServerInfo) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=10)
    grid.add_column(overflow="fold")
    grid.add_row("  Address", Text(info.url, style="bold"))
    grid.add_row("  API key", _key(found, info))
    grid.add_row("  Data", Text(_where_data_lives(found)))
    grid.add_row("  Provider", Text(f"{found.wavespeed_base_url}, {found.wavespeed_tier} limits"))
    return grid


def _key(found: Settings, info: ServerInfo) -> Text:
    if info.is_new_key:
        return Text.assemble(
            (info.api_key, "bold"), f"\nnew, and kept in {_key_file(found)}; shown this once"
        )
    kept = "ORCHESTRATOR_API_KEY" if found.api_key else str(_key_file(found))
    return Text(f"{key_prefix(info.api_key)}… from {kept}")


def _where_data_lives(found: Settings) -> str:
    if found.is_embedded:
        return f"SQLite in {found.data_dir.absolute()}"
    place = urlsplit(found.resolved_database_url)  # without its password
    return f"{place.scheme.partition('+')[0]}://{place.hostname or ''}{place.path}"


def _how_to_get_a_provider() -> Text:
    return Text.assemble(
        ("\nNo WaveSpeed key is set, so jobs will wait.\n", "yellow"),
        "  Put WAVESPEED_API_KEY=… into .env and start again, or try it for free:\n",
        f"    orchestrator sandbox --port {SANDBOX_PORT} &\n",
        f"    WAVESPEED_BASE_URL=http://127.0.0.1:{SANDBOX_PORT} WAVESPEED_API_KEY=anything \\\n",
        "      orchestrator up",
    )


def _key_for_shell(found: Settings, info: ServerInfo) -> str:
    """What a shell makes the key of, where the key itself is not to be shown."""
    if info.is_new_key:
        return info.api_key
    return "$ORCHESTRATOR_API_KEY" if found.api_key else f"$(cat {_key_file(found)})"


def _key_file(found: Settings) -> Path:
    return found.data_dir / "api_key"


def curl_line(url: str, key: str) -> str:
    """One job by curl."""
    head = f'-H "Authorization: Bearer {key}"'
    return f'curl {url}/api/v3/wavespeed-ai/flux-dev {head} -d \'{{"prompt":"a lighthouse"}}\''
