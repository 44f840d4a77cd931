"""What every worker looks after: timers of jobs, accounts in trouble, and rows that have had their time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec.structs import replace

from orchestrator import lifecycle, policy
from orchestrator.clock import DAY, to_rfc3339
from orchestrator.decision import Applied, Decide, Decision
from orchestrator.errors import Busy
from orchestrator.evidence import Error, ErrorKind, Source
from orchestrator.flow import reckon
from orchestrator.flow.attempts import Rules, look_up_later
from orchestrator.flow.endpoints import reseal
from orchestrator.job import Attempt, Job, Phase, Reason, deadline, is_in_doubt
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store import (
    actions,
    batch_uploads,
    batches,
    lane_signals,
    retention,
    sessions,
    turns,
    views,
)
from orchestrator.store.trouble import TookTooLong

_AT_A_TIME = 200
_DELETED_AT_A_TIME = 100
_KEYS_AT_A_TIME = 1_000
_BETWEEN_STEPS_S = 0.05
_KEYS_KEPT_MS = 7 * DAY
# How long an upload that broke off can be gone on with.
_RESUMABLE_MS = DAY


async def sweep_jobs(runtime: Runtime) -> None:
    """Move every job whose timer has run out. Those that cannot be moved are passed over till the next time:
    the first of them is raised when all the others have moved.
    """
    failure: Exception | None = None
    after = (0, "")
    while True:
        due = await runtime.store.read(views.due_jobs, now=runtime.clock.now(), most=_AT_A_TIME, after=after)
        try:
            await change_all(
                runtime,
                [job_id for _, job_id in due],
                lambda job, attempt: decide(job, attempt, Rules(runtime.clock.now())),
            )
        except TookTooLong as trouble:  # such as a row that somebody keeps locked
            failure = failure or trouble
        except Busy:
            raise
        except Exception as error:
            failure = failure or error
        if len(due) < _AT_A_TIME:
            break
        after = due[-1]
    if failure is not None:
        raise failure


async def end_leases(runtime: Runtime) -> None:
    """For a process that knows itself alone: every lease is one of its past life, and every upload."""
    await runtime.store.write(batch_uploads.leave_all)
    ids = await runtime.store.read(views.leased_jobs, most=100_000)
    await change_all(
        runtime, ids, lambda job, attempt: _lease_ended(job, attempt, Rules(runtime.clock.now()))
    )


async def change_all(runtime: Runtime, ids: list[str], decided: Decide) -> None:
    """Apply one decision to many jobs, in groups."""
    applied: list[Applied | BaseException | None] = await asyncio.gather(
        *(runtime.store.change(job_id, decided, source=Source.WORKER) for job_id in ids),
        return_exceptions=True,
    )
    for one in applied:
        if isinstance(one, Applied):
            runtime.announce(one)
    # One job that cannot be changed must not keep the others from their time.
    failed = [one for one in applied if isinstance(one, BaseException)]
    if failed:
        raise failed[0]


def decide(job: Job, attempt: Attempt | None, rules: Rules) -> Decision:
    """What a job does whose `due_at` has come."""
    if job.due_at is None or job.due_at > rules.now:
        return Decision(note="not due any more")
    return _BY_PHASE.get(job.phase, _forget_timer)(job, attempt, rules)


def _waiting(job: Job, _attempt: Attempt | None, rules: Rules) -> Decision:
    ends_at = deadline(job)
    if ends_at is not None and ends_at <= rules.now:
        return _expired(job, None, rules)
    return Decision(note="woken", move=lifecycle.wake(job))


def _held(job: Job, attempt: Attempt | None, rules: Rules) -> Decision:
    return (_unresolved if is_in_doubt(job) else _expired)(job, attempt, rules)


def _expired(job: Job, _attempt: Attempt | None, rules: Rules) -> Decision:
    error = Error(ErrorKind.REJECTED, _why_expired(job, rules.now))
    return Decision(note="expired", move=lifecycle.fail(job, Reason.EXPIRED, error, now=rules.now))


def _why_expired(job: Job, now: int) -> str:
    has_started = job.tries or job.phase == Phase.ACCEPTED
    if not has_started and job.start_by is not None and job.start_by <= now:
        return f"The job had not started by its start_by, {to_rfc3339(job.start_by)}."
    if job.finish_by is not None and job.finish_by <= now:
        return f"The job had not finished by its finish_by, {to_rfc3339(job.finish_by)}."
    return "The provider did not finish the task within the longest time that is allowed."


def _unresolved(job: Job, _attempt: Attempt | None, rules: Rules) -> Decision:
    error = Error(ErrorKind.LOST, "Nobody could say before the deadline whether the provider has it.")
    return Decision(note="unresolved", move=lifecycle.fail(job, Reason.UNRESOLVED, error, now=rules.now))


def _lease_ended(job: Job, attempt: Attempt | None, rules: Rules) -> Decision:
    """The worker is gone, and whether it had sent the POST nobody knows."""
    if job.phase != Phase.SUBMITTING or attempt is None:
        return Decision(note="answered meanwhile")
    doubted = look_up_later(attempt, rules)
    if attempt.is_solo and job.lost_leases + 1 >= policy.POISONED_AT_LOST_LEASES:
        error = Error(
            ErrorKind.REJECTED, "Every worker that sent this job died, the last while it sent nothing else."
        )
        poisoned = lifecycle.fail(
            replace(job, lost_leases=job.lost_leases + 1), Reason.POISONED, error, now=rules.now
        )
        return Decision(note="poisoned", move=replace(poisoned, before=job), attempt=doubted)
    because = f"the lease of {job.lease_owner} ended"
    return Decision(
        note="lease ended", move=lifecycle.doubt(job, because, is_lease_lost=True), attempt=doubted
    )


def _forget_timer(job: Job, _attempt: Attempt | None, _rules: Rules) -> Decision:
    return Decision(note="no timer here", job=replace(job, due_at=None))


_BY_PHASE = {
    Phase.WAITING: _waiting,
    Phase.READY: _expired,
    Phase.HELD: _held,
    Phase.SUBMITTING: _lease_ended,
    Phase.IN_DOUBT: _unresolved,
    Phase.ACCEPTED: _expired,
}


async def sweep_accounts(runtime: Runtime) -> None:
    """Ask once a minute whether an account in trouble works again; then its jobs go on by themselves."""
    taken = await runtime.store.write(
        lane_signals.take_account_check,
        account_id=ACCOUNT,
        now=runtime.clock.now(),
        every_ms=policy.ACCOUNT_CHECK_MS,
    )
    if taken and not (await runtime.provider.account()).trouble:
        await runtime.store.write(lane_signals.clear_trouble, account_id=ACCOUNT)


async def sweep_old(runtime: Runtime) -> None:
    """Delete what has had its time, in small steps; and mend what a wrong clock may have hidden. What fails
    keeps nothing else from being done.
    """
    write, now = runtime.store.write, runtime.clock.now()
    ended_before, keys_before = now - runtime.settings.retention_days * DAY, now - _KEYS_KEPT_MS
    chores: Sequence[Callable[[], Awaitable[object]]] = (
        partial(write, turns.look_back),
        partial(write, sessions.delete_ended, now=now),
        partial(reckon.forget_old, runtime),
        partial(_forget_keys, runtime, before=keys_before),
        partial(write, batches.forget_keys, before=keys_before),
        partial(write, batch_uploads.discard_abandoned, begun_before=now - _RESUMABLE_MS, now=now),
        partial(write, batches.discard_empty, ended_before=ended_before),
        partial(write, actions.delete_old, ended_before=ended_before),
        partial(write, retention.delete_old_memories, before=keys_before),
        partial(reseal, runtime),
        partial(write, retention.delete_old_notices, ended_before=ended_before),
        partial(_delete_jobs, runtime, ended_before=ended_before),
    )
    for chore in chores:
        try:
            await chore()
        except Busy:
            raise  # the database is away: none of the others could be done
        except Exception:
            runtime.log.exception("sweep.failed")


async def _forget_keys(runtime: Runtime, *, before: int) -> None:
    forgotten = _KEYS_AT_A_TIME
    while forgotten == _KEYS_AT_A_TIME:
        forgotten = await runtime.store.write(retention.delete_old_keys, before=before, most=_KEYS_AT_A_TIME)
        await asyncio.sleep(_BETWEEN_STEPS_S)


async def _delete_jobs(runtime: Runtime, *, ended_before: int) -> None:
    ended_from: int | None = 0
    while ended_from is not None:
        deleted = await runtime.store.write(
            retention.delete_old, ended_from=ended_from, ended_before=ended_before, most=_DELETED_AT_A_TIME
        )
        ended_from = deleted.ended_from
        await asyncio.sleep(_BETWEEN_STEPS_S)
