"""What every test may ask for: real servers, started at first use, one of each per pytest process.

The head of pytest's report says which servers they are.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from tests.network import loopback_only
from tests.services import postgres, valkey
from tests.services.postgres import PostgresProcess
from tests.services.valkey import ValkeyProcess

# No test asserts time, and a machine may be busy.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_report_header() -> list[str]:
    return [f"PostgreSQL: {postgres.describe()}", f"Valkey: {valkey.describe()}"]


@pytest.fixture(scope="session", autouse=True)
def _programs_hear_ctrl_c() -> None:
    """Shells start what runs in the background deaf to it, and children inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _network_ends_at_loopback() -> Iterator[None]:
    with loopback_only():
        yield


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """The server that all tests of this process share; for one that may be killed there is `own_postgres`."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    server = postgres.start_postgres()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server_url: str) -> Iterator[Callable[[], str]]:
    """Each call makes an empty database and returns its URL; all are dropped at the end."""
    made: list[str] = []

    def new() -> str:
        made.append(postgres.create_database(postgres_server_url))
        return made[-1]

    yield new
    for url in made:
        postgres.drop_database(postgres_server_url, url)


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """An empty database for one test."""
    url = postgres.create_database(postgres_server_url)
    yield url
    postgres.drop_database(postgres_server_url, url)


@pytest.fixture
def own_postgres() -> Iterator[PostgresProcess]:
    """A server for one test, which may kill it."""
    server = postgres.start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def new_valkey_url() -> Iterator[Callable[[], str]]:
    """Each call returns the URL of an empty Valkey database.

    A server of our own has thousands of them. Of one that was given, each pytest process uses a single
    database, emptied at each call.
    """
    if given := os.environ.get("TEST_REDIS_URL"):
        yield lambda: _emptied(given)
        return
    server, numbers = valkey.start_valkey(), itertools.count()
    yield lambda: f"{server.url}?db={next(numbers)}"
    server.stop()


@pytest.fixture
def valkey_url(new_valkey_url: Callable[[], str]) -> str:
    """An empty Valkey database for one test."""
    return new_valkey_url()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyProcess]:
    """A server for one test, which may kill or flush it."""
    server = valkey.start_valkey()
    yield server
    server.stop()


def _emptied(given: str) -> str:
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    url = f"{given.rstrip('/')}/{number}"
    with Redis.from_url(url) as client:
        client.flushdb()
    return url
