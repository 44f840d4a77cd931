"""Reads WaveSpeed's list of past tasks for one model and one window of time, or says that it cannot.

Half a history would look like "there is no such task" and be answered by a second, paid one: so a list of
which anything may be missing is None. The filters are asked for, but never relied on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from orchestrator.clock import SECOND, from_rfc3339, to_rfc3339
from orchestrator.evidence import Source
from orchestrator.providers.base import PastTask
from orchestrator.providers.exchange import NoAnswer, exchange
from orchestrator.providers.wavespeed_shapes import evidence_of, open_envelope, open_prediction

PAGE_SIZE = 100
MAX_PAGES = 50

_PAGE_DEADLINE_S = 10.0
_DEADLINE_S = 60.0


class _Page(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


_PAGES = msgspec.json.Decoder(_Page)


async def look_up(
    client: httpx.AsyncClient, model: str, *, after: int, before: int
) -> Sequence[PastTask] | None:
    """The model's tasks created within these bounds (ms, both included), oldest first."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            tasks = await _read_pages(client, model, after=after, before=before)
    except TimeoutError:
        return None
    if tasks is None:
        return None
    # WaveSpeed lists the newest first, also among tasks of one millisecond: turn that, then sort.
    wanted = [task for task in reversed(tasks) if task.model == model and after <= task.created_at <= before]
    return sorted(wanted, key=lambda task: task.created_at)


async def _read_pages(
    client: httpx.AsyncClient, model: str, *, after: int, before: int
) -> list[PastTask] | None:
    found: dict[str, PastTask] = {}
    for number in range(1, MAX_PAGES + 1):
        page = await _read_page(client, _query(model, page=number, after=after, before=before))
        if page is None:
            return None
        if all(task.provider_id in found for task in page):
            # A short page may be the provider's own size of page, so only one without news is the end. A
            # full one without news is a list that does not turn its pages: what follows is not to be had.
            return list(found.values()) if len(page) < PAGE_SIZE else None
        found |= {task.provider_id: task for task in page if task.provider_id not in found}
        if _is_past(list(found.values()), after):
            return list(found.values())
    return None


def _is_past(tasks: list[PastTask], after: int) -> bool:
    """Whether a list that runs newest first has left the window behind."""
    times = [task.created_at for task in tasks]
    return times[-1] < after and times == sorted(times, reverse=True)


def _query(model: str, *, page: int, after: int, before: int) -> bytes:
    # Whether the provider's bounds are included is not known: ask for a second more on both sides.
    return msgspec.json.encode(
        {
            "page": page,
            "page_size": PAGE_SIZE,
            "model": model,
            "created_after": to_rfc3339(after - SECOND),
            "created_before": to_rfc3339(before + SECOND),
            "include_inputs": True,
        }
    )


async def _read_page(client: httpx.AsyncClient, query: bytes) -> list[PastTask] | None:
    answer = await exchange(client, "POST", "/api/v3/predictions", body=query, deadline_s=_PAGE_DEADLINE_S)
    if isinstance(answer, NoAnswer) or not (answer.is_success and answer.is_whole):
        return None
    envelope = open_envelope(answer.body)
    if envelope is None:
        return None
    try:
        items = _PAGES.decode(envelope.data).items
        return [_past_task(item) for item in items]
    except (ValueError, RecursionError):
        return None


def _past_task(item: msgspec.Raw) -> PastTask:
    """Raises ValueError for an item that does not say which task it is."""
    prediction = open_prediction(item)
    if (
        prediction is None
        or prediction.task_id is None
        or not isinstance(prediction.model, str)
        or not isinstance(prediction.created_at, str)
    ):
        raise ValueError("an item without its id, its model or its time")
    return PastTask(
        provider_id=prediction.task_id,
        model=prediction.model,
        created_at=from_rfc3339(prediction.created_at),
        inputs=_first_object(prediction.inputs, prediction.input),
        evidence=evidence_of(prediction, source=Source.HISTORY),
    )


def _first_object(*candidates: Any) -> dict[str, Any] | None:
    return next((value for value in candidates if isinstance(value, dict)), None)
