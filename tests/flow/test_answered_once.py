"""What was done under an Idempotency-Key is told again though it could not be done now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.errors import Busy, Conflict, InvalidInput
from orchestrator.flow.create import NewJob, create
from orchestrator.job import Phase
from orchestrator.runtime import Runtime
from orchestrator.store.idempotency import Idempotency, Once, do_once
from orchestrator.store.store import Store
from orchestrator.store.trouble import DatabaseTrouble
from orchestrator.web import idempotent
from orchestrator.web.context import Context
from orchestrator.web.idempotent import answer_once
from tests.factories import TENANT, stored_job
from tests.store import decisions
from tests.store.faulty import FaultyDatabase
from tests.store.rows import count, job_of

Asked = Callable[[Callable[[Once | None], Awaitable[Response]]], Awaitable[Response]]


async def was_done(_first_id: str) -> Response:
    return Response("was done")


@pytest.fixture
def faulty(runtime: Runtime) -> FaultyDatabase:
    """Under everything that the runtime stores."""
    faulty = FaultyDatabase(runtime.store.database)
    runtime.store = Store(faulty, runtime.clock)
    return faulty


@pytest.fixture
def ask(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The same request each time, which is to be answered by this."""
    monkeypatch.setattr(Context, "of", lambda _request: type("Here", (), {"runtime": runtime}))
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/there",
        "query_string": b"",
        "headers": [(b"idempotency-key", b"k")],
    }
    return lambda first: answer_once(Request(scope), TENANT, b"{}", first=first, again=was_done)


async def do(runtime: Runtime, once: Once | None) -> Response:
    await runtime.store.write(do_once, once=once, do=lambda _connection: True, arguments={})
    return Response("done")


def told(answered: Response) -> tuple[bytes, bool]:
    """What it says, and whether it calls itself a repetition."""
    return bytes(answered.body), answered.headers.get("idempotent-replayed") == "true"


async def test_a_repetition_asks_nobody_but_the_key(runtime: Runtime, ask: Asked) -> None:
    async def refused(_once: Once | None) -> Response:
        raise Busy(cause="the provider is away")

    assert told(await ask(partial(do, runtime))) == (b"done", False)
    assert told(await ask(refused)) == (b"was done", True)


async def test_what_is_refused_since_the_same_was_done_meanwhile_is_told_as_done(
    runtime: Runtime, ask: Asked
) -> None:
    async def beaten(_once: Once | None) -> Response:
        await ask(partial(do, runtime))
        raise Conflict("It is done already.")

    assert told(await ask(beaten)) == (b"was done", True)


async def test_what_is_refused_though_nobody_did_it_is_refused(ask: Asked) -> None:
    async def refused(_once: Once | None) -> Response:
        raise Conflict("It cannot be done.")

    with pytest.raises(Conflict, match="cannot be done"):
        await ask(refused)


async def test_what_is_asked_under_a_key_is_done_though_the_database_was_away(
    runtime: Runtime, faulty: FaultyDatabase, ask: Asked
) -> None:
    faulty.away, faulty.lost_before = 3, 1
    assert told(await ask(partial(do, runtime))) == (b"done", False)


async def test_what_a_lost_commit_has_done_under_a_key_is_told_as_done(
    runtime: Runtime, faulty: FaultyDatabase, ask: Asked
) -> None:
    job = await stored_job(runtime.store, Phase.HELD)
    faulty.lost_after, faulty.then_away = 1, 1

    async def release(once: Once | None) -> Response:
        await runtime.store.change(job.id, decisions.release, source="client", once=once)
        return Response("done")

    assert told(await ask(release)) == (b"was done", True)
    assert (await job_of(runtime.store, job.id)).phase == Phase.READY
    assert await count(runtime.store, "idempotency_keys") == 1


async def test_what_cannot_be_stored_for_long_is_put_off(
    runtime: Runtime, faulty: FaultyDatabase, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotent, "_AGAIN_FOR_S", 0.0)
    faulty.lost_before = 1_000
    with pytest.raises(DatabaseTrouble):
        await ask(partial(do, runtime))


def a_job(prompt: Any = 5, *, key: str | None = "k") -> NewJob:
    """What is right only as long as nobody knows the model."""
    request = None if key is None else Idempotency(key, str(prompt).ljust(64, "0"))
    asked: dict[str, Any] = {
        "tenant_id": TENANT,
        "model": "wavespeed-ai/flux-dev",
        "api_version": "v3",
        "idempotency": request,
    }
    return NewJob(inputs={"prompt": prompt}, **asked)


async def test_a_job_is_answered_again_though_its_model_was_learned_and_takes_no_such_input(
    runtime: Runtime,
) -> None:
    known, runtime.catalogue = runtime.catalogue, Catalogue([])
    first = await create(runtime, a_job())
    runtime.catalogue = known
    again = await create(runtime, a_job())
    assert (again.job, again.is_replay) == (first.job, True)
    for other in (a_job(6), a_job(key="another"), a_job(key=None)):
        with pytest.raises(InvalidInput, match="prompt"):
            await create(runtime, other)
    assert await count(runtime.store, "jobs") == 1
