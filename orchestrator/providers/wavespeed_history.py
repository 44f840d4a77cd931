"""Reads WaveSpeed's list of past tasks for one model and one window of time, or says why it cannot.

Half a history would look like "there is no such task" and be answered by a second, paid one: so a list whose
end may be missing is none, and one with an item that cannot be read says that it is not whole. The filters
are asked for, but never relied on. The window is of our clock and the times in the list are of WaveSpeed's:
the `Date` of the first answer says how far they are apart.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
from msgspec.structs import replace

from orchestrator.clock import HOUR, SECOND, Clock, from_http_date, from_rfc3339, to_rfc3339
from orchestrator.evidence import Error, ErrorKind, Source
from orchestrator.providers.base import History, IsAlike, PastTask
from orchestrator.providers.exchange import Answer, NoAnswer, exchange
from orchestrator.providers.wavespeed_answers import said_status
from orchestrator.providers.wavespeed_shapes import (
    Envelope,
    Prediction,
    evidence_of,
    open_envelope,
    open_prediction,
    shown,
)
from orchestrator.retry_after import read_retry_after

PAGE_SIZE = 100
MAX_PAGES = 250
"""Enough for two minutes to both sides of an attempt, at the rate of the largest account."""

_PAGE_DEADLINE_S = 10.0
_DEADLINE_S = 60.0
# Whole seconds and half the way of an answer: that much is no news of a clock.
_APART_MS = 5 * SECOND
_FAR_APART_MS = HOUR


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


_ITEMS = msgspec.json.Decoder(_Items)


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The alike tasks of this model made within these bounds (ms, both included)."""

    model: str
    after: int
    before: int
    is_alike: IsAlike

    def has(self, task: PastTask) -> bool:
        is_near = task.model == self.model and self.after <= task.created_at <= self.before
        return is_near and (task.inputs is None or self.is_alike(task.inputs))

    def may_be(self, prediction: Prediction | None) -> bool:
        """Whether an item that cannot be read whole could be one of them, by what can be read of it."""
        if prediction is None:
            return True
        made_at = _time(prediction.created_at)
        is_near = made_at is None or self.after <= made_at <= self.before
        return is_near and (not isinstance(prediction.model, str) or prediction.model == self.model)

    def moved(self, by_ms: int) -> _Wanted:
        return replace(self, after=self.after + by_ms, before=self.before + by_ms)


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """`count` items were listed; `is_whole` says that each is in `tasks`, or surely none of those wanted."""

    tasks: list[PastTask]
    count: int
    is_whole: bool
    date: str


async def look_up(
    client: httpx.AsyncClient, model: str, *, after: int, before: int, is_alike: IsAlike, clock: Clock
) -> History | Error:
    """The model's alike tasks made within these bounds (ms of our clock, both included), oldest first."""
    wanted = _Wanted(model=model, after=after, before=before, is_alike=is_alike)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await _look_up(client, wanted, clock)
    except TimeoutError:
        return _unread(f"the history was not read within {_DEADLINE_S:g} s")


