"""Does the next steps of batches: releases, holds, cancels or retries their jobs, a few lines at a time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from orchestrator import lifecycle
from orchestrator.bell import Kind
from orchestrator.crash import crashpoint
from orchestrator.decision import Applied, Decide, Decision
from orchestrator.errors import Busy
from orchestrator.flow import cancel
from orchestrator.job import Attempt, HeldFor, Job, Phase, Reason
from orchestrator.runtime import Runtime
from orchestrator.store import batch_steps
from orchestrator.store.batch_steps import Step, StepTaken
from orchestrator.store.trouble import TookTooLong

_BATCHES_AT_A_TIME = 50
_PAUSED = frozenset({Phase.READY, Phase.WAITING})


async def take_steps(runtime: Runtime) -> bool:
    """One step of each batch that has one; whether any was left to this worker, and so may be more."""
    steps = await runtime.store.read(batch_steps.pending, most=_BATCHES_AT_A_TIME)
    done = 0
    for step in steps:
        now, started = runtime.clock.now(), time.monotonic()
        try:
            applied = await runtime.store.write(batch_steps.take, step=step, decide_for=decide_for, now=now)
        except StepTaken:
            continue
        except TookTooLong as trouble:  # such as a row that somebody keeps locked: the others need not wait
            runtime.log.warning("batch_step.waits", batch=step.batch_id, because=trouble.in_full)
            continue
        except Busy:
            raise
        except Exception:  # its defect keeps no other from its steps
            runtime.log.exception("batch_step.failed", batch=step.batch_id)
            continue
        done += 1
        crashpoint("batch_step_taken")
        announce(runtime, applied)
        # On SQLite nothing of a step waits: the others have the loop for as long as it had. One turn would
        # be too little, since a request takes several.
        await asyncio.sleep(time.monotonic() - started)
    return done > 0


def decide_for(step: Step, now: int) -> Decide:
    """What the step does to one job."""

    def decide(job: Job, attempt: Attempt | None) -> Decision:
        if step.kind == "release":
            return _release(job, now)
        if step.kind == "hold":
            return _hold(job)
        if step.kind == "cancel":
            return cancel.decide(job, attempt, now)
        return _retry(job, step.fingerprint)

    return decide


def _release(job: Job, now: int) -> Decision:
    # A job in doubt is held for a person, whatever its batch does.
    if job.held_for != HeldFor.BATCH:
        return Decision(note="not held for its batch")
    return Decision(note="released", move=lifecycle.release(job, now=now))


def _hold(job: Job) -> Decision:
    if job.phase not in _PAUSED:
        return Decision(note="nothing to hold")
    return Decision(note="held", move=lifecycle.hold(job, "its batch is paused"))


def _retry(job: Job, fingerprint: str | None) -> Decision:
    """All that failed but what was cancelled on purpose, or exactly those of one kind."""
    is_wanted = job.reason != Reason.CANCELLED if fingerprint is None else job.fingerprint == fingerprint
    if job.phase != Phase.FAILED or not is_wanted:
        return Decision(note="not to be retried")
    return Decision(note="retried", move=lifecycle.redrive(job, "its batch is retried"))


def announce(runtime: Runtime, applied: list[Applied]) -> None:
    """Tell the others what a step has made ready or ended."""
    if any(one.move is not None and one.job.phase == Phase.READY for one in applied):
        runtime.bell.ring(Kind.SUBMIT)
    moved = Counter((one.job.batch_id, str(one.move.verb)) for one in applied if one.move is not None)
    for (batch, verb), jobs in moved.items():
        runtime.log.info("jobs.moved", batch=batch, verb=verb, jobs=jobs)
    for one in applied:
        if one.move is not None and one.move.ending is not None:
            runtime.announce(one, is_one_of_many=True)
