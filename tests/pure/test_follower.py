"""One reader of the log for all who listen: whom it tells what, when it reads, and when it sends away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager

import pytest

from orchestrator import follower
from orchestrator.errors import Busy, TooMany
from orchestrator.follower import Follower, Listener

PAGE = 100


class Log:
    """A log in memory: events are texts whose first letter is their topic, a cursor counts them."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.reads = 0
        self.is_in_trouble = False

    async def newest(self) -> int:
        return len(self.events)

    async def read(self, cursor: int) -> tuple[list[str], int]:
        self.reads += 1
        if self.is_in_trouble:
            raise Busy
        page = self.events[cursor : cursor + PAGE]
        return page, cursor + len(page)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def following(log: Log) -> Follower[str, int]:
    return Follower(start=0, newest=log.newest, read=log.read, topics=first_letter)


def first_letter(event: str) -> Iterable[str]:
    return [event[0]]


@asynccontextmanager
async def heard_by(following: Follower[str, int], topic: str = "a") -> AsyncIterator[Listener[str]]:
    listener: Listener[str] = Listener()
    await following.listen(topic, listener)
    yield listener
    following.leave(topic, listener)


async def test_each_listener_gets_its_topic_from_where_it_began(
    log: Log, following: Follower[str, int]
) -> None:
    log.events += ["a1", "b1"]
    async with heard_by(following) as a, heard_by(following, "b") as b:
        log.events += ["a2", "b2", "a3"]
        following.wake()
        assert list(await a.next(within_s=5)) == ["a2", "a3"]
        assert list(await b.next(within_s=5)) == ["b2"]
        assert following.cursor == len(log.events)


async def test_what_others_have_committed_is_found_without_being_woken(
    log: Log, following: Follower[str, int]
) -> None:
    async with heard_by(following) as listener:
        log.events.append("a1")
        assert list(await listener.next(within_s=5)) == ["a1"]


async def test_a_commit_here_is_told_long_before_the_next_look(
    log: Log, following: Follower[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LOOK_EVERY_S", 60.0)
    async with heard_by(following) as listener:
        log.events.append("a1")
        following.wake()
        assert list(await listener.next(within_s=5)) == ["a1"]


async def test_nothing_is_read_while_nobody_listens(log: Log, following: Follower[str, int]) -> None:
    async with heard_by(following):
        pass
    following.wake()
    while any(task.get_name() == "follow-events" for task in asyncio.all_tasks()):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    reads = log.reads
    log.events.append("a1")
    following.wake()
    async with heard_by(following) as listener:
        log.events.append("a2")
        assert list(await listener.next(within_s=5)) == ["a2"]
    assert log.reads > reads


async def test_one_who_does_not_keep_up_is_sent_away_and_nothing_is_kept_for_it(
    log: Log, following: Follower[str, int]
) -> None:
    async with heard_by(following) as slow, heard_by(following) as quick:
        told: list[str] = []
        log.events += [f"a{n}" for n in range(follower.MOST_WAITING * 3)]
        following.wake()
        while len(told) < len(log.events):
            told += await quick.next(within_s=5)
        assert told == log.events
        assert slow.is_too_slow
        assert slow.is_closed
        assert list(await slow.next(within_s=5)) == []
        assert not quick.is_closed


async def test_a_database_that_comes_back_is_read_on_from_where_it_went(
    log: Log, following: Follower[str, int]
) -> None:
    async with heard_by(following) as listener:
        log.is_in_trouble = True
        log.events.append("a1")
        following.wake()
        while not log.reads:  # noqa: ASYNC110  only the log knows
            await asyncio.sleep(0.005)
        log.events.append("a2")
        log.is_in_trouble = False
        assert list(await listener.next(within_s=5)) == ["a1", "a2"]


async def test_a_defect_sends_everybody_home_and_the_next_listener_begins_anew(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_broken = True

    def topics(event: str) -> Iterable[str]:
        if is_broken:
            raise KeyError(event)
        return first_letter(event)

    following = Follower(start=0, newest=log.newest, read=log.read, topics=topics)
    failed = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda *_: failed.set())
    async with heard_by(following) as listener:
        log.events.append("a1")
        await listener.next(within_s=5)
        assert listener.is_closed
    is_broken = False
    async with heard_by(following) as listener:
        log.events.append("a2")
        assert list(await listener.next(within_s=5)) == ["a2"]


async def test_all_listeners_are_sent_home_when_the_process_ends(
    log: Log, following: Follower[str, int]
) -> None:
    async with heard_by(following) as listener:
        waiting = asyncio.create_task(listener.next(within_s=60))
        following.stop()
        assert list(await waiting) == []
        assert listener.is_closed
    async with heard_by(following) as late:
        assert late.is_closed


def test_a_tenant_has_so_many_seats_and_a_process_too(
    following: Follower[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "MOST_OF_A_TENANT", 2)
    monkeypatch.setattr(follower, "MOST_LISTENERS", 3)
    with ExitStack() as stack:
        for tenant in ("one", "one", "two"):
            stack.enter_context(following.seat(tenant))
        with pytest.raises(TooMany, match="this tenant"), following.seat("one"):
            pass
        with pytest.raises(TooMany, match="This server"), following.seat("two"):
            pass
    with following.seat("one"):
        pass
