"""The stacks that end-to-end tests share, and the logs of their processes beside each failure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator

import pytest

from tests.e2e.hooked import Hooked, hooked_split, hooked_stack
from tests.e2e.invariants import check_invariants
from tests.e2e.program import LIVE
from tests.e2e.stack import Stack, split_stack, up_stack
from tests.e2e.subscribing import Subscriber, new_subscriber

SHOWN_OF_A_LOG = 6_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for program in LIVE:
            report.sections.append((f"log of {program.name}", program.said()[-SHOWN_OF_A_LOG:]))
    return report


@pytest.fixture(scope="session")
async def shared_up() -> AsyncIterator[Stack]:
    """One `up` on SQLite for all tests that leave it as they found it."""
    async with up_stack() as stack:
        yield stack
        await check_invariants(stack)


@pytest.fixture
async def stack(shared_up: Stack) -> AsyncIterator[Stack]:
    """The shared `up`, with no fault of an earlier test."""
    yield shared_up
    await shared_up.mend()
    await shared_up.ledger.calm_lanes()


@pytest.fixture
async def own_stack() -> AsyncIterator[Stack]:
    """An `up` for one test, which may break it."""
    async with up_stack() as stack:
        yield stack
        await check_invariants(stack)


@pytest.fixture(scope="session")
async def shared_split(
    new_postgres_database: Callable[[], str], new_valkey_url: Callable[[], str]
) -> AsyncIterator[Stack]:
    """One `serve` and two workers on PostgreSQL for all tests that kill nothing but them."""
    async with split_stack(database_url=new_postgres_database(), redis_url=new_valkey_url()) as stack:
        yield stack
        await check_invariants(stack)


@pytest.fixture
async def split(shared_split: Stack) -> AsyncIterator[Stack]:
    """The shared split stack, with all of its processes running again after the test."""
    yield shared_split
    await shared_split.mend()
    await shared_split.ledger.calm_lanes()
    for program in shared_split.programs:
        if program.running is None:
            await program.start()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Stack:
    """`up` on SQLite, and `serve` with workers of their own on PostgreSQL."""
    found: Stack = request.getfixturevalue({"sqlite": "stack", "postgresql": "split"}[request.param])
    return found


@pytest.fixture(scope="module")
async def hooked() -> AsyncIterator[Hooked]:
    """A stack of the module's own that may deliver to one receiver on loopback."""
    async with hooked_stack() as both:
        yield both


@pytest.fixture(scope="module", params=["up", "split"])
async def both_hooked(
    request: pytest.FixtureRequest,
    new_postgres_database: Callable[[], str],
    new_valkey_url: Callable[[], str],
) -> AsyncIterator[Hooked]:
    """One process on SQLite, and a server with two workers on PostgreSQL."""
    if request.param == "up":
        async with hooked_stack() as both:
            yield both
    else:
        async with hooked_split(database_url=new_postgres_database(), redis_url=new_valkey_url()) as both:
            yield both


@pytest.fixture
async def tenant(both_hooked: Hooked) -> Subscriber:
    """A tenant of the test's own, on each of them."""
    return await new_subscriber(both_hooked)
