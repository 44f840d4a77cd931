"""The door for the provider: `POST /callbacks/{provider}/{job}/{attempt}/{token}`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Unauthorized
from orchestrator.flow.callback import take
from orchestrator.web.context import Context
from orchestrator.web.wire import answer, read_body


async def receive(request: Request) -> Response:
    """2xx only after the commit; 401 for a wrong token, 503 while the database is in trouble."""
    runtime = Context.of(request).runtime
    path = request.path_params
    is_ours = runtime.is_callback_token(
        path["token"], provider=path["provider"], job_id=path["job"], attempt=path["attempt"]
    )
    if not is_ours:
        runtime.meters.count("callback_rejected")
        raise Unauthorized("The token of this callback is wrong.")
    taken = await take(
        runtime,
        job_id=path["job"],
        attempt=path["attempt"],
        headers=request.headers.raw,
        body=await read_body(request),
    )
    return answer({"callback": taken.value})
