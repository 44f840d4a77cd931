"""What the buttons of a job's page do: each through the flow that the API uses, with a line in the audit."""

from __future__ import annotations

from starlette.datastructures import FormData

from orchestrator.decision import Audited
from orchestrator.errors import Conflict, Forbidden, InvalidInput, NotFound
from orchestrator.flow import clear_doubt
from orchestrator.flow.cancel import cancel
from orchestrator.flow.delete import delete_jobs
from orchestrator.flow.dismiss import dismiss
from orchestrator.flow.poll import check_now
from orchestrator.flow.redrive import redrive
from orchestrator.job import Job
from orchestrator.store import views
from orchestrator.web.dashboard.pages import Done, Look

_LONGEST = 300


async def redrive_job(look: Look, _form: FormData) -> Done:
    job = await _find(look)
    await redrive(look.runtime, job.tenant_id, job.id, actor=look.viewer.actor)
    return Done("It will be sent again.")


async def cancel_job(look: Look, _form: FormData) -> Done:
    job = await _find(look)
    cancelled = await cancel(look.runtime, job.tenant_id, job.id, actor=look.viewer.actor)
    if not cancelled.may_be_billed:
        return Done("Cancelled. Nothing was sent, so it costs nothing.")
    if cancelled.job.is_ended:
        return Done("Cancelled. It may have been sent before, and then it may be billed.")
    return Done("Marked. The provider may have it already, so its result is still taken; no try follows.")


async def dismiss_job(look: Look, _form: FormData) -> Done:
    job = await _find(look)
    await dismiss(look.runtime, job.tenant_id, job.id, actor=look.viewer.actor)
    return Done("Dismissed: it is no dead letter any more. You can still retry it.")


async def check_job(look: Look, _form: FormData) -> Done:
    job = await _find(look)
    await check_now(look.runtime, job.id, audited=Audited(look.viewer.actor, "check"))
    return Done("The provider is being asked about it now.")


async def delete_job(look: Look, _form: FormData) -> Done:
    """Raises Conflict."""
    job = await _find(look)
    if not await delete_jobs(look.runtime, job.tenant_id, [job.id], actor=look.viewer.actor):
        raise Conflict("Only a job that has ended, and has nothing at the provider, can be deleted.")
    return Done("Deleted, with everything that was kept of it.", go="/jobs")


async def resolve_job(look: Look, form: FormData) -> Done:
    """A person's word on a job in doubt: resubmit, fail or adopt. Raises InvalidInput and Forbidden."""
    job = await _find(look)
    word, actor = str(form.get("word", "")), look.viewer.actor
    if word == "resubmit":
        await clear_doubt.resubmit(look.runtime, job, actor=actor)
        return Done("It will be sent again.")
    if word == "fail":
        because = " ".join(str(form.get("because", "")).replace("\0", "").split())[:_LONGEST]
        await clear_doubt.fail(look.runtime, job, actor=actor, because=because)
        return Done("It has ended as failed. Should its task come to light, an output is taken all the same.")
    if word != "adopt":
        raise InvalidInput("word", "must be resubmit, fail or adopt")
    if not look.viewer.is_operator:
        raise Forbidden("Only the operator may say which task of the account is this job's.")
    provider_id = str(form.get("provider_id", "")).strip()
    if not 0 < len(provider_id) <= _LONGEST or not provider_id.isprintable():
        raise InvalidInput("provider_id", "must be given to adopt a task")
    await clear_doubt.adopt(look.runtime, job, actor=actor, provider_id=provider_id)
    return Done("The task is this job's; what the provider says of it was taken.")


async def _find(look: Look) -> Job:
    """Raises NotFound, for another tenant's as well."""
    found = await look.runtime.store.read(
        views.find_job, tenant_id=look.viewer.sees, job_id=look.request.path_params["id"]
    )
    if found is None:
        raise NotFound("There is no such job.")
    return found.job
