"""A database as months of use would leave it, made by a few statements: for the figures of views."""

from __future__ import annotations

import time
from functools import partial

from sqlalchemy import Connection, text

from orchestrator.clock import DAY, HOUR, MINUTE
from orchestrator.policy import Limits
from orchestrator.store import keys, lanes, schema, sessions
from orchestrator.store.database import open_database
from orchestrator.store.figures import EVER, SPANS

TENANTS = 5
PER_BATCH = 1_000
_BATCHES = 200
_AT_ONCE = 100_000
_PERIOD_MS = 30 * DAY
_LIMITS = Limits(image_per_minute=500, video_per_minute=60, max_in_flight=100)
# Of each thousand jobs; the newest ones are those that have not ended.
_OPEN = 6_000

_COUNTED = (
    *("created", "claimed", "completed", "failed", "reason_exhausted", "outcome_throttled"),
    *("found_by_callback", "found_by_poll", "callback_applied"),
)
_TIMED = ("wait", "submit", "run", "total")
_NUMBERS = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last)"
    " SELECT n FROM s)",
    "postgresql": "(SELECT n FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS s(n))",
}
_ID = {
    "sqlite": "printf('%012x7%03x8%015x', {at}, {n} % 4096, {n})",
    "postgresql": "lpad(to_hex({at}), 12, '0') || '7' || lpad(to_hex({n} % 4096), 3, '0') || '8'"
    " || lpad(to_hex({n}), 15, '0')",
}
_PHASE = (
    "CASE WHEN n < :ended THEN CASE WHEN n % 100 < 95 THEN 'completed' ELSE 'failed' END"
    " WHEN n % 10 < 8 THEN 'ready' ELSE 'waiting' END"
)


async def generate(url: str, *, jobs: int, api_key: str, token: str) -> None:
    """`token` logs in to the dashboard as the owner of `api_key`."""
    database = open_database(url)
    now = int(time.time() * 1_000)
    await database.write(schema.upgrade)
    await database.write(partial(_begin, api_key=api_key, token=token, now=now))
    for first in range(0, jobs, _AT_ONCE):
        last = min(jobs, first + _AT_ONCE) - 1
        await database.write(partial(_jobs, first=first, last=last, jobs=jobs, now=now))
    await database.write(partial(_rest, now=now))
    await database.write(lambda connection: connection.execute(text("ANALYZE")))
    await database.close()


def _begin(connection: Connection, *, api_key: str, token: str, now: int) -> None:
    lanes.ensure_account(connection, account_id="wavespeed", provider="wavespeed", limits=_LIMITS, now=now)
    keys.ensure_first_key(connection, key=api_key, now=now)
    key_id = connection.execute(text("SELECT id FROM api_keys")).scalar_one()
    sessions.open_session(connection, token=token, key_id=key_id, now=now)
    for number in range(1, TENANTS):
        connection.execute(
            text("INSERT INTO tenants (id, name, created_at) VALUES (:id, :name, :now)"),
            {"id": f"{number:032x}", "name": f"team-{number}", "now": now},
        )


def _jobs(connection: Connection, *, first: int, last: int, jobs: int, now: int) -> None:
    name = connection.dialect.name
    at = f"({now - _PERIOD_MS} + CAST(n AS bigint) * {_PERIOD_MS} / {jobs})"
    identifier = _ID[name].format(at=at, n="n")
    tenant = (
        f"CASE WHEN n % 5 = 0 OR n < {_BATCHES * PER_BATCH} THEN (SELECT min(tenant_id) FROM api_keys) ELSE "
        + ("printf('%032x', n % 5) END" if name == "sqlite" else "lpad(to_hex(n % 5), 32, '0') END")
    )
    batched = f"n < {_BATCHES * PER_BATCH} AND n < :ended"
    batch = _ID[name].format(at=now - _PERIOD_MS, n=f"(n / {PER_BATCH})")
    values = {"first": first, "last": last, "ended": jobs - _OPEN}
    run = partial(_run, connection, values=values)
    run(
        "INSERT INTO jobs (id, tenant_id, lane_id, model, api_version, media, priority, phase, reason,"
        " attempt, tries, ending, created_at, input_hash, batch_id, line, custom_id, due_at, started_at,"
        " accepted_at, finished_at, fingerprint)"
        f" SELECT {identifier}, {tenant}, 'wavespeed/image',"
        " CASE n % 3 WHEN 0 THEN 'wavespeed-ai/flux-dev' WHEN 1 THEN 'wavespeed-ai/flux-redux-dev'"
        " ELSE 'wavespeed-ai/flux-kontext-pro' END, 'v3', 'image', 3,"
        f" {_PHASE}, CASE WHEN n < :ended AND n % 100 >= 95 THEN"
        " CASE n % 100 WHEN 95 THEN 'cancelled' WHEN 96 THEN 'rejected' ELSE 'exhausted' END END,"
        f" CASE WHEN n < :ended THEN 1 ELSE 0 END, 1, CASE WHEN n < :ended THEN 1 ELSE 0 END, {at}, '',"
        f" CASE WHEN {batched} THEN {batch} END, CASE WHEN {batched} THEN n % {PER_BATCH} END,"
        f" CASE WHEN {batched} THEN 'item-' || n END,"
        f" CASE WHEN n >= :ended AND n % 10 >= 8 THEN {now} + 600000 END,"
        f" CASE WHEN n < :ended THEN {at} + 300 END, CASE WHEN n < :ended THEN {at} + 900 END,"
        f" CASE WHEN n < :ended THEN {at} + 4000 + (n % 50) * 100 END,"
        " CASE WHEN n < :ended AND n % 100 >= 95 THEN 'kind-' || (n % 17) END"
        f" FROM {_NUMBERS[name]} AS numbers"
    )
    answer = (
        """'{"result":{"outputs":["https://example.com/' || n || '.png"]}}'""",
        """'{"error":{"kind":"task_failed","message":"The provider failed on part ' || (n % 17) || '."}}'""",
    )
    run(
        "INSERT INTO documents (job_id, input, ending)"
        f" SELECT {identifier}, '{{\"prompt\":\"a lighthouse number ' || n || '\"}}',"
        f" CASE WHEN n >= :ended THEN NULL WHEN n % 100 < 95 THEN {answer[0]} ELSE {answer[1]} END"
        f" FROM {_NUMBERS[name]} AS numbers"
    )
    run(
        "INSERT INTO attempts (job_id, number, account_id, claimed_at, input_hash, provider_id, sent_at,"
        " answered_at, ended_at, ended_by, outcome)"
        f" SELECT {identifier}, 1, 'wavespeed', {at} + 300, '', 'task-' || n, {at} + 310, {at} + 900,"
        f" {at} + 4000, 'callback', CASE WHEN n % 100 < 95 THEN 'completed' ELSE 'failed' END"
        f" FROM {_NUMBERS[name]} AS numbers WHERE n < :ended"
    )


