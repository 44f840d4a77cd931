"""Open attempts whose time has come to ask the provider about them."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.ids import first_id_at
from orchestrator.job import Attempt, Job
from orchestrator.store import dialect, rows
from orchestrator.store.polls import take_polls
from orchestrator.store.retention import DELETED_TASK

# While one worker asks, nobody else does; if it dies, another asks after this long.
_TAKEN_MS = 60_000


class Check(msgspec.Struct, frozen=True):
    """An attempt to ask about, with its job as it was a moment ago."""

    job: Job
    attempt: Attempt


def take_due_checks(connection: Connection, *, account_id: str, now: int, most: int) -> list[Check]:
    """The attempts due longest, as many as the account's polls allow, marked so that no other worker takes
    them for a minute.
    """
    locking = dialect.lock(connection.dialect.name, skip_locked=True)
    found = connection.execute(
        dialect.sql(
            "SELECT job_id, number FROM attempts WHERE check_at <= :now AND account_id = :account"
            f" ORDER BY check_at LIMIT :most{locking}"
        ),
        {"now": now, "most": most, "account": account_id},
    ).all()
    found = found[: take_polls(connection, account_id=account_id, most=len(found), now=now)] if found else []
    if not found:
        return []
    connection.execute(
        dialect.sql("UPDATE attempts SET check_at = :taken WHERE job_id = :job AND number = :number"),
        [{"taken": now + _TAKEN_MS, "job": row[0], "number": row[1]} for row in found],
    )
    attempts = rows.read_attempts(connection, [(row[0], row[1]) for row in found])
    jobs = rows.read_jobs(connection, [row[0] for row in found])
    return [Check(jobs[attempt.job_id], attempt) for attempt in attempts.values() if attempt.job_id in jobs]


class Siblings(msgspec.Struct, frozen=True):
    """Open attempts of one account that ask for the same, near one time."""

    in_doubt: list[Attempt]
    are_some_submitting: bool


def siblings(
    connection: Connection, *, account_id: str, input_hashes: list[str], after: int, before: int
) -> Siblings:
    """Those whose task nobody knows yet, oldest first; each hash is one of the same input."""
    is_alike = dialect.one_of(connection.dialect.name, "attempts.input_hash")
    found = connection.execute(
        dialect.sql(
            f"SELECT {rows.ATTEMPT_COLUMNS}, jobs.phase, jobs.attempt FROM attempts JOIN jobs"
            " ON jobs.id = attempts.job_id WHERE attempts.account_id = :account"
            f" AND {is_alike} AND attempts.ended_at IS NULL"
            " AND attempts.provider_id IS NULL AND attempts.claimed_at BETWEEN :after AND :before"
            " ORDER BY attempts.claimed_at, attempts.job_id"
        ),
        {"account": account_id, "ids": dialect.to_json(input_hashes), "after": after, "before": before},
    ).all()
    attempts = [(rows.to_attempt(row), row[-2], row[-1]) for row in found]
    return Siblings(
        in_doubt=[a for a, phase, newest in attempts if phase == "in_doubt" and newest == a.number],
        are_some_submitting=any(phase == "submitting" for _, phase, _ in attempts),
    )


def other_inputs(
    connection: Connection,
    *,
    account_id: str,
    model: str,
    input_hashes: list[str],
    after: int,
    before: int,
    most: int,
    longest: int,
) -> list[str | None]:
    """At most so many inputs, as JSON text, of attempts of the model that ask for something else and whose
    task nobody knows yet; None for one that is longer than `longest`.
    """
    is_alike = dialect.one_of(connection.dialect.name, "attempts.input_hash")
    found = connection.execute(
        dialect.sql(
            "SELECT CASE WHEN length(documents.input) <= :longest THEN documents.input END"
            " FROM attempts JOIN jobs ON jobs.id = attempts.job_id"
            " JOIN documents ON documents.job_id = attempts.job_id WHERE attempts.account_id = :account"
            " AND attempts.ended_at IS NULL AND attempts.provider_id IS NULL"
            " AND attempts.claimed_at BETWEEN :after AND :before"
            f" AND jobs.model = :model AND NOT ({is_alike}) LIMIT :most"
        ),
        {
            "account": account_id,
            "model": model,
            "ids": dialect.to_json(input_hashes),
            "after": after,
            "before": before,
            "most": most,
            "longest": longest,
        },
    )
    return [row[0] for row in found]


def known_among(connection: Connection, *, account_id: str, provider_ids: list[str], since: int) -> set[str]:
    """Those of the provider's ids that some attempt has, or had when its job was deleted since then."""
    name = connection.dialect.name
    found = connection.execute(
        dialect.sql(
            "SELECT provider_id FROM attempts"
            f" WHERE account_id = :account AND {dialect.one_of(name, 'provider_id')}"
            " UNION ALL SELECT object FROM audit"
            f" WHERE id >= :since AND action = :action AND {dialect.one_of(name, 'object')}"
        ),
        {
            "account": account_id,
            "ids": dialect.to_json(provider_ids),
            "since": first_id_at(since),
            "action": DELETED_TASK,
        },
    )
    return {row[0] for row in found}


def holder_of(connection: Connection, *, account_id: str, provider_id: str) -> Attempt | None:
    """The attempt that has this id of the provider's."""
    found = connection.execute(
        dialect.sql(
            f"SELECT {rows.ATTEMPT_COLUMNS} FROM attempts"
            " WHERE account_id = :account AND provider_id = :provider_id"
        ),
        {"account": account_id, "provider_id": provider_id},
    ).first()
    return rows.to_attempt(found) if found else None
