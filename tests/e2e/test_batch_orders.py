"""Orders to a batch that runs: pause, resume, cancel, retry what failed; and its times and priorities."""

from __future__ import annotations

import pytest

from orchestrator.clock import to_rfc3339
from orchestrator.store.lanes import HIDDEN_TROUBLE
from tests.e2e import bulk
from tests.e2e.bulk import BATCHES, Headers, batch_of, batch_when, finished, line, order, results, sent
from tests.e2e.program import until
from tests.e2e.stack import Json, Stack, data_of, marked

IN_FLIGHT = 4
COUNT = 30


@pytest.fixture
async def tenant(stack: Stack) -> dict[str, str]:
    """A tenant of which four jobs at most are at the provider."""
    return await bulk.new_tenant(stack, max_in_flight=IN_FLIGHT)


async def half_way(stack: Stack, tenant: Headers, **query: str) -> Json:
    """A batch whose first lines run until they are finished, and whose others wait for them."""
    lines = [line(marked("hold")) for _ in range(IN_FLIGHT)] + [line() for _ in range(COUNT - IN_FLIGHT)]
    batch = await sent(stack, lines, headers=tenant, **query)
    for job in (await bulk.rows_of(stack, batch["id"]))[:IN_FLIGHT]:
        await in_phase(stack, job["id"], "accepted")
    return batch


async def test_a_paused_batch_submits_nothing_new_and_completes_when_resumed(
    stack: Stack, tenant: Headers
) -> None:
    batch = await half_way(stack, tenant)
    paused = await order(stack, batch["id"], "pause", tenant)
    assert paused["state"] == "paused"
    await bulk.steps_are_done(stack, batch["id"])
    await bulk.finish_tasks(stack, batch["id"])
    now = await batch_when(stack, batch["id"], lambda now: now["counts"]["processing"] == 0, headers=tenant)
    assert (now["state"], now["eta_seconds"]) == ("paused", None)
    # Claims go on: what was made later goes before what is paused.
    other = await sent(stack, [line()], headers=tenant)
    await finished(stack, other["id"], headers=tenant)
    now = await batch_of(stack, batch["id"], tenant)
    assert now["counts"] == {
        "created": COUNT - IN_FLIGHT,
        "processing": 0,
        "completed": IN_FLIGHT,
        "failed": 0,
    }
    assert (await order(stack, batch["id"], "resume", tenant))["state"] == "running"
    ended = await finished(stack, batch["id"], headers=tenant)
    assert (ended["state"], ended["counts"]["completed"]) == ("completed", COUNT)


async def test_a_batch_says_that_its_lane_pauses_and_why(stack: Stack) -> None:
    await stack.ledger.pause_lanes()
    batch = await sent(stack, [line()])
    await bulk.steps_are_done(stack, batch["id"])
    assert (await batch_of(stack, batch["id"]))["waiting_for"] == "a test"
    await order(stack, batch["id"], "pause")
    assert (await batch_of(stack, batch["id"]))["waiting_for"] == ""
    await order(stack, batch["id"], "resume")
    await stack.ledger.calm_lanes()
    assert (await finished(stack, batch["id"]))["waiting_for"] == ""


async def test_a_batch_says_that_it_waits_for_credit_and_goes_on_by_itself(own_stack: Stack) -> None:
    stack = own_stack
    await stack.control("faults", fault="no-credit")
    batch = await sent(stack, [line(), line()])
    waiting = await batch_when(stack, batch["id"], lambda now: bool(now["waiting_for"]))
    assert "credit" in waiting["waiting_for"]
    theirs = await bulk.new_tenant(stack)
    their_batch = f"{BATCHES}/{(await sent(stack, [line()], headers=theirs))['id']}"

    async def is_told() -> str:
        return str(data_of(await stack.http.get(their_batch, headers=theirs))["waiting_for"])

    assert await until(is_told, what="the other tenant's batch to wait") == HIDDEN_TROUBLE
    await stack.mend()
    await stack.ledger.make_account_check_due()
    ended = await finished(stack, batch["id"])
    assert (ended["counts"]["completed"], ended["waiting_for"]) == (2, "")


