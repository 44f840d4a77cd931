"""Finds out what became of a POST whose answer was lost, so that nothing is paid twice.

A callback settles it by itself. Otherwise the provider's history does: tasks of the same model and
canonical input, made near the attempt's time and known to no attempt, are adopted only when there
are exactly as many as attempts in doubt; so are those that the provider lists with more than was sent,
when no other attempt can have asked for them. "Not there" takes three complete look-ups that find none
which could be the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from orchestrator import lifecycle, policy
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.decision import Decision
from orchestrator.evidence import Error, ErrorKind, Evidence, Source
from orchestrator.flow import questions
from orchestrator.flow.alike import Alike, alike, may_be
from orchestrator.flow.attempts import Rules, look_up_later, read_again_later
from orchestrator.flow.create import input_hash
from orchestrator.flow.settle import settle
from orchestrator.flow.settlement import try_again
from orchestrator.job import Attempt, Job, Phase, Reason
from orchestrator.providers.base import PastTask
from orchestrator.runtime import Runtime
from orchestrator.store import checks, views
from orchestrator.store.checks import Check, Siblings

_UNTAUGHT = Catalogue()
# Of so many jobs at a time it is asked whether a task may be theirs, and of none with a longer input.
_MOST_OTHERS, _LONGEST_OTHER = 200, 100_000


async def resolve(runtime: Runtime, check: Check) -> None:
    """One look into the history for one attempt in doubt."""
    after = check.attempt.claimed_at - policy.DOUBT_WINDOW_MS
    before = check.attempt.claimed_at + policy.DOUBT_WINDOW_MS
    inputs = await _read_inputs(runtime, check)
    is_alike = partial(may_be, runtime.catalogue, check.job, inputs)
    history = await runtime.provider.look_up(check.job.model, after=after, before=before, is_alike=is_alike)
    if isinstance(history, Error):
        await questions.heed(runtime, history)
        await _decide(runtime, check, is_readable=False, found=0)
        return
    if history.pages > 1:  # the first was paid for when this look was taken
        await questions.pay(runtime, history.pages - 1)
    hashes = _hashes(runtime, check, inputs)
    unknown, siblings = await _at_one_time(
        runtime, check, history.tasks, hashes=hashes, after=after, before=before
    )
    found = alike(runtime.catalogue, check.job, inputs, unknown)
    # What cannot be read, or is listed without its input, may be the very task that is looked for.
    is_readable = history.is_whole and all(task.inputs is not None for task in unknown)
    if not siblings.are_some_submitting:
        count = len(siblings.in_doubt)
        own = await _own(runtime, check, found, count=count, hashes=hashes, is_readable=is_readable)
        if own:
            for attempt, task in zip(siblings.in_doubt, own, strict=True):
                await settle(runtime, attempt.job_id, attempt.number, _adopted(task))
            return
    is_ambiguous = len(found.same) > len(siblings.in_doubt) and not siblings.are_some_submitting
    await _decide(runtime, check, is_readable=is_readable, found=found.count, is_ambiguous=is_ambiguous)


async def _own(
    runtime: Runtime, check: Check, found: Alike, *, count: int, hashes: list[str], is_readable: bool
) -> list[PastTask]:
    """The tasks that are surely those of the `count` attempts in doubt, or none."""
    if len(found.same) >= count:
        return found.same if len(found.same) == count else []
    candidates = sorted([*found.same, *found.fuller], key=attrgetter("created_at"))
    if len(candidates) != count or found.strange or not is_readable:
        return []
    return candidates if await _are_nobody_elses(runtime, check, candidates, hashes=hashes) else []


async def _are_nobody_elses(
    runtime: Runtime, check: Check, candidates: Sequence[PastTask], *, hashes: list[str]
) -> bool:
    """Whether no attempt that sent another input, and whose task nobody knows, can have asked for them."""
    others = await runtime.store.read(
        checks.other_inputs,
        account_id=check.attempt.account_id,
        model=check.job.model,
        input_hashes=hashes,
        # A task may be one window away from this attempt, and the attempt that made it another.
        after=check.attempt.claimed_at - 2 * policy.DOUBT_WINDOW_MS,
        before=check.attempt.claimed_at + 2 * policy.DOUBT_WINDOW_MS,
        most=_MOST_OTHERS,
        longest=_LONGEST_OTHER,
    )
    asked = [msgspec.json.decode(text, type=dict[str, Any]) for text in others if text is not None]
    return len(asked) == len(others) < _MOST_OTHERS and not any(
        may_be(runtime.catalogue, check.job, inputs, task.inputs or {})
        for inputs in asked
        for task in candidates
    )


def _hashes(runtime: Runtime, check: Check, inputs: dict[str, Any]) -> list[str]:
    """All that the same input may have been stored with, before and after its model was learned."""
    model, version = check.job.model, check.job.api_version
    found = (input_hash(catalogue, model, version, inputs) for catalogue in (runtime.catalogue, _UNTAUGHT))
    return sorted({check.attempt.input_hash, *found})


async def _at_one_time(
    runtime: Runtime,
    check: Check,
    tasks: Sequence[PastTask],
    *,
    hashes: list[str],
    after: int,
    before: int,
) -> tuple[list[PastTask], Siblings]:
    """The tasks that nobody has and the attempts that have none. A callback in between gives one to the
    other and would leave one too many: so the tasks are read again, until they are the same after as before.
    """
    unknown = await _unknown(runtime, check, tasks)
    while True:
        siblings = await runtime.store.read(
            checks.siblings,
            account_id=check.attempt.account_id,
            input_hashes=hashes,
            after=after,
            before=before,
        )
        still = await _unknown(runtime, check, tasks)
        if still == unknown:
            return unknown, siblings
        unknown = still


async def _unknown(runtime: Runtime, check: Check, tasks: Sequence[PastTask]) -> list[PastTask]:
    """Those that no attempt has, nor had when its job was deleted."""
    known = await runtime.store.read(
        checks.known_among,
        account_id=check.attempt.account_id,
        provider_ids=[task.provider_id for task in tasks],
        # The oldest task may be one window older than the attempt, and the clocks apart by as much.
        since=check.attempt.claimed_at - 2 * policy.DOUBT_WINDOW_MS,
    )
    return [task for task in tasks if task.provider_id not in known]


def _adopted(task: PastTask) -> Evidence:
    return replace(task.evidence, source=Source.HISTORY, provider_id=task.provider_id)


async def _decide(
    runtime: Runtime, check: Check, *, is_readable: bool, found: int, is_ambiguous: bool = False
) -> None:
    inputs = await _read_inputs(runtime, check)
    may_resubmit = runtime.settings.in_doubt == "resubmit" and not runtime.catalogue.has_embedded_media(
        check.job.model, check.job.api_version, inputs
    )

    def decide(job: Job, attempt: Attempt | None) -> Decision:
        rules = Rules(runtime.clock.now())
        if attempt is None or job.phase != Phase.IN_DOUBT or job.attempt != attempt.number:
            return Decision(note="settled meanwhile", attempt=_unwatched(attempt, job))
        if is_ambiguous:
            return _give_up(job, attempt, rules, because=_candidates(found))
        if not is_readable:
            return _unreadable(job, attempt, rules)
        if attempt.checks != check.attempt.checks:  # by this very look, before a COMMIT was lost
            return Decision(note="looked already", attempt=attempt)
        return _looked(job, attempt, rules, found=found, may_resubmit=may_resubmit)

    applied = await runtime.store.change(
        check.job.id, decide, source=Source.HISTORY, attempt=check.attempt.number
    )
    if applied is not None:
        runtime.announce(applied)


async def _read_inputs(runtime: Runtime, check: Check) -> dict[str, Any]:
    text = await runtime.store.read(views.read_input, job_id=check.job.id)
    return msgspec.json.decode(text, type=dict[str, Any])


def _unwatched(attempt: Attempt | None, job: Job) -> Attempt | None:
    """An attempt that nobody can ask about, of a job that has moved on, is looked for no more."""
    if attempt is None or attempt.provider_id is not None or attempt.ended_at is not None:
        return attempt
    return attempt if job.phase == Phase.SUBMITTING else _until_abandoned(attempt, job)


def _until_abandoned(attempt: Attempt, job: Job) -> Attempt:
    """It keeps its slot at the provider as long as a task of it could run."""
    longest_ms = int(1_000 * policy.PACES[job.media].abandoned_s)
    return replace(attempt, check_at=attempt.claimed_at + longest_ms + 1_000)


def _looked(job: Job, attempt: Attempt, rules: Rules, *, found: int, may_resubmit: bool) -> Decision:
    """After a complete look-up that could not settle it."""
    looked = replace(attempt, checks=attempt.checks + 1)
    if looked.checks < len(policy.DOUBT_LOOKUPS_S):
        return Decision(note="not found yet", attempt=look_up_later(looked, rules))
    if found:
        return _give_up(job, looked, rules, because=_candidates(found))
    lost = replace(looked, ended_at=rules.now, ended_by=Source.HISTORY, outcome="not_there", check_at=None)
    if job.cancel_requested_at is not None:
        move = lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=rules.now)
        return Decision(note="cancelled", move=move, attempt=lost)
    if not may_resubmit:
        because = "the provider does not show it; send it again or give it up"
        return _give_up(job, looked, rules, because=because)
    error = Error(ErrorKind.LOST, "The answer to the POST was lost and the provider does not show the task.")
    return Decision(note="not there", move=try_again(job, error, rules), attempt=lost)


def _unreadable(job: Job, attempt: Attempt, rules: Rules) -> Decision:
    if rules.now - attempt.claimed_at > policy.DOUBT_UNREADABLE_MS:
        return _give_up(job, attempt, rules, because="the provider's history cannot be read")
    return Decision(note="history not readable", attempt=read_again_later(attempt, rules))


def _give_up(job: Job, attempt: Attempt, rules: Rules, *, because: str) -> Decision:
    """For a person to decide, unless one has cancelled it already. A task of it may still come to light."""
    watched = _until_abandoned(attempt, job)
    if job.cancel_requested_at is not None:
        move = lifecycle.fail(job, Reason.CANCELLED, lifecycle.cancelled(), now=rules.now)
        return Decision(note="cancelled", move=move, attempt=watched)
    return Decision(note="held", move=lifecycle.hold(job, because), attempt=watched)


def _candidates(found: int) -> str:
    return f"{found} tasks at the provider could be this one"
