"""Batches for end-to-end tests: their lines, how they are sent, and looks at how they get on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from orchestrator.ids import new_api_key
from tests.e2e.program import until
from tests.e2e.stack import FLUX, Json, Stack, data_of, marked

BATCHES = "/api/v3/batches"
FINISHED = ("completed", "cancelled")
Headers = Mapping[str, str]


def line(prompt: str = "", **fields: Any) -> Json:
    """A good line; its prompt is its own unless it is given."""
    return {"input": {"prompt": prompt or marked("duration=0.01")}, **fields}


def lines_of(count: int) -> list[Json]:
    return [line(custom_id=f"line-{number}") for number in range(1, count + 1)]


def jsonl(lines: Sequence[Any]) -> bytes:
    """A text is taken as it is."""
    return b"".join((one if isinstance(one, str) else json.dumps(one)).encode() + b"\n" for one in lines)


async def send(
    stack: Stack, lines: Sequence[Any] | bytes, *, key: str = "", headers: Headers | None = None, **query: Any
) -> httpx.Response:
    """POST the batch as JSONL, for FLUX unless `model` says another; `key` is its Idempotency-Key."""
    given = {"content-type": "application/x-ndjson", **(headers or {})}
    return await stack.http.post(
        BATCHES,
        content=lines if isinstance(lines, bytes) else jsonl(lines),
        headers=given | ({"idempotency-key": key} if key else {}),
        params={"model": FLUX, "mode": "atomic", **query},
    )


async def sent(stack: Stack, lines: Sequence[Any] | bytes, **arguments: Any) -> Json:
    """A batch that must be taken."""
    batch: Json = data_of(await send(stack, lines, **arguments))
    return batch


async def batch_of(stack: Stack, batch_id: str, headers: Headers | None = None) -> Json:
    found: Json = data_of(await stack.http.get(f"{BATCHES}/{batch_id}", headers=headers or {}))
    return found


async def order(stack: Stack, batch_id: str, verb: str, headers: Headers | None = None, **query: Any) -> Json:
    """An order that must be obeyed."""
    answer = await stack.http.post(f"{BATCHES}/{batch_id}/{verb}", headers=headers or {}, params=query)
    batch: Json = data_of(answer)
    return batch


async def batch_when(
    stack: Stack,
    batch_id: str,
    is_so: Callable[[Json], bool],
    *,
    headers: Headers | None = None,
    within: float = 30,
) -> Json:
    last: Json = {}

    async def look() -> Json | None:
        nonlocal last
        last = await batch_of(stack, batch_id, headers)
        return last if is_so(last) else None

    try:
        found = await until(look, within=within, what=f"batch {batch_id}")
    except AssertionError as late:
        raise AssertionError(f"{late}: it is {last}") from None
    assert found is not None
    return found


async def finished(stack: Stack, batch_id: str, **arguments: Any) -> Json:
    return await batch_when(stack, batch_id, lambda batch: batch["state"] in FINISHED, **arguments)


async def hurried(stack: Stack, batch_id: str) -> Json:
    """The batch once it has ended; what was being sent when a server died is looked for without pauses."""

    async def look() -> Json | None:
        await stack.ledger.make_checks_due()
        batch = await batch_of(stack, batch_id)
        return batch if batch["state"] in FINISHED else None

    found = await until(look, within=60, what=f"the end of batch {batch_id}")
    assert found is not None
    return found


async def steps_are_done(stack: Stack, batch_id: str) -> None:
    """No order is under way any more."""

    async def look() -> bool:
        rows = await stack.ledger.rows("SELECT step FROM batches WHERE id = :id", id=batch_id)
        return all(row["step"] is None for row in rows)

    await until(look, what=f"the steps of batch {batch_id}")


async def results(stack: Stack, batch_id: str, headers: Headers | None = None, **query: Any) -> list[Json]:
    answer = await stack.http.get(f"{BATCHES}/{batch_id}/results", headers=headers or {}, params=query)
    assert answer.status_code == 200, answer.text
    return [json.loads(one) for one in answer.text.splitlines()]


async def rows_of(stack: Stack, batch_id: str) -> list[Json]:
    """Its jobs behind the API's back, in line order."""
    return await stack.ledger.rows("SELECT * FROM jobs WHERE batch_id = :id ORDER BY line", id=batch_id)


async def stored_batches(stack: Stack) -> dict[str, int]:
    """How many lines are stored of each batch that is not given up."""
    found = await stack.ledger.rows(
        "SELECT id, (SELECT count(*) FROM jobs WHERE batch_id = batches.id) AS lines FROM batches"
        " WHERE state <> 'discarded'"
    )
    return {row["id"]: row["lines"] for row in found}


async def new_tenant(
    stack: Stack,
    *,
    scopes: str = "read submit",
    max_in_flight: int | None = None,
    max_queued: int | None = None,
) -> dict[str, str]:
    """The headers of another tenant's key, with these limits."""
    key = new_api_key()
    tenant = await stack.ledger.add_tenant(key, scopes=scopes)
    await stack.ledger.change(
        "UPDATE tenants SET max_in_flight = :in_flight, max_queued = :queued WHERE id = :id",
        id=tenant,
        in_flight=max_in_flight,
        queued=max_queued,
    )
    return {"authorization": f"Bearer {key}"}


async def lift_limits(stack: Stack) -> None:
    await stack.ledger.change("UPDATE tenants SET max_in_flight = NULL, max_queued = NULL")


async def finish_tasks(stack: Stack, batch_id: str) -> None:
    """End the tasks that a fault holds open."""
    for job in await rows_of(stack, batch_id):
        for task in await stack.tasks(job["id"]) if job["phase"] == "accepted" else ():
            await stack.control("finish", id=task["id"])


async def begin_upload(
    stack: Stack, part: bytes, *, length: int, key: str = "", mode: str = "atomic"
) -> asyncio.StreamWriter:
    """A request that has sent this part of its body and no more; the server has read all of it."""
    host, _, port = stack.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST {BATCHES}?model={FLUX}&mode={mode} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {stack.key}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {length}\r\n"
        "Expect: 100-continue\r\n"
    )
    head += f"Idempotency-Key: {key}\r\n\r\n" if key else "\r\n"
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 100")  # the server waits for the body now
    writer.write(part)
    await writer.drain()
    return writer


async def break_off(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def until_stored(stack: Stack, key: str, least: int) -> str:
    """The id of the batch under this key, once so many of its lines are stored."""

    async def look() -> str:
        found = await stack.ledger.rows(
            "SELECT id, created FROM batches WHERE idempotency_key = :key", key=key
        )
        return next((row["id"] for row in found if row["created"] >= least), "")

    return await until(look, what=f"{least} lines under {key}")


async def until_left(stack: Stack) -> None:
    """No request is sending a batch."""

    async def look() -> bool:
        return not await stack.ledger.rows("SELECT id FROM batches WHERE receiver IS NOT NULL")

    await until(look, what="the broken request to be noticed")


async def until_discarded(stack: Stack) -> None:
    """What was given up is deleted."""

    async def look() -> bool:
        return not await stack.ledger.rows("SELECT id FROM batches WHERE state = 'discarded'")

    await until(look, what="what was given up to be deleted")