async def test_a_cancelled_batch_ends_what_was_not_sent_and_waits_for_what_runs(
    stack: Stack, tenant: Headers
) -> None:
    batch = await half_way(stack, tenant)
    assert (await order(stack, batch["id"], "cancel", tenant))["state"] == "cancelling"
    now = await batch_when(
        stack, batch["id"], lambda now: now["counts"]["failed"] == COUNT - IN_FLIGHT, headers=tenant
    )
    assert (now["state"], now["counts"]["processing"], now["finished_at"]) == ("cancelling", IN_FLIGHT, "")
    await bulk.steps_are_done(stack, batch["id"])
    await bulk.finish_tasks(stack, batch["id"])
    ended = await finished(stack, batch["id"], headers=tenant)
    assert (ended["state"], ended["counts"]["completed"]) == ("cancelled", IN_FLIGHT)
    (kind,) = ended["failures"]
    assert (kind["reason"], kind["count"]) == ("cancelled", COUNT - IN_FLIGHT)
    told = await results(stack, batch["id"], tenant)
    assert {one["reason"] for one in told if one["status"] == "failed"} == {"cancelled"}


async def test_orders_that_make_no_sense_are_refused_with_the_state(stack: Stack, tenant: Headers) -> None:
    batch = await half_way(stack, tenant)
    assert await refused(stack, batch, "resume", tenant) == "running"
    await order(stack, batch["id"], "pause", tenant)
    assert await refused(stack, batch, "pause", tenant) == "paused"
    await order(stack, batch["id"], "cancel", tenant)
    for verb in ("pause", "resume", "cancel"):
        assert await refused(stack, batch, verb, tenant) == "cancelling"
    await bulk.steps_are_done(stack, batch["id"])
    await bulk.finish_tasks(stack, batch["id"])
    await finished(stack, batch["id"], headers=tenant)
    # What was cancelled was cancelled on purpose: there is nothing else to retry.
    for verb in ("pause", "resume", "cancel", "retry-failed"):
        assert await refused(stack, batch, verb, tenant) == "cancelled"
    retried = await stack.http.post(f"{BATCHES}/{batch['id']}/retry-failed", headers=tenant)
    assert "what was cancelled only by its fingerprint" in retried.json()["message"]


async def refused(stack: Stack, batch: Json, verb: str, tenant: Headers) -> str:
    """The state that the refusal names."""
    answer = await stack.http.post(f"{BATCHES}/{batch['id']}/{verb}", headers=tenant)
    assert answer.status_code == 409, answer.text
    return str(answer.json()["message"].rpartition(" ")[2].rstrip("."))


async def test_all_that_failed_is_retried_and_the_batch_runs_again(stack: Stack) -> None:
    batch = await sent(stack, [line(marked("fail=1403", "times=1")), line(), line(marked("refuse=400"))])
    assert (await finished(stack, batch["id"]))["counts"]["failed"] == 2
    again = await order(stack, batch["id"], "retry-failed")
    assert (again["retrying"], again["state"], again["finished_at"]) == (2, "running", "")
    ended = await finished(stack, batch["id"])
    assert (ended["counts"]["completed"], ended["failures"]) == (3, [])


async def test_one_kind_of_failure_is_retried_and_no_other(stack: Stack) -> None:
    batch = await sent(stack, [line(marked("refuse=400")), line(marked("fail=1403"))])
    before = await finished(stack, batch["id"])
    rows = await bulk.rows_of(stack, batch["id"])
    answer = await stack.http.post(f"{BATCHES}/{batch['id']}/retry-failed", params={"fingerprint": "0" * 16})
    assert (answer.status_code, answer.json()["field"]) == (400, "fingerprint")
    assert len(before["failures"]) == 2
    again = await order(stack, batch["id"], "retry-failed", fingerprint=rows[0]["fingerprint"])
    assert again["retrying"] == 1
    ended = await finished(stack, batch["id"])
    assert [one["status"] for one in await results(stack, batch["id"])] == ["completed", "failed"]
    assert [one["fingerprint"] for one in ended["failures"]] == [rows[1]["fingerprint"]]


async def test_failures_of_a_kind_that_is_too_rare_to_be_listed_are_retried_and_counted(stack: Stack) -> None:
    batch = await sent(stack, [line(marked("fail=1403", "times=1"))])
    await finished(stack, batch["id"])
    await stack.ledger.change(
        "INSERT INTO batch_failures (batch_id, fingerprint, reason, message, count)"
        " WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100)"
        " SELECT :id, CAST(n AS TEXT), 'rejected', '', 2 FROM numbers",
        id=batch["id"],
    )
    (row,) = await bulk.rows_of(stack, batch["id"])
    listed = {one["fingerprint"] for one in (await batch_of(stack, batch["id"]))["failures"]}
    assert len(listed) == 100
    assert row["fingerprint"] not in listed
    again = await order(stack, batch["id"], "retry-failed", fingerprint=row["fingerprint"])
    assert again["retrying"] == 1
    await finished(stack, batch["id"])
    assert (await order(stack, batch["id"], "retry-failed"))["retrying"] == 200
    await stack.ledger.change(
        "DELETE FROM batch_failures WHERE batch_id = :id AND reason = 'rejected'", id=batch["id"]
    )
    await finished(stack, batch["id"])


