"""How lines are received: beside other work, within their limits, and by one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from sqlalchemy import Connection, text

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.errors import Conflict, TooLarge
from orchestrator.flow.lines import NewBatch
from orchestrator.flow.receive import check, receive
from orchestrator.runtime import Runtime
from orchestrator.store.database import Database, T, Work
from orchestrator.store.trouble import DatabaseTrouble
from tests.factories import TENANT
from tests.flow.test_alike import MODEL as NEW_MODEL
from tests.flow.test_alike import MODELS_ANSWER

MB = 1024 * 1024
MODEL = "wavespeed-ai/flux-dev"


class Lines:
    """A source of these lines, a piece at a time."""

    def __init__(self, *pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        before = 0
        for piece in self._pieces:
            yield list(enumerate(piece, start=before + 1))
            before += len(piece)

    def digest(self) -> str:
        return "of the body"


def line(**inputs: str) -> bytes:
    return msgspec.json.encode({"input": inputs})


def new_batch(**changes: object) -> NewBatch:
    return msgspec.structs.replace(NewBatch(tenant_id=TENANT, api_version="v3", model=MODEL), **changes)


async def test_what_all_lines_share_counts_in_the_length_of_each(runtime: Runtime) -> None:
    shared = new_batch(inputs={"negative_prompt": "x" * (5 * MB)})
    lines = Lines([line(prompt="x" * (5 * MB - 100)), line(prompt="x" * (5 * MB + 100))])
    found = await check(runtime, shared, lines)
    (rejected,) = found.rejected
    assert (found.total, rejected.line, rejected.field) == (2, 2, "input")
    assert "longer" in rejected.message


@pytest.mark.parametrize("catalogue", [Catalogue(), Catalogue().with_provider_models(MODELS_ANSWER)])
async def test_an_image_may_be_embedded_whatever_is_known_of_the_model(
    runtime: Runtime, catalogue: Catalogue
) -> None:
    runtime.catalogue = catalogue
    embedded = line(prompt="a lake", image="data:image/png;base64," + "A" * (9 * MB))
    assert (await check(runtime, new_batch(model=NEW_MODEL), Lines([embedded]))).rejected == []


async def test_a_long_line_without_media_is_refused_where_the_model_is_known_to_take_words(
    runtime: Runtime,
) -> None:
    runtime.catalogue = Catalogue().with_provider_models(MODELS_ANSWER)
    lines = Lines([line(prompt="a lake " * (MB // 7 - 20)), line(prompt="a lake " * (MB // 7 + 20))])
    (rejected,) = (await check(runtime, new_batch(model=NEW_MODEL), lines)).rejected
    assert (rejected.line, rejected.field, rejected.message) == (2, "input", "must not be longer than 1 MB")


async def test_a_batch_whose_inputs_are_together_too_long_is_refused(runtime: Runtime) -> None:
    shared = new_batch(inputs={"prompt": "x" * (MB - 100)}, is_bare=True)
    assert (await check(runtime, shared, Lines([b"{}"] * 200))).rejected == []
    with pytest.raises(TooLarge, match="inputs of all lines"):
        await check(runtime, shared, Lines([b"{}"] * 201))


async def test_a_request_whose_batch_another_has_completed_meanwhile_is_told_so(runtime: Runtime) -> None:
    """Its lines are refused by the tables before its receiver's name is looked at."""
    new = new_batch(idempotency_key="k", request_hash="0" * 64)
    lines = [line(prompt=f"a lake, {number}") for number in range(300)]

    class Overtaken(Lines):
        async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
            before, after = [piece async for piece in super().pieces()]
            yield before
            await runtime.store.write(execute, statement="UPDATE batches SET receiver_until = 0")
            assert (await receive(runtime, new, Lines(lines))).batch.total == 300
            yield after

    with pytest.raises(Conflict, match="taken over"):
        await receive(runtime, new, Overtaken(lines[:150], lines[150:]))
    batch = (await receive(runtime, new, Lines(lines))).batch
    assert (batch.state, batch.total) == ("open", 300)


@pytest.mark.parametrize("is_learned_first", [True, False])
async def test_an_upload_is_gone_on_with_whatever_was_learned_of_its_model_meanwhile(
    runtime: Runtime, *, is_learned_first: bool
) -> None:
    catalogues = [Catalogue().with_provider_models(MODELS_ANSWER), Catalogue()]
    before, after = catalogues if is_learned_first else reversed(catalogues)
    new = new_batch(idempotency_key="k", model=NEW_MODEL)
    lines = [line(prompt=f"a lake, {number}") for number in range(900)]
    runtime.catalogue = before
    with pytest.raises(OSError, match="away"):
        await receive(runtime, new, BrokenOff(lines[:600]))
    runtime.catalogue = after
    with pytest.raises(Conflict, match="line 500"):
        await receive(runtime, new, Lines([*lines[:499], line(prompt="a sea"), *lines[500:]]))
    batch = (await receive(runtime, new, Lines(lines[:600], lines[600:]))).batch
    assert (batch.state, batch.total) == ("open", 900)


