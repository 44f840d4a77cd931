"""What a person says of a job that is held because nobody knows whether the provider has it.

Each word raises Used where it was given before, under the same Idempotency-Key.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator import lifecycle
from orchestrator.decision import Applied, Audited, Decide, Decision
from orchestrator.errors import Conflict, InvalidInput, NotFound, ProviderTrouble
from orchestrator.evidence import Error, ErrorKind, Evidence, Source, Status
from orchestrator.flow.poll import put_question
from orchestrator.flow.redrive import redrive
from orchestrator.flow.settle import settle
from orchestrator.job import Attempt, HeldFor, Job, Reason
from orchestrator.providers.base import TaskRef
from orchestrator.runtime import Runtime
from orchestrator.store.idempotency import Once
from orchestrator.store.trouble import RowRefused

_NOT_HELD = "not held in doubt"


async def resubmit(runtime: Runtime, job: Job, *, actor: str, once: Once | None = None) -> None:
    """It is not at the provider, or may be paid for twice: another attempt. Raises Conflict."""
    _require_doubt(job)
    await redrive(runtime, job.tenant_id, job.id, actor=actor, once=once)


async def fail(runtime: Runtime, job: Job, *, actor: str, because: str, once: Once | None = None) -> None:
    """It ends here; should its task come to light, an output is taken all the same. Raises Conflict."""
    error = Error(ErrorKind.LOST, because or "Nobody knows whether the provider has it; it was given up.")

    def decide(held: Job, _attempt: Attempt | None) -> Decision:
        if held.held_for != HeldFor.DOUBT:
            return Decision(note=_NOT_HELD)
        move = lifecycle.fail(held, Reason.UNRESOLVED, error, now=runtime.clock.now())
        return Decision(note="given up", move=move, audited=Audited(actor, "resolve: fail"))

    await _change(runtime, job, decide, once=once)


async def adopt(
    runtime: Runtime, job: Job, *, actor: str, provider_id: str, once: Once | None = None
) -> None:
    """This task is its own: what the provider says of it now is settled. Raises InvalidInput and Conflict."""
    _require_doubt(job)
    found = replace(await _ask(runtime, job, provider_id), source=Source.HISTORY)
    audited = Audited(actor, f"resolve: adopt {provider_id}")
    try:
        applied = await settle(runtime, job.id, job.attempt, found, audited=audited, once=once)
    except RowRefused:
        applied = None
    if applied is None:
        raise Conflict("provider_id: this task is another job's.")
    if applied.job.held_for == HeldFor.DOUBT:
        raise Conflict("provider_id: this attempt has a task already; it was not given this one.")


async def _ask(runtime: Runtime, job: Job, provider_id: str) -> Evidence:
    task = TaskRef(provider_id=provider_id, model=job.model, api_version=job.api_version)
    evidence = await put_question(runtime, task)
    if evidence.status == Status.SILENT:
        raise ProviderTrouble("The provider could not be asked about this task; try again in a moment.")
    if evidence.status == Status.GONE:
        raise InvalidInput("provider_id", "names no task that the provider knows")
    if evidence.model not in (None, job.model):
        raise InvalidInput("provider_id", f"names a task of {evidence.model}")
    return replace(evidence, provider_id=provider_id)


async def _change(runtime: Runtime, job: Job, decide: Decide, *, once: Once | None) -> Applied:
    applied = await runtime.store.change(
        job.id, decide, source="operator", tenant_id=job.tenant_id, once=once
    )
    if applied is None:
        raise NotFound("There is no such job.")
    if applied.note == _NOT_HELD:
        _require_doubt(applied.job)
    runtime.announce(applied)
    return applied


def _require_doubt(job: Job) -> None:
    if job.held_for != HeldFor.DOUBT:
        raise Conflict(
            "Only a job that is held because nobody knows whether it was sent can be resolved;"
            f" this one is {job.phase}."
        )
