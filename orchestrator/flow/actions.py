"""Does one thing to many jobs: retries, cancels, dismisses or deletes them, a few at a time and at a rate.

What is done to one job is decided by what decides it for a single job; this says only which and when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.bell import Kind
from orchestrator.decision import Applied, Decide, Decision
from orchestrator.errors import Busy, Conflict, InvalidInput, NotFound
from orchestrator.flow import cancel, dismiss, redrive, steps
from orchestrator.ids import new_id
from orchestrator.job import Attempt, Job
from orchestrator.runtime import Runtime
from orchestrator.store import action_steps, actions, audit, job_search
from orchestrator.store.action_steps import StepTaken
from orchestrator.store.actions import MOST_IDS, VERBS, Action, Matched
from orchestrator.store.audit import Act
from orchestrator.store.idempotency import Once, do_once
from orchestrator.store.trouble import TookTooLong

FASTEST = 100_000
_ACTIONS_AT_A_TIME = 20
_DONE = frozenset({"redriven", "released", "cancelled", "cancelled, maybe sent", "marked", "dismissed"})
_UNCHANGED = Decision(note="not what was meant any more")


class NewAction(msgspec.Struct, frozen=True, kw_only=True):
    """`tenant_id` is the actor's own; `owner_id` None may touch the jobs of all tenants."""

    tenant_id: str
    owner_id: str | None
    actor: str
    verb: str
    matched: Matched
    per_minute: int | None = None


async def order(runtime: Runtime, new: NewAction, *, once: Once | None = None) -> Action:
    """Stored when this returns; jobs that are made from now on are not touched. Raises InvalidInput, and
    Used.
    """
    _check(new)
    now = runtime.clock.now()
    new = msgspec.structs.replace(new, matched=await _settled(runtime, new))
    action = Action(
        id=once.id if once else new_id(now),
        up_to=new_id(now),
        expected=await count(runtime, new),
        created_at=now,
        due_at=now,
        **msgspec.structs.asdict(new),
    )
    await _write(runtime, action, action.actor, "", actions.insert, {"action": action}, once=once)
    runtime.bell.ring(Kind.BATCH)
    return action


async def count(runtime: Runtime, new: NewAction) -> int | None:
    """How many jobs there are now; None where there are too many to look through. Raises InvalidInput."""
    _check(new)
    matched = await _settled(runtime, new)
    if matched.filter is None:
        return len(matched.ids)
    return await runtime.store.read(
        job_search.count_matching,
        wanted=matched.filter,
        owner=new.owner_id,
        up_to=new_id(runtime.clock.now()),
    )


async def find(runtime: Runtime, tenant_id: str | None, action_id: str) -> Action:
    """Raises NotFound."""
    found = await runtime.store.read(actions.find, tenant_id=tenant_id, action_id=action_id)
    if found is None:
        raise NotFound("There is no such action.")
    return found


async def stop(runtime: Runtime, tenant_id: str | None, action_id: str, *, actor: str) -> Action:
    """What was done stays done. Raises NotFound, and Conflict unless it is running."""
    action = await find(runtime, tenant_id, action_id)
    given = {"action_id": action_id, "now": runtime.clock.now()}
    if not await _write(runtime, action, actor, "stop ", actions.stop, given):
        raise Conflict("This action is not running any more.")
    return await find(runtime, tenant_id, action_id)


async def take_steps(runtime: Runtime) -> bool:
    """One step of each action that is due; whether any was left to this worker, and so may be more."""
    due = await runtime.store.read(actions.due, now=runtime.clock.now(), most=_ACTIONS_AT_A_TIME)
    done = 0
    for action in due:
        now, started = runtime.clock.now(), time.monotonic()
        try:
            applied = await runtime.store.write(
                action_steps.take, action=action, decide=decide_for(action, now), is_done=is_done, now=now
            )
        except StepTaken:
            continue
        except TookTooLong as trouble:  # such as a row that somebody keeps locked: the others need not wait
            runtime.log.warning("action_step.waits", action=action.id, because=trouble.in_full)
            continue
        except Busy:
            raise
        except Exception:  # its defect keeps no other from its steps
            runtime.log.exception("action_step.failed", action=action.id)
            continue
        done += 1
        steps.announce(runtime, applied)
        # On SQLite nothing of a step waits: the others have the loop for as long as it had.
        await asyncio.sleep(time.monotonic() - started)
    return done > 0


def decide_for(action: Action, now: int) -> Decide:
    """What the action does to one job, if that is still one of those that were meant."""
    wanted = action.matched.filter

    def decide(job: Job, attempt: Attempt | None) -> Decision:
        if wanted is not None and not wanted.is_still_true(job):
            return _UNCHANGED
        if action.verb == "redrive":
            return redrive.decide(job, attempt, actor=action.actor, now=now)
        if action.verb == "cancel":
            return cancel.decide(job, attempt, now)
        return dismiss.decide(job, attempt, now)

    return decide


def is_done(applied: Applied) -> bool:
    """Whether the job let it be done."""
    return applied.note in _DONE


def _check(new: NewAction) -> None:
    if new.verb not in VERBS:
        raise InvalidInput("verb", f"must be one of {', '.join(VERBS)}")
    if new.per_minute is not None and not 1 <= new.per_minute <= FASTEST:
        raise InvalidInput("per_minute", f"must be a whole number from 1 to {FASTEST}")
    if (new.matched.filter is None) == (not new.matched.ids):
        raise InvalidInput("filter", "say either which ids, or which filter")
    if len(new.matched.ids) > MOST_IDS:
        raise InvalidInput("ids", f"at most {MOST_IDS} at a time; for more of them use a filter")
    if new.matched.filter is not None and new.matched.filter.is_empty:
        raise InvalidInput("filter", "must say something, such as a phase: nobody means all jobs")


async def _settled(runtime: Runtime, new: NewAction) -> Matched:
    """Words that name jobs, such as the beginning of an id, are those jobs; ids stand there once."""
    wanted = new.matched.filter
    if wanted is None:
        return Matched(ids=tuple(dict.fromkeys(new.matched.ids)))
    if not wanted.is_only_words:
        return new.matched
    named = await runtime.store.read(job_search.read_named, words=wanted.words, owner=new.owner_id)
    return Matched(ids=tuple(one.job.id for one in named)) if named else new.matched


async def _write(
    runtime: Runtime,
    action: Action,
    actor: str,
    prefix: str,
    work: Any,
    arguments: Mapping[str, Any],
    *,
    once: Once | None = None,
) -> Any:
    act = Act(
        tenant_id=action.tenant_id, actor=actor, action=f"{prefix}{action.verb} many", subject=action.id
    )
    given = {"act": act, "now": runtime.clock.now(), "do": work, "arguments": arguments}
    done = await runtime.store.write(do_once, once=once, do=audit.audited, arguments=given)
    runtime.log.info("action.ordered", actor=actor, action=act.action, object=action.id)
    return done
