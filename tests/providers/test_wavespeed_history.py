"""Looking a lost submission up in WaveSpeed's history: all of it, or a word that something is missing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

import pytest

from orchestrator import policy
from orchestrator.clock import MINUTE, SECOND, from_rfc3339, to_rfc3339
from orchestrator.evidence import Error
from orchestrator.policy import TIERS
from orchestrator.providers.base import History
from orchestrator.providers.wavespeed_history import MAX_PAGES, PAGE_SIZE
from tests.net.raw_server import RawServer
from tests.providers.dialect import facing, http, replying
from tests.providers.test_wavespeed import DIALECT, MODEL, envelope, prediction

NOON = from_rfc3339("2026-01-02T12:00:00Z")
Item = dict[str, Any]


def item(number: int, *, at: int = NOON, model: str = MODEL, **fields: Any) -> Item:
    return prediction(id=f"{number:032x}", created_at=to_rfc3339(at), model=model, **fields)


def query_of(request: bytes) -> dict[str, Any]:
    query: dict[str, Any] = json.loads(request.partition(b"\r\n\r\n")[2])
    return query


async def look_up(pages: Callable[[dict[str, Any]], Any], *headers: str) -> tuple[History | Error, RawServer]:
    """The tasks of the minute before noon, from a history that answers each query like this."""
    reply = replying(
        lambda request: http(200, envelope({"page": 1, "items": pages(query_of(request))}), *headers)
    )
    async with facing(reply) as (client, server):
        adapter = DIALECT.open(client)
        return await adapter.look_up(MODEL, after=NOON - MINUTE, before=NOON, is_alike=is_of_a_lake), server


def is_of_a_lake(inputs: Mapping[str, Any]) -> bool:
    return bool(inputs["prompt"] == "a lake")


def date_in(seconds: int) -> str:
    """The header of a provider whose clock is so much ahead."""
    return f"Date: {formatdate(time.time() + seconds, usegmt=True)}"


def in_pages(items: list[Item], *, size: int = PAGE_SIZE) -> Callable[[dict[str, Any]], list[Item]]:
    """A provider that turns its pages, of its own size, and ignores every other filter."""
    return lambda query: items[(query["page"] - 1) * size : query["page"] * size]


def numbers(history: History | Error) -> list[int]:
    assert isinstance(history, History)
    assert history.is_whole
    return [int(task.provider_id, 16) for task in history.tasks]


async def test_the_query_names_the_model_the_window_and_the_inputs() -> None:
    _, server = await look_up(in_pages([]))
    assert server.requests[0].startswith(b"POST /api/v3/predictions HTTP/1.1\r\n")
    assert query_of(server.requests[0]) == {
        "page": 1,
        "page_size": 100,
        "model": MODEL,
        "created_after": "2026-01-02T11:58:59.000Z",
        "created_before": "2026-01-02T12:00:01.000Z",
        "include_inputs": True,
    }


async def test_tasks_come_oldest_first_with_what_is_known_of_them() -> None:
    items = [
        item(2, status="completed", outputs=["a"], inputs={"prompt": "a lake", "size": 1}),
        item(1, at=NOON - SECOND, input={"prompt": "a lake"}),
        item(3, at=NOON - 2 * SECOND),
    ]
    history, _ = await look_up(in_pages(items))
    assert isinstance(history, History)
    tasks = history.tasks
    assert numbers(history) == [3, 1, 2]
    assert [task.inputs for task in tasks] == [None, {"prompt": "a lake"}, {"prompt": "a lake", "size": 1}]
    assert [str(task.evidence.status) for task in tasks] == ["accepted", "accepted", "completed"]
    assert tasks[2].created_at == NOON


async def test_filters_that_the_provider_ignores_are_applied_here() -> None:
    items = [
        item(1, at=NOON + 1),
        item(2, at=NOON),
        item(3, model="wavespeed-ai/flux-schnell"),
        item(4, at=NOON - MINUTE),
        item(5, at=NOON - MINUTE - 1),
    ]
    tasks, _ = await look_up(in_pages(items))
    assert numbers(tasks) == [4, 2]


@pytest.mark.parametrize("ahead_s", [400, -400, 3_500])
async def test_the_window_goes_by_the_clock_of_the_provider(ahead_s: int) -> None:
    apart = ahead_s * SECOND
    items = [item(1, at=NOON - 30 * SECOND), item(2, at=NOON - 30 * SECOND + apart)]
    tasks, server = await look_up(in_pages(items), date_in(ahead_s))
    assert numbers(tasks) == [2]
    asked = query_of(server.requests[-1])
    assert abs(from_rfc3339(asked["created_after"]) - (NOON - MINUTE - SECOND + apart)) < 5 * SECOND


async def test_many_pages_are_read_by_the_clock_of_the_provider() -> None:
    items = [item(number, at=NOON + 400 * SECOND - number * 400) for number in range(1_000)]
    tasks, server = await look_up(in_pages(items), date_in(400))
    assert 140 < len(numbers(tasks)) <= 151
    assert [query_of(request)["page"] for request in server.requests] == [1, 1, 2]


@pytest.mark.parametrize("header", ["Date: at noon", "Date: ", "X-Date: Fri, 02 Jan 2026 12:00:00 GMT"])
async def test_a_provider_that_does_not_tell_the_time_is_taken_to_agree(header: str) -> None:
    tasks, server = await look_up(in_pages([item(1)]), header)
    assert numbers(tasks) == [1]
    assert len(server.requests) == 2


async def test_a_second_is_no_difference_between_clocks() -> None:
    _, server = await look_up(in_pages([item(1)]), date_in(-2))
    assert query_of(server.requests[-1])["created_before"] == "2026-01-02T12:00:01.000Z"


@pytest.mark.parametrize("ahead_s", [3_700, -3_700, 10**8])
async def test_a_clock_that_is_an_hour_wrong_makes_the_history_unreadable(ahead_s: int) -> None:
    tasks, _ = await look_up(in_pages([item(1)]), date_in(ahead_s))
    assert isinstance(tasks, Error)


async def test_pages_are_read_to_the_end_of_the_window_and_no_further() -> None:
    items = [item(number, at=NOON - number * 400) for number in range(1_000)]
    tasks, server = await look_up(in_pages(items))
    assert numbers(tasks) == list(range(150, -1, -1))
    assert len(server.requests) == 2
    assert isinstance(tasks, History)
    assert tasks.pages == 2


async def test_pages_smaller_than_asked_for_do_not_hide_the_rest() -> None:
    tasks, _ = await look_up(in_pages([item(number) for number in range(30)], size=20))
    assert len(numbers(tasks)) == 30


async def test_a_list_in_no_order_is_read_whole() -> None:
    items = [item(1, at=NOON - 2 * MINUTE), *[item(number) for number in range(2, 250)]]
    tasks, _ = await look_up(in_pages(items))
    assert len(numbers(tasks)) == 248


async def test_a_short_page_that_repeats_is_the_whole_history() -> None:
    tasks, server = await look_up(lambda _: [item(2), item(1)])
    assert numbers(tasks) == [1, 2]
    assert len(server.requests) == 2


async def test_a_full_page_that_repeats_leaves_the_rest_unknown() -> None:
    tasks, _ = await look_up(lambda _: [item(number) for number in range(PAGE_SIZE)])
    assert isinstance(tasks, Error)


async def test_only_what_may_be_the_one_is_kept_of_a_long_list() -> None:
    items = [item(number, inputs={"prompt": "a sea"}) for number in range(250)]
    items[120]["inputs"] = {"prompt": "a lake"}
    del items[130]["inputs"]
    history, server = await look_up(in_pages(items))
    assert numbers(history) == [130, 120]
    assert len(server.requests) == 4


def test_the_window_of_the_largest_account_has_no_more_pages_than_are_read() -> None:
    window_s = 2 * (policy.DOUBT_WINDOW_MS + SECOND) / SECOND
    assert TIERS["ultra"].image_per_minute / 60 * window_s < (MAX_PAGES - 1) * PAGE_SIZE


async def test_a_history_without_end_is_given_up() -> None:
    def fresh(query: dict[str, Any]) -> list[Item]:
        return [item(query["page"] * PAGE_SIZE + number) for number in range(PAGE_SIZE)]

    tasks, server = await look_up(fresh)
    assert isinstance(tasks, Error)
    assert len(server.requests) == MAX_PAGES


@pytest.mark.parametrize(
    "broken",
    [{"id": None}, {"id": "../x"}, {"model": None}, {"created_at": "yesterday"}, {"created_at": None}],
)
async def test_an_unreadable_item_is_passed_over_and_the_look_up_is_not_whole(broken: Item) -> None:
    history, _ = await look_up(in_pages([item(1), item(2) | broken]))
    assert isinstance(history, History)
    assert [int(task.provider_id, 16) for task in history.tasks] == [1]
    assert not history.is_whole


@pytest.mark.parametrize("strange", [3, None, "none", []])
async def test_an_item_that_is_no_object_could_be_any_task(strange: Any) -> None:
    history, _ = await look_up(lambda _: [strange])
    assert history == History(tasks=[], is_whole=False)


@pytest.mark.parametrize(
    "broken",
    [{"id": None, "model": "wavespeed-ai/flux-schnell"}, {"id": None, "created_at": to_rfc3339(NOON + 1)}],
)
async def test_an_unreadable_item_that_is_surely_another_spoils_nothing(broken: Item) -> None:
    history, _ = await look_up(in_pages([item(1), item(2) | broken]))
    assert numbers(history) == [1]


async def test_a_page_of_unreadable_items_does_not_hide_the_next() -> None:
    items = [item(1), *(item(2) | {"id": None} for _ in range(PAGE_SIZE)), item(3)]
    history, _ = await look_up(in_pages(items))
    assert isinstance(history, History)
    assert len(history.tasks) == 2
    assert not history.is_whole


@pytest.mark.parametrize("items", [None, {}, "none"])
async def test_a_list_that_is_none_spoils_the_look_up(items: Any) -> None:
    tasks, _ = await look_up(lambda _: items)
    assert isinstance(tasks, Error)