async def _look_up(client: httpx.AsyncClient, wanted: _Wanted, clock: Clock) -> History | Error:
    asked_at = clock.now()
    first = await _read_page(client, wanted, 1, clock)
    if isinstance(first, Error):
        return first
    ahead_ms = _ahead_ms(first.date, now=(asked_at + clock.now()) // 2)
    if abs(ahead_ms) > _FAR_APART_MS:
        return _unread("its clock is more than an hour from ours")
    if abs(ahead_ms) > _APART_MS:
        wanted = wanted.moved(ahead_ms)
        found = await _read_pages(client, wanted, None, clock)
    else:
        found = await _read_pages(client, wanted, first, clock)
    if isinstance(found, Error):
        return found
    return replace(found, tasks=sorted(found.tasks, key=lambda task: task.created_at))


def _ahead_ms(date: str, *, now: int) -> int:
    """How far the clock is ahead that wrote this header (RFC 9110, 6.6.1); 0 when it does not say."""
    try:
        return from_http_date(date) - now
    except ValueError:
        return 0


async def _read_pages(
    client: httpx.AsyncClient, wanted: _Wanted, first: _Page | None, clock: Clock
) -> History | Error:
    """Only what is wanted is kept of a list that may be long: of the rest the ids, to see its end."""
    seen: set[str] = set()
    found: list[PastTask] = []
    times: list[int] = []
    is_whole = is_newest_first = True
    for number in range(1, MAX_PAGES + 1):
        page = first if number == 1 and first else await _read_page(client, wanted, number, clock)
        if isinstance(page, Error):
            return page
        news = {task.provider_id: task for task in page.tasks if task.provider_id not in seen}
        # A short page may be the provider's own size of page, so only one without news is the end. A
        # full one without news is a list that does not turn its pages: what follows is not to be had.
        if not news and page.count >= PAGE_SIZE:
            return _unread("its pages do not turn")
        seen.update(news)
        found += filter(wanted.has, news.values())
        is_whole = is_whole and page.is_whole
        times = [*times[-1:], *(task.created_at for task in news.values())]
        is_newest_first = is_newest_first and times == sorted(times, reverse=True)
        if not news or (is_newest_first and times[-1] < wanted.after):
            # WaveSpeed lists the newest first, also among tasks of one millisecond.
            return History(tasks=found[::-1], is_whole=is_whole, pages=number)
    return _unread(f"it has more than {MAX_PAGES} pages")


def _query(wanted: _Wanted, page: int) -> bytes:
    # Whether the provider's bounds are included is not known: ask for a second more on both sides.
    return msgspec.json.encode(
        {
            "page": page,
            "page_size": PAGE_SIZE,
            "model": wanted.model,
            "created_after": to_rfc3339(wanted.after - SECOND),
            "created_before": to_rfc3339(wanted.before + SECOND),
            "include_inputs": True,
        }
    )


async def _read_page(client: httpx.AsyncClient, wanted: _Wanted, number: int, clock: Clock) -> _Page | Error:
    answer = await exchange(
        client, "POST", "/api/v3/predictions", body=_query(wanted, number), deadline_s=_PAGE_DEADLINE_S
    )
    if isinstance(answer, NoAnswer):
        return _unread(answer.reason)
    envelope = open_envelope(answer.body) if answer.is_whole else None
    items = _items(envelope) if answer.is_success and envelope else None
    if items is None:
        return _refusal(answer, envelope or Envelope(), now=clock.now())
    predictions = [open_prediction(item) for item in items]
    tasks = [_past_task(prediction) for prediction in predictions]
    lost = [prediction for prediction, task in zip(predictions, tasks, strict=True) if task is None]
    return _Page(
        tasks=[task for task in tasks if task is not None],
        count=len(items),
        is_whole=not any(wanted.may_be(prediction) for prediction in lost),
        date=answer.date,
    )


def _items(envelope: Envelope) -> list[msgspec.Raw] | None:
    try:
        return _ITEMS.decode(envelope.data).items
    except (ValueError, RecursionError):
        return None


def _refusal(answer: Answer, envelope: Envelope, *, now: int) -> Error:
    said = said_status(answer, envelope)
    if said != 429:
        return _unread(f"the answer (HTTP {said}) is no list of tasks")
    retry_after_s = read_retry_after(answer.retry_after, now=now)
    return Error(ErrorKind.THROTTLED, shown(envelope.message), http_status=429, retry_after_s=retry_after_s)


def _unread(why: str) -> Error:
    return Error(ErrorKind.UNAVAILABLE, shown(why))


def _past_task(prediction: Prediction | None) -> PastTask | None:
    """None for an item that does not say which task it is, of which model and time."""
    if prediction is None or prediction.task_id is None or not isinstance(prediction.model, str):
        return None
    made_at = _time(prediction.created_at)
    if made_at is None:
        return None
    return PastTask(
        provider_id=prediction.task_id,
        model=prediction.model,
        created_at=made_at,
        inputs=_first_object(prediction.inputs, prediction.input),
        evidence=evidence_of(prediction, source=Source.HISTORY),
    )


def _time(text: Any) -> int | None:
    try:
        return from_rfc3339(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _first_object(*candidates: Any) -> dict[str, Any] | None:
    return next((value for value in candidates if isinstance(value, dict)), None)
