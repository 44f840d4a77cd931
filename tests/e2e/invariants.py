"""What must hold after every run, whatever was done to it: our ledger against the provider's own bill.

The names I1 to I12 are those of the project's list of invariants; a check that fails says which, and
of what job.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from itertools import pairwise
from urllib.parse import urlsplit

import msgspec

from orchestrator.job import public_state
from orchestrator.store.tallies import STATES
from tests.e2e.canaries import check_logs_and_tables, secrets_of
from tests.e2e.program import until
from tests.e2e.stack import Json, Stack

MOST_OVERDUE_MS = 60_000


async def check_invariants(stack: Stack) -> None:
    """All of them at once; the stack may be running or stopped, but its sandbox must be up."""
    ledger = await _read_between_moves(stack)
    jobs, attempts = ledger["jobs"], _by_job(ledger["attempts"])
    events = {name: _in_order(rows) for name, rows in _by_job(ledger["events"]).items()}
    deliveries = _by_job(ledger["deliveries"])
    bill = await stack.tasks()
    tasks = _tasks_by_job(bill)
    for job in jobs:
        name = job["id"]
        events[name] = [*_beginning(job), *events.get(name, [])]
        _is_not_lost(job, attempts[name])
        _is_paid_once(job, events[name], tasks[name])
        _never_goes_back(job, events[name])
        _tells_the_truth(job, attempts[name], {task["id"]: task for task in bill})
        _is_told_once(job, events[name], deliveries[name])
    _counts_its_batches(ledger)
    await _counts_its_stages(stack)
    await _keeps_the_limits(stack)
    _meets_no_defect(stack)
    await check_logs_and_tables(stack, await secrets_of(stack))  # I12


async def _counts_its_stages(stack: Stack) -> None:
    """What the dashboard shows is what a count of the jobs gives, once the log has been counted."""
    if not any(program.running for program in stack.workers or stack.servers):
        return  # nobody counts

    wrong: list[Json] = []

    async def is_counted() -> bool:
        nonlocal wrong
        wrong = await stack.ledger.rows(_MISCOUNTED)
        return not wrong

    try:
        await until(is_counted, what="the counters of stages to be those of the jobs", within=20)
    except AssertionError as late:
        raise AssertionError(f"{late}: {wrong}") from None


_MISCOUNTED = """
    SELECT lane_id, tenant_id, phase, sum(count) AS more FROM (
        SELECT lane_id, tenant_id, phase, count(*) AS count FROM jobs
        WHERE phase IN ('ready', 'waiting', 'submitting', 'in_doubt', 'accepted')
        GROUP BY lane_id, tenant_id, phase
        UNION ALL SELECT lane_id, tenant_id, phase, -count FROM stages
    ) AS counted GROUP BY lane_id, tenant_id, phase HAVING sum(count) <> 0
"""
_TABLES = {
    "jobs": "SELECT jobs.*, documents.ending AS told FROM jobs JOIN documents ON documents.job_id = jobs.id",
    "attempts": "SELECT * FROM attempts ORDER BY number",
    "events": "SELECT * FROM events WHERE job_id IS NOT NULL ORDER BY id",
    "deliveries": "SELECT * FROM deliveries ORDER BY id",
    "batches": "SELECT * FROM batches WHERE state <> 'discarded'",
    "failures": "SELECT * FROM batch_failures WHERE count <> 0",
}


async def _read_between_moves(stack: Stack) -> dict[str, list[Json]]:
    """All tables as they were at one moment: jobs that a test has left running go on meanwhile."""

    async def look() -> dict[str, list[Json]] | None:
        before = await stack.ledger.one("SELECT count(*) FROM events")
        tables = {name: await stack.ledger.rows(statement) for name, statement in _TABLES.items()}
        return tables if await stack.ledger.one("SELECT count(*) FROM events") == before else None

    return await until(look, what="a moment in which nothing moves") or {}


def _by_job(rows: list[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = defaultdict(list)
    for row in rows:
        found[row["job_id"]].append(row)
    return found


def _tasks_by_job(bill: list[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = defaultdict(list)
    for task in bill:
        if "/callbacks/" in task["webhook"]:
            *_, job, attempt, _token = urlsplit(task["webhook"]).path.split("/")
            found[job].append({**task, "attempt": int(attempt)})
    return found


def _beginning(job: Json) -> list[Json]:
    """What the log does not tell of a batch's line: it was stored, and held."""
    return [] if job["batch_id"] is None else [{"verb": "create", "to_phase": "held", "attempt": 0}]


def _in_order(events: list[Json]) -> list[Json]:
    """As one chain, each event where the one before it led to.

    The clocks of two processes differ by some ms, and so may the ids of events that follow closely.
    """
    left, chain = list(events), []
    phase = None if any(event["from_phase"] is None for event in events) else "held"
    while left:
        fitting = (event for event in left if event["from_phase"] == phase)
        event = next(fitting, left[0])
        left.remove(event)
        chain.append(event)
        phase = event["to_phase"]
    return chain


