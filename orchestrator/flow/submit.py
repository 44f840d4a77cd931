"""Sends one claimed job: one POST, one answer, one settlement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from orchestrator import lifecycle, policy
from orchestrator.crash import crashpoint
from orchestrator.decision import Decision
from orchestrator.errors import Busy
from orchestrator.evidence import Error, ErrorKind, Evidence, Source, Status
from orchestrator.flow.settle import settle_surely
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.providers.base import Submission
from orchestrator.runtime import ACCOUNT, Runtime
from orchestrator.store import claims
from orchestrator.store.claims import Claim

# What the provider's client may still take before it sends (see runtime.py).
_CONNECT_S = 4.0


async def claim(runtime: Runtime, *, owner: str, slots: int, is_idle: bool, now: int) -> list[Claim]:
    """Lease at most `slots` jobs for this worker, within the account's limits."""
    asked = {"account_id": ACCOUNT, "owner": owner, "slots": slots, "is_idle": is_idle, "now": now}
    return await runtime.store.write(claims.claim, **asked)


async def give_back_unheard(runtime: Runtime, *, owner: str, claimed_at: int) -> None:
    """After a claim whose COMMIT was answered by nobody: what it leased after all was never sent."""
    leased = await runtime.store.read(
        claims.leased_at, account_id=ACCOUNT, owner=owner, claimed_at=claimed_at
    )
    because = "the worker never heard of its claim"
    await asyncio.gather(*(give_back(runtime, job, because) for job in leased))


async def submit(
    runtime: Runtime, claimed: Claim, *, claimed_at: float, on_answer: Callable[[], None]
) -> None:
    """`claimed_at` on the monotonic clock: a claim that grew old unsent is given back.

    `on_answer` hears when the POST is over, before its answer is stored: another may be sent then.
    Cancelled while the POST is under way, this still says that the job is in doubt.
    """
    crashpoint("before_post")
    if time.monotonic() - claimed_at > policy.CLAIM_MAX_AGE_S - _CONNECT_S:
        await give_back(runtime, claimed.job, "the claim grew old before it was sent")
        return
    sent_at = runtime.clock.now()
    try:
        evidence = await runtime.provider.submit(_submission(runtime, claimed))
    except asyncio.CancelledError:
        await _settle(runtime, claimed, _STOPPED, sent_at)
        raise
    on_answer()
    crashpoint("submitted_before_commit")
    await _settle(runtime, claimed, evidence, sent_at)
    crashpoint("submitted")


async def give_back(runtime: Runtime, claimed: Job, because: str) -> None:
    """Return a job that was claimed and provably not sent; only the worker that holds it may say so."""

    def decide(job: Job, attempt: Attempt | None) -> Decision:
        if job.phase != Phase.SUBMITTING or job.attempt != claimed.attempt or attempt is None:
            return Decision(note="not ours any more")
        return _given_back(job, attempt, because, runtime.clock.now())

    try:
        applied = await runtime.store.change(
            claimed.id, decide, source=Source.WORKER, attempt=claimed.attempt
        )
    except Busy:
        return  # the lease will end, and the history will tell that nothing was sent
    if applied is not None:
        runtime.announce(applied)


def _given_back(job: Job, attempt: Attempt, because: str, now: int) -> Decision:
    """Nothing was paid: a job that was cancelled meanwhile ends, any other may be claimed again."""
    unsent = _end_unsent(attempt, now)
    if job.cancel_requested_at is not None:
        move = lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=now)
        return Decision(note="cancelled", move=move, attempt=unsent)
    return Decision(note="given back", move=lifecycle.give_back(job, because), attempt=unsent)


def _submission(runtime: Runtime, claimed: Claim) -> Submission:
    job = claimed.job
    return Submission(
        model=job.model,
        api_version=job.api_version,
        input=claimed.input.encode(),
        callback_url=runtime.callback_url(job.id, job.attempt),
    )


async def _settle(runtime: Runtime, claimed: Claim, evidence: Evidence, sent_at: int) -> None:
    await settle_surely(runtime, claimed.job.id, claimed.job.attempt, evidence, sent_at=sent_at)


def _end_unsent(attempt: Attempt, now: int) -> Attempt:
    return replace(attempt, ended_at=now, ended_by=Source.WORKER, outcome="not_sent", check_at=None)


_STOPPED = Evidence(
    source=Source.WORKER,
    status=Status.UNKNOWN,
    error=Error(ErrorKind.LOST, "the worker stopped before the answer came"),
    excerpt="the worker stopped before the answer came",
)
