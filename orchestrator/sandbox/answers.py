"""Answers as the faults want them: refusals at the door, good answers spoilt, connections dropped."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from orchestrator.sandbox.faults import Plan
from orchestrator.sandbox.protocol import html_error, json_response, refused

TRANSPORT = "sandbox.transport"
DROPPED = 0
REASONS = {
    401: "Unauthorized: invalid API key",
    403: "Forbidden: the account is suspended",
    429: "Too many requests. Please try again later.",
    500: "Internal server error",
    503: "The service is busy. Please try again later.",
}
NO_CREDIT = b'{"code":400,"message":"Insufficient credits. Please top up your account."}'
NO_REASON = b'{"code":400,"message":"Bad Request"}'
HALF_JSON = b'{"code":200,"data":{"id":'


def at_the_door(plan: Plan) -> Response | None:
    """The refusal that the plan wants, if it wants one."""
    if plan.no_credit:
        return json_response(NO_CREDIT)
    if plan.no_reason:
        return json_response(NO_REASON)
    status = plan.refuse or (503 if plan.busy else 0)
    if not status:
        return None
    headers = {} if plan.retry_after is None else {"Retry-After": str(plan.retry_after)}
    return _failure(status, plan, headers)


def distort(plan: Plan, good: bytes) -> Response:
    """The good answer, or what the plan makes of it."""
    match plan.answer:
        case "":
            return json_response(good)
        case "drop":
            return Dropped(b"")
        case "cut":
            return Dropped(good)
        case "garbage":
            return json_response(HALF_JSON)
        case "empty":
            return json_response(b"")
        case status:
            return _failure(int(status), plan, {})


def _failure(status: int, plan: Plan, headers: dict[str, str]) -> Response:
    if plan.html:
        return html_error(status, headers)
    return refused(status, REASONS.get(status, "The request failed."), headers)


class Dropped(Response):
    """No answer, or the first half of one, and the connection closed under the client."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body, DROPPED, media_type="application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hang up, then go on as after any answer."""
        if self.body:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["extensions"][TRANSPORT]["transport"].close()
        while (await receive())["type"] != "http.disconnect":
            continue
        if self.background is not None:
            await self.background()