def _is_not_lost(job: Json, attempts: list[Json]) -> None:
    """I1: final, or somebody will come for it, and is not late."""
    if job["phase"] in ("completed", "failed", "ready", "held"):
        return
    times = [row["check_at"] for row in attempts if row["check_at"] is not None]
    times += [job["due_at"]] if job["due_at"] is not None else []
    assert times, f"I1: nobody will come for {job}"
    overdue_ms = time.time() * 1_000 - min(times)
    assert overdue_ms < MOST_OVERDUE_MS, f"I1: {overdue_ms} ms overdue: {job}"


def _is_paid_once(job: Json, events: list[Json], tasks: list[Json]) -> None:
    """I2: one task an attempt, and another only when the task before was of no use, or on request."""
    numbers = [task["attempt"] for task in tasks]
    assert len(set(numbers)) == len(numbers), f"I2: attempts {numbers} were paid, of {job['id']}"
    redriven_before = {event["attempt"] + 1 for event in events if event["verb"] in ("redrive", "release")}
    for earlier, later in pairwise(tasks):
        is_wished = any(earlier["attempt"] < number <= later["attempt"] for number in redriven_before)
        was_useless = earlier["status"] == "failed" or not earlier["outputs"]
        assert is_wished or was_useless, f"I2: {job['id']} was paid again beside {earlier}"
        assert is_wished or earlier["ended_ms"] <= later["created_ms"], (
            f"I2: two tasks at once of {job['id']}"
        )


def _never_goes_back(job: Json, events: list[Json]) -> None:
    """I3 and I6: the events are one chain that ends in the job's phase; an end is left only as it may be."""
    chain = [events[0]["to_phase"]]
    for event in events[1:]:
        assert event["from_phase"] == chain[-1], f"I6: a gap in the events of {job['id']}: {events}"
        assert chain[-1] != "completed", f"I3: {job['id']} left its completion"
        if chain[-1] == "failed":
            assert event["verb"] in ("redrive", "complete"), f"I3: {job['id']} left its failure by {event}"
        chain.append(event["to_phase"])
    assert chain[-1] == job["phase"], f"I6: {job['id']} is {job['phase']}, its events say {chain}"
    endings = sum(phase in ("completed", "failed") for phase in chain)
    assert endings == job["ending"], f"I6: {job['id']} ended {endings} times, it counts {job['ending']}"


def _tells_the_truth(job: Json, attempts: list[Json], bill: dict[str, Json]) -> None:
    """I4: what it gives is what the task of one of its attempts gave.

    A task that was adopted from the history may have been made for another job with the same input.
    """
    if job["phase"] != "completed":
        return
    given = msgspec.json.decode(job["told"])["result"]["outputs"]
    made = [bill[row["provider_id"]]["outputs"] for row in attempts if row["provider_id"]]
    assert given in made, f"I4: {job['id']} gives {given}, its tasks gave {made}"


def _is_told_once(job: Json, events: list[Json], deliveries: list[Json]) -> None:
    """I5 and I6: a delivery for each end, written with it. Who listens besides may change at any time."""
    deliveries = [row for row in deliveries if row["endpoint_id"] is None]
    expected = [f"{job['id']}-{ending}" for ending in range(1, job["ending"] + 1)] if job["webhook"] else []
    told = sorted(row["id"] for row in deliveries)
    assert told == sorted(expected), f"I5: the deliveries of {job['id']}: {deliveries}"


def _counts_its_batches(ledger: dict[str, list[Json]]) -> None:
    """I9: the counters of a batch and of its failures say what a count of its jobs says."""
    jobs = [job for job in ledger["jobs"] if job["batch_id"] is not None]
    states = Counter((job["batch_id"], public_state(job["phase"], job["attempt"])) for job in jobs)
    for batch in ledger["batches"]:
        counted = {state: states[batch["id"], state] for state in STATES}
        assert {state: batch[state] for state in STATES} == counted, f"I9: {batch} has {counted}"
        has_ended = batch["state"] != "receiving" and not counted["created"] + counted["processing"]
        assert (batch["finished_at"] is not None) == has_ended, f"I9: {batch} has {counted}"
    failures = Counter((job["batch_id"], job["fingerprint"]) for job in jobs if job["fingerprint"])
    rows = ledger["failures"]
    told = {(row["batch_id"], row["fingerprint"]): row["count"] for row in rows}
    assert told == dict(failures), "I9: the failures of batches"
    assert all(row["reason"] and row["message"] for row in rows), f"I9: a failure without words: {rows}"


async def _keeps_the_limits(stack: Stack) -> None:
    """I7, as the provider counted."""
    (account,) = await stack.ledger.rows("SELECT max_in_flight FROM accounts")
    per_minute = await stack.ledger.one("SELECT sum(per_minute) FROM lanes WHERE media <> 'poll'")
    seen = (await stack.provider.get("/control/stats")).json()
    assert seen["most_open"] <= account["max_in_flight"], f"I7: {seen}"
    assert seen["most_submits_in_60_s"] <= per_minute, f"I7: {seen}"


def _meets_no_defect(stack: Stack) -> None:
    """No defect of ours in any log, and no path of a callback, which carries a token."""
    for program in stack.programs:
        said = program.said()
        assert "/callbacks/wavespeed/" not in said, f"I12: {program.name} logged a callback's path"
        assert "Traceback" not in said, (
            f"{program.name} met a defect:\n{said[said.index('Traceback') :][:3_000]}"
        )
        assert '"level": "error"' not in said, f"{program.name} logged an error:\n{said[-3_000:]}"
