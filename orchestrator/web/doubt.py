"""POST /api/v3/jobs/{id}/resolve: a person's word on a job that is held in doubt."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Forbidden, InvalidInput
from orchestrator.flow import clear_doubt
from orchestrator.store.idempotency import Once
from orchestrator.store.keys import ADMIN
from orchestrator.web import jobs
from orchestrator.web.context import Context
from orchestrator.web.fields import read_with_body
from orchestrator.web.idempotent import answer_once
from orchestrator.web.wire import answer


class Resolution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`provider_id` belongs to adopt, `because` to fail."""

    action: Literal["resubmit", "fail", "adopt"]
    provider_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    because: Annotated[str, Meta(max_length=300)] = ""


async def resolve_job(request: Request) -> Response:
    """For an `admin` key of the job's tenant, or the operator's. Adopting is the operator's: whoever may name
    any task of the account could take another tenant's.
    """
    here = Context.of(request)
    by = await here.authenticate(request, ADMIN)
    word, body = await read_with_body(request, Resolution)
    if (word.action == "adopt") != (word.provider_id is not None):
        raise InvalidInput("provider_id", "must be given to adopt a task, and only then")
    if word.action == "adopt" and not by.is_operator:
        raise Forbidden("action: only the operator may say which task of the account is this job's.")
    runtime, actor, job_id = here.runtime, by.actor, request.path_params["id"]
    owner = None if by.is_operator else by.tenant_id

    async def first(once: Once | None) -> Response:
        job = (await jobs.find(here, owner, job_id)).job
        if word.provider_id is not None:
            await clear_doubt.adopt(runtime, job, actor=actor, provider_id=word.provider_id, once=once)
        elif word.action == "fail":
            await clear_doubt.fail(runtime, job, actor=actor, because=word.because, once=once)
        else:
            await clear_doubt.resubmit(runtime, job, actor=actor, once=once)
        return await again(job.id)

    async def again(_id: str) -> Response:
        return answer(jobs.shown(here, await jobs.find(here, owner, job_id)))

    return await answer_once(request, by.tenant_id, body, first=first, again=again)
