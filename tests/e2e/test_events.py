"""Event streams over real servers on both databases: what they tell, resuming, tenants, and their end."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from orchestrator.ids import key_digest
from orchestrator.store.event_log import START, parse_cursor
from tests.e2e.listening import Heard, listening
from tests.e2e.program import until
from tests.e2e.stack import FLUX, Stack, data_of, marked, up_stack
from tests.e2e.test_tenants import key_of_another

ENDS = ("job.completed", "job.failed")


def of_job(heard: list[Heard], job_id: str) -> list[str]:
    return [one.event for one in heard if one.data["id"] == job_id]


async def test_a_stream_tells_each_step_of_a_job_as_it_happens(either: Stack) -> None:
    async with listening(either) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert stream.response.headers["cache-control"] == "no-store"
        job_id = await either.created()
        heard = [one for one in await stream.until(*ENDS) if one.data["id"] == job_id]
    assert heard[0].event == "job.created"
    assert heard[-1].event == "job.completed"
    assert {one.event for one in heard[1:-1]} == {"job.processing"}
    assert heard[1].data["phase"] == "submitting"
    told = (await either.job(job_id))["events"]
    assert [(one.data["move"], one.data["phase"], one.data["at"]) for one in heard] == [
        (one["verb"], one["to_phase"], one["at"]) for one in told
    ]


async def test_a_jobs_own_stream_begins_at_its_beginning_and_ends_with_it(either: Stack) -> None:
    job_id = await either.created()
    path = f"/api/v2/predictions/{job_id}/events"
    async with listening(either, path) as stream:
        live = await stream.rest()
    async with listening(either, path) as stream:
        again = await stream.rest()
    assert live == again
    assert (live[0].event, live[-1].event) == ("job.created", "job.completed")
    async with listening(either, path, last_id=live[0].id) as stream:
        assert await stream.rest() == live[1:]
    async with listening(either, path, last_id=live[-1].id) as stream:
        assert await stream.rest() == []


async def test_a_redriven_job_is_told_from_its_beginning_through_its_first_end(either: Stack) -> None:
    job_id = await either.created(marked("refuse=400", "times=2"))
    await either.ended(job_id)
    await either.act(job_id, "redrive")
    await either.ended(job_id)
    async with listening(either, f"/api/v3/predictions/{job_id}/events") as stream:
        names = [one.event for one in await stream.rest()]
    assert names.count("job.failed") == 2
    assert names[-1] == "job.failed"


async def test_a_batch_is_told_alone_and_to_its_end(either: Stack) -> None:
    async with listening(either) as everything:
        body = {"model": FLUX, "inputs": [{"prompt": f"boat {n}"} for n in range(3)]}
        batch = data_of(await either.http.post("/api/v3/batches", json=body))["id"]
        other = await either.created()
        heard = await everything.until("batch.completed")
        before = everything.last_id
    async with listening(
        either, batch=batch, last_id=heard[0].id, types="job.completed,batch.completed"
    ) as stream:
        alone = await stream.until("batch.completed")
    assert before
    assert [one.event for one in alone] == ["job.completed"] * 3 + ["batch.completed"]
    assert {one.data["batch"] for one in alone} == {batch}
    assert alone[-1].data["id"] == batch
    assert alone[-1].data["because"] == "3 completed, 0 failed"
    await either.ended(other)


async def test_a_listener_cut_ten_times_under_load_hears_everything_once_and_in_order(either: Stack) -> None:
    jobs = 500
    cuts = [round(jobs * 3 * n / 11) for n in range(1, 11)]
    heard: list[Heard] = []
    ended = 0

    async def load() -> list[str]:
        return list(await asyncio.gather(*(either.created(f"load {n}") for n in range(jobs))))

    async with listening(either) as stream:
        last_id = stream.last_id
    loading = asyncio.create_task(load())
    async with asyncio.timeout(90):
        while ended < jobs:
            async with listening(either, last_id=last_id) as stream:
                while ended < jobs and not (cuts and len(heard) >= cuts[0]):
                    heard.append(await stream.next())
                    ended += heard[-1].event in ENDS
                last_id = heard[-1].id
            cuts = cuts[1:]
    ids = await loading
    assert cuts == [], "it was cut less often than it should have been"
    told = await either.ledger.rows("SELECT job_id, verb FROM events")
    wanted = sorted((one["job_id"], one["verb"]) for one in told if one["job_id"] in set(ids))
    assert sorted((one.data["id"], one.data["move"]) for one in heard if one.data["id"] in set(ids)) == wanted
    for job_id in ids:
        steps = of_job(heard, job_id)
        assert steps == sorted(steps, key=["job.created", "job.processing", "job.completed"].index)


async def test_another_tenant_hears_nothing_and_finds_no_stream(either: Stack) -> None:
    theirs = await key_of_another(either)
    async with listening(either, headers=theirs) as foreign, listening(either) as own:
        job_id = await either.created()
        await own.until(*ENDS)
        theirs_id = data_of(await either.submit(headers=theirs))["id"]
        heard = await foreign.until(*ENDS)
    assert {one.data["id"] for one in heard} == {theirs_id}
    async with listening(either, headers=theirs, last_id="0-0") as foreign:
        assert {one.data["id"] for one in await foreign.until(*ENDS)} == {theirs_id}
    for path, params in (
        (f"/api/v3/predictions/{job_id}/events", {}),
        ("/api/v3/events", {"job": job_id}),
    ):
        answer = await either.http.get(path, params=params, headers=theirs)
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"last_event_id": "yesterday"}, "last_event_id"),
        ({"types": "job.completed,job.gone"}, "types"),
        ({"job": "a", "batch": "b"}, "job"),
    ],
)
async def test_what_cannot_be_meant_is_refused(stack: Stack, params: dict[str, str], field: str) -> None:
    answer = await stack.http.get("/api/v3/events", params=params)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_key_without_the_scope_read_hears_nothing(stack: Stack) -> None:
    theirs = await key_of_another(stack, scopes="submit")
    assert (await stack.http.get("/api/v3/events", headers=theirs)).status_code == 403


async def test_who_comes_with_an_id_of_the_future_is_told_to_look_anew(either: Stack) -> None:
    async with listening(either, last_id="fffffffffffff-1") as stream:
        assert (await stream.next()).event == "reset"
        job_id = await either.created()
        assert of_job(await stream.until(*ENDS), job_id)[0] == "job.created"


async def test_too_many_listeners_are_told_so_and_a_seat_is_free_again_when_one_goes(stack: Stack) -> None:
    theirs = await key_of_another(stack)
    limits = httpx.Limits(max_connections=60)
    async with httpx.AsyncClient(base_url=stack.url, headers=theirs, limits=limits, timeout=20) as http:
        opened = [
            await http.send(http.build_request("GET", "/api/v3/events"), stream=True) for _ in range(51)
        ]
        assert [one.status_code for one in opened] == [200] * 50 + [429]
        assert "close one first" in (await opened[-1].aread()).decode()
        await asyncio.gather(*(one.aclose() for one in opened[:-1]))

        async def is_free() -> bool:
            async with http.stream("GET", "/api/v3/events") as response:
                return response.status_code == 200

        await until(is_free, within=5, what="a seat")


async def test_a_server_with_listeners_ends_within_a_second() -> None:
    async with up_stack() as stack, listening(stack) as first, listening(stack) as second:
        took = await stack.up.stop()
        assert await first.rest() == await second.rest() == []
    assert took < 1.5


async def test_a_quiet_stream_says_that_it_lives_and_ends_when_its_key_is_revoked(stack: Stack) -> None:
    theirs = await key_of_another(stack)
    async with listening(stack, headers=theirs) as stream:
        digest = key_digest(theirs["authorization"].removeprefix("Bearer "))
        await stack.ledger.change("UPDATE api_keys SET revoked_at = 1 WHERE digest = :digest", digest=digest)
        before = parse_cursor(stream.last_id) or START
        await stack.ended(await stack.created())
        assert await stream.rest() == []
    after = parse_cursor(stream.last_id) or START
    assert after > before, "a heartbeat moves on past what others were told"