def _rest(connection: Connection, *, now: int) -> None:
    run = partial(_run, connection)
    run(
        "INSERT INTO shares (lane_id, tenant_id, priority) SELECT DISTINCT lane_id, tenant_id, priority"
        " FROM jobs WHERE phase = 'ready'"
    )
    run(
        "INSERT INTO batches (id, tenant_id, name, mode, model, state, created_at, request_hash, opened_at,"
        " finished_at, completed, failed)"
        " SELECT batch_id, min(tenant_id), 'batch ' || min(line), 'atomic', min(model), 'open',"
        " min(created_at), '', min(created_at), max(finished_at),"
        " sum(CASE WHEN phase = 'completed' THEN 1 ELSE 0 END),"
        " sum(CASE WHEN phase = 'failed' THEN 1 ELSE 0 END)"
        " FROM jobs WHERE batch_id IS NOT NULL GROUP BY batch_id"
    )
    run(
        "INSERT INTO batch_failures (batch_id, fingerprint, reason, message, count)"
        " SELECT batch_id, fingerprint, min(reason), 'The provider failed.', count(*) FROM jobs"
        " WHERE batch_id IS NOT NULL AND fingerprint IS NOT NULL GROUP BY batch_id, fingerprint"
    )
    run(
        "INSERT INTO deliveries (id, job_id, tenant_id, url, host, phase, ending, state, created_at, due_at,"
        " failures, finished_at, event, scheme)"
        " SELECT id || '-1', id, tenant_id, 'https://hooks.example.com/' || custom_id, 'hooks.example.com',"
        " phase, '{}', CASE WHEN phase = 'completed' THEN 'delivered' ELSE 'dead' END, finished_at, NULL, 1,"
        " finished_at, 'job.completed', 'v3' FROM jobs WHERE batch_id IS NOT NULL AND line < 250"
    )
    run(
        "INSERT INTO stages (lane_id, tenant_id, phase, count)"
        " SELECT lane_id, tenant_id, phase, count(*) FROM jobs WHERE finished_at IS NULL"
        " GROUP BY lane_id, tenant_id, phase"
    )
    named = " UNION ALL ".join(
        [f"SELECT '{name}' AS name, 0 AS bucket" for name in _COUNTED]
        + [f"SELECT '{name}', {bucket}" for name in _TIMED for bucket in range(20, 56, 6)]
    )
    for span, size, length in (
        ("minute", MINUTE, HOUR),
        ("quarter", 15 * MINUTE, DAY),
        ("hour", HOUR, _PERIOD_MS),
        (EVER, SPANS[EVER], SPANS[EVER]),
    ):
        run(
            "INSERT INTO figures (span, at, lane_id, tenant_id, name, bucket, count)"
            f" SELECT '{span}', {now - now % size} - numbers.n * {size}, 'wavespeed/image', t.id, f.name,"
            f" f.bucket, 10 FROM {_NUMBERS[connection.dialect.name]} AS numbers CROSS JOIN tenants t"
            f" CROSS JOIN ({named}) AS f",
            values={"first": 0, "last": length // size - 1},
        )


def _run(connection: Connection, statement: str, *, values: dict[str, int] | None = None) -> None:
    connection.execute(text(statement), values or {})
