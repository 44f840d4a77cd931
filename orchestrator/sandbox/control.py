"""The back door for tests: scripts faults, holds the bill and the logs, sends arbitrary callbacks.

It asks for no key, as the sandbox is meant for loopback: whoever reaches it may do everything.

    POST   /control/faults     {"fault":"busy","count":3} or with "share", "seconds", "on"; see faults.py
    GET    /control/faults     the scripts under way
    DELETE /control/faults     drop them
    POST   /control/reset      forget tasks, logs, faults and limits
    GET    /control/tasks      the bill: every task ever created; `?offset=` and `?limit=` for a part
    GET    /control/requests   all submits in the order of their answers: arrival in ms, status (0: dropped)
    GET    /control/stats      counts and the highest concurrency and rate seen
    POST   /control/finish     {"id"?, "fail"?}: end a task held open by the fault `hold`, or all
    POST   /control/callback   {"id", "kind"?, "count"?, "url"?, "age"?, "body"?}: send a callback now
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.sandbox.callbacks import Kind, write
from orchestrator.sandbox.faults import Script
from orchestrator.sandbox.protocol import Refusal, plain
from orchestrator.sandbox.requests import house_of, read_body
from orchestrator.sandbox.tasks import Task

T = TypeVar("T")


class Finish(msgspec.Struct, forbid_unknown_fields=True):
    """Which held task ends (none named: all), and with which code; 0 completes it."""

    id: str | None = None
    fail: int = 0


class Callback(msgspec.Struct, forbid_unknown_fields=True):
    """A callback about a task: `count` copies at once, `age` seconds old, `body` in place of its own."""

    id: str
    kind: Kind = "final"
    count: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    url: str = ""
    age: int = 0
    body: msgspec.Raw = msgspec.Raw()


async def add_fault(request: Request) -> Response:
    """Put a script in force."""
    faults = house_of(request).faults
    faults.add(await _decoded(request, Script))
    return plain({"scripts": faults.scripts()})


async def list_faults(request: Request) -> Response:
    """The scripts in force."""
    return plain({"scripts": house_of(request).faults.scripts()})


async def drop_faults(request: Request) -> Response:
    """No script is in force any more, and every prompt is new."""
    house_of(request).faults.clear()
    return plain({"scripts": []})


async def reset(request: Request) -> Response:
    """Begin anew."""
    await house_of(request).reset()
    return plain({"reset": True})


async def tasks(request: Request) -> Response:
    """The bill."""
    ledger = house_of(request).ledger
    first = int(request.query_params.get("offset", 0))
    count = int(request.query_params.get("limit", len(ledger.tasks)))
    return plain({"tasks": [_line(task) for task in ledger.tasks[first : first + count]]})


def _line(task: Task) -> dict[str, Any]:
    inputs = task.decoded_input()
    canonical = msgspec.json.encode(inputs, order="sorted")
    return {
        "id": task.id,
        "account": task.account,
        "version": task.version,
        "model": task.model,
        "prompt": inputs.get("prompt", ""),
        "input_hash": hashlib.sha256(canonical).hexdigest(),
        "status": task.status,
        "code": task.code,
        "outputs": _outputs(task),
        "price": task.price,
        "webhook": task.webhook,
        "created_ms": task.created_ms,
        "started_ms": task.started_ms,
        "ended_ms": task.ended_ms,
        "is_deleted": task.is_deleted,
        "callbacks": task.sendings,
    }


def _outputs(task: Task) -> Any:
    """None for those that nobody can read."""
    if isinstance(task.outputs, list):
        return task.outputs
    try:
        return msgspec.json.decode(task.outputs)
    except msgspec.DecodeError:
        return None


async def requests(request: Request) -> Response:
    """The log of submits, refused ones too."""
    return plain({"requests": list(house_of(request).requests)})


async def stats(request: Request) -> Response:
    """Figures over all accounts since the start or the last reset."""
    house = house_of(request)
    accounts = house.accounts.all()
    everything = house.ledger.tasks
    return plain(
        {
            "tasks": len(everything),
            "by_status": Counter(task.status for task in everything),
            "submits": len(house.requests),
            "by_answer": Counter(str(entry.status) for entry in house.requests),
            "callbacks": sum(len(task.sendings) for task in everything),
            "spent": round(sum(account.spent for account in accounts), 6),
            "running": sum(account.running for account in accounts),
            "most_running": max((account.most_running for account in accounts), default=0),
            "most_open": max((account.most_open for account in accounts), default=0),
            "most_submits_in_60_s": house.submits.highest,
            "most_admitted_in_60_s": max(
                (window.highest for account in accounts for window in account.windows.values()), default=0
            ),
        }
    )


async def finish(request: Request) -> Response:
    """Let held tasks end."""
    wanted = await _decoded(request, Finish)
    return plain({"finished": house_of(request).runner.finish(wanted.id, code=wanted.fail)})


async def callback(request: Request) -> Response:
    """Send a callback, once or many times at once, and tell how it was answered."""
    house = house_of(request)
    wanted = await _decoded(request, Callback)
    task = house.ledger.find(wanted.id)
    if task is None:
        raise Refusal(404, "no such task")
    body = bytes(wanted.body) or None
    letter = write(task, wanted.kind, url=wanted.url, age_s=wanted.age, body=body)
    if not letter.url:
        raise Refusal(400, "the task has no webhook: give a url")
    answers = await asyncio.gather(*(house.sender.send(task, letter) for _ in range(wanted.count)))
    return plain({"answers": answers})


async def _decoded(request: Request, wanted: type[T]) -> T:
    try:
        return msgspec.json.decode(await read_body(request) or b"{}", type=wanted)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"invalid request: {error}") from error