@pytest.mark.parametrize("is_learned_first", [True, False])
async def test_a_line_that_is_judged_otherwise_when_it_comes_again_is_not_said_to_be_another(
    runtime: Runtime, *, is_learned_first: bool
) -> None:
    catalogues = [Catalogue().with_provider_models(MODELS_ANSWER), Catalogue()]
    before, after = catalogues if is_learned_first else reversed(catalogues)
    new = new_batch(idempotency_key="k", model=NEW_MODEL, is_atomic=False)
    lines = [line(prompt="a lake"), b'{"input": {"prompt": 5}}', *[line(prompt="a sea")] * 600]
    runtime.catalogue = before
    with pytest.raises(OSError, match="away"):
        await receive(runtime, new, BrokenOff(lines))
    runtime.catalogue = after
    now, then = ("taken", "refused") if is_learned_first else ("refused", "taken")
    with pytest.raises(Conflict, match=f"line 2 is {now}, and was {then} when"):
        await receive(runtime, new, Lines(lines))


class BrokenOff(Lines):
    """A client that is away after its lines."""

    async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        async for piece in super().pieces():
            yield piece
        yield []
        raise OSError("away")


def execute(connection: Connection, *, statement: str) -> None:
    connection.execute(text(statement))


async def test_a_dry_run_lets_others_have_a_turn_after_each_megabyte_and_not_after_each_line(
    runtime: Runtime,
) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(others())
    found = await check(runtime, new_batch(), Lines([line(prompt="x" * (MB // 4))] * 40))
    beside.cancel()
    assert (found.total, found.rejected) == (40, [])
    assert 8 <= turns <= 12


class HeldDatabase:
    """Writes once `gate` is open."""

    def __init__(self, database: Database) -> None:
        self.dialect = database.dialect
        self.gate = asyncio.Event()
        self._database = database

    async def write(self, work: Work[T]) -> T:
        await self.gate.wait()
        return await self._database.write(work)

    async def read(self, work: Work[T]) -> T:
        return await self._database.read(work)

    async def close(self) -> None:
        await self._database.close()


class HeldAfterTheStart(Lines):
    """While the first piece comes, the database goes into `held`."""

    def __init__(self, runtime: Runtime, held: HeldDatabase, *pieces: Sequence[bytes]) -> None:
        super().__init__(*pieces)
        self._runtime = runtime
        self._held = held

    async def pieces(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        async for piece in super().pieces():
            self._runtime.store.database = self._held
            yield piece
            await self.taken()

    async def taken(self) -> None:
        self._held.gate.set()


async def test_more_lines_are_read_while_those_before_are_stored(runtime: Runtime) -> None:
    held = HeldDatabase(runtime.store.database)
    lines = [line(prompt=f"a lake, {number}") for number in range(1_200)]
    async with asyncio.timeout(10):  # the gate is opened by the source itself
        received = await receive(
            runtime, new_batch(), HeldAfterTheStart(runtime, held, lines[:600], lines[600:])
        )
    assert received.batch.total == 1_200


@pytest.mark.parametrize(
    ("key", "trouble", "state"),
    [(None, TooLarge("The body is too large."), "discarded"), ("k", OSError(), "receiving")],
)
async def test_no_lines_are_left_to_be_stored_when_an_upload_breaks_off(
    runtime: Runtime, key: str | None, trouble: Exception, state: str
) -> None:
    held = HeldDatabase(database := runtime.store.database)

    class Broken(HeldAfterTheStart):
        async def taken(self) -> None:
            runtime.store.database = database
            raise trouble

    def found(connection: Connection) -> list[str]:
        batches = connection.execute(text("SELECT state FROM batches")).scalars()
        return [*batches, *connection.execute(text("SELECT id FROM jobs")).scalars()]

    lines = [line(prompt=f"a lake, {number}") for number in range(600)]
    new = new_batch(idempotency_key=key, request_hash="0" * 64)
    with pytest.raises(type(trouble)):
        await receive(runtime, new, Broken(runtime, held, lines))
    assert [task for task in asyncio.all_tasks() if task.get_name() == "store-lines"] == []
    held.gate.set()
    assert await database.read(found) == [state]
    assert (await receive(runtime, new, Lines(lines))).batch.total == 600


async def test_a_piece_that_cannot_be_stored_ends_the_upload_before_all_is_read(runtime: Runtime) -> None:
    class Away(HeldDatabase):
        async def write(self, work: Work[T]) -> T:
            runtime.store.database = database
            raise DatabaseTrouble(cause="away")

    away = Away(database := runtime.store.database)
    read = 0

    class Counted(HeldAfterTheStart):
        async def taken(self) -> None:
            nonlocal read
            read += 1

    lines = [line(prompt=f"a lake, {number}") for number in range(600)]
    with pytest.raises(DatabaseTrouble):
        await receive(runtime, new_batch(), Counted(runtime, away, lines, lines[:30], lines[30:60]))
    assert read == 0