async def test_a_batch_that_ended_while_it_was_paused_can_be_retried(stack: Stack) -> None:
    batch = await sent(stack, [line(marked("refuse=400", "slow=1"))])
    (job,) = await bulk.rows_of(stack, batch["id"])
    await in_phase(stack, job["id"], "submitting")
    assert (await order(stack, batch["id"], "pause"))["state"] == "paused"
    assert (await finished(stack, batch["id"]))["counts"]["failed"] == 1
    await bulk.steps_are_done(stack, batch["id"])
    assert (await order(stack, batch["id"], "retry-failed"))["retrying"] == 1
    assert (await finished(stack, batch["id"]))["counts"]["completed"] == 1


async def in_phase(stack: Stack, job_id: str, phase: str) -> None:
    """Whosever job it is."""

    async def look() -> bool:
        return bool(await stack.ledger.one("SELECT phase FROM jobs WHERE id = :id", id=job_id) == phase)

    await until(look, what=f"{phase} of job {job_id}")


async def test_a_batch_waits_for_its_not_before_and_goes_then(stack: Stack) -> None:
    batch = await sent(stack, [line()], not_before="2999-01-01T00:00:00Z", finish_by="2999-01-02T00:00:00Z")
    await bulk.steps_are_done(stack, batch["id"])
    other = await sent(stack, [line()])
    await finished(stack, other["id"])
    (job,) = await bulk.rows_of(stack, batch["id"])
    assert (job["phase"], job["attempt"]) == ("waiting", 0)
    await stack.ledger.end_backoff(job["id"])
    assert (await finished(stack, batch["id"]))["counts"]["completed"] == 1


async def test_what_a_step_does_to_many_jobs_is_one_line_of_the_log(stack: Stack) -> None:
    batch = await sent(stack, bulk.lines_of(5), not_before="2999-01-01T00:00:00Z")
    await bulk.steps_are_done(stack, batch["id"])
    await stack.http.post(f"{BATCHES}/{batch['id']}/cancel")
    await finished(stack, batch["id"])
    log = [row for program in stack.programs for row in program.said().splitlines() if "moved" in row]
    (told,) = [row for row in log if batch["id"] in row and '"verb": "fail"' in row]
    assert '"jobs": 5' in told
    ids = [row["id"] for row in await bulk.rows_of(stack, batch["id"])]
    assert not [row for row in log for job_id in ids if job_id in row]


async def test_what_has_not_started_by_its_start_by_expires_with_a_reason_that_names_it(
    stack: Stack, tenant: Headers
) -> None:
    moment = to_rfc3339(1_000)
    batch = await sent(stack, [line(start_by=moment), line(finish_by=moment), line()], headers=tenant)
    await finished(stack, batch["id"], headers=tenant)
    started, ended, good = await results(stack, batch["id"], tenant)
    assert (started["status"], started["reason"]) == ("failed", "expired")
    assert f"start_by, {moment}" in started["error"]
    assert f"finish_by, {moment}" in ended["error"]
    assert good["status"] == "completed"
    assert not await stack.tasks(started["id"])


async def test_lower_priorities_go_first(stack: Stack) -> None:
    tenant = await bulk.new_tenant(stack, max_in_flight=1)
    await stack.ledger.pause_lanes()
    batch = await sent(stack, [line(priority=number) for number in (9, 0, 5, 3)] + [line()], headers=tenant)
    await bulk.steps_are_done(stack, batch["id"])
    await stack.ledger.calm_lanes()
    await finished(stack, batch["id"], headers=tenant)
    rows = await bulk.rows_of(stack, batch["id"])
    in_order = sorted(rows, key=lambda row: (row["started_at"], row["priority"]))
    assert [row["priority"] for row in in_order] == [0, 3, 5, 6, 9]


async def test_a_batch_that_can_never_fit_leaves_nothing_and_may_be_sent_again(
    stack: Stack,
) -> None:
    tenant = await bulk.new_tenant(stack, max_queued=5)
    lines = bulk.lines_of(6)
    answer = await bulk.send(stack, lines, key="full", headers=tenant)
    assert (answer.status_code, "retry-after" in answer.headers) == (400, False), answer.text
    assert data_of(await stack.http.get(BATCHES, headers=tenant))["items"] == []
    await bulk.lift_limits(stack)
    batch = await sent(stack, lines, key="full", headers=tenant)
    assert (await finished(stack, batch["id"], headers=tenant))["total"] == 6
