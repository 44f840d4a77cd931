"""The routes for standing webhook endpoints: what is to be told of everything that a tenant's jobs do."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from orchestrator import strict_json
from orchestrator.clock import to_rfc3339
from orchestrator.errors import InvalidInput
from orchestrator.flow import endpoints as flow
from orchestrator.flow import redeliver
from orchestrator.flow.create import check_webhook
from orchestrator.flow.endpoints import Changes, NewEndpoint
from orchestrator.runtime import Runtime
from orchestrator.signing import Scheme
from orchestrator.store import endpoints
from orchestrator.store.endpoints import Endpoint, shown
from orchestrator.store.idempotency import Once
from orchestrator.store.keys import Key
from orchestrator.store.outbox import delivery_name
from orchestrator.web.context import Context
from orchestrator.web.idempotent import answer_once
from orchestrator.web.wire import answer, read_body
from orchestrator.webhook_events import SUBSCRIBABLE, Event

_BODY_LIMIT = 64 * 1024
LONGEST_DESCRIPTION = 500
_FIELDS = ("url", "events", "description", "scheme", "enabled")


async def create(request: Request) -> Response:
    """POST /api/v3/endpoints: answers with the secret, which only an admin can see again."""
    here, key = await _admin(request)
    runtime, tenant_id = here.runtime, key.tenant_id
    body = await read_body(request, limit=_BODY_LIMIT)

    async def first(once: Once | None) -> Response:
        given = checked(runtime, strict_json.decode_object(body))
        for name in ("url", "events"):
            if name not in given:
                raise InvalidInput(name, "must be given")
        made, secret = await flow.create(runtime, tenant_id, NewEndpoint(**given), actor=key.actor, once=once)
        return answer(shown(made) | {"secret": secret})

    async def again(endpoint_id: str) -> Response:
        made = await flow.find(runtime, tenant_id, endpoint_id)
        return answer(shown(made) | {"secret": await flow.secret_of(runtime, tenant_id, endpoint_id)})

    return await answer_once(request, tenant_id, body, first=first, again=again)


async def list_endpoints(request: Request) -> Response:
    """GET /api/v3/endpoints: all of the tenant's, oldest first."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    found = await here.runtime.store.read(endpoints.of_tenant, tenant_id=key.tenant_id)
    return answer({"items": [shown(one) for one in found]})


async def read_endpoint(request: Request) -> Response:
    """GET /api/v3/endpoints/{id}."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    return answer(shown(await flow.find(here.runtime, key.tenant_id, request.path_params["id"])))


async def change(request: Request) -> Response:
    """PATCH /api/v3/endpoints/{id}: changes what is given."""
    here, key = await _admin(request)
    changes = Changes(**await _read(here.runtime, request))
    identifier = request.path_params["id"]
    return answer(shown(await flow.change(here.runtime, key.tenant_id, identifier, changes, actor=key.actor)))


async def remove(request: Request) -> Response:
    """DELETE /api/v3/endpoints/{id}."""
    here, key = await _admin(request)
    identifier = request.path_params["id"]
    await flow.remove(here.runtime, key.tenant_id, identifier, actor=key.actor)
    return answer({"id": identifier, "removed": True})


async def rotate_secret(request: Request) -> Response:
    """POST /api/v3/endpoints/{id}/rotate-secret: for a day the old secret signs as well."""
    here, key = await _admin(request)
    runtime, tenant_id, endpoint_id = here.runtime, key.tenant_id, request.path_params["id"]

    async def first(once: Once | None) -> Response:
        rotated, secret = await flow.rotate(runtime, tenant_id, endpoint_id, actor=key.actor, once=once)
        return answer(_rotated(rotated, secret))

    async def again(_first_id: str) -> Response:
        found = await flow.find(runtime, tenant_id, endpoint_id)
        return answer(_rotated(found, await flow.secret_of(runtime, tenant_id, endpoint_id)))

    return await answer_once(request, tenant_id, b"", first=first, again=again)


async def read_secret(request: Request) -> Response:
    """GET /api/v3/endpoints/{id}/secret."""
    here, key = await _admin(request)
    return answer({"secret": await flow.secret_of(here.runtime, key.tenant_id, request.path_params["id"])})


async def send_test(request: Request) -> Response:
    """POST /api/v3/endpoints/{id}/test: answers with the id of the delivery."""
    here, key = await _admin(request)
    runtime, tenant_id, endpoint_id = here.runtime, key.tenant_id, request.path_params["id"]

    async def first(once: Once | None) -> Response:
        return answer({"delivery": await flow.send_test(runtime, tenant_id, endpoint_id, once=once)})

    async def again(name: str) -> Response:
        told = delivery_name(name, endpoint_id, Event.ENDPOINT_TEST)
        return answer({"delivery": (await redeliver.find(runtime, tenant_id, told)).id})

    return await answer_once(request, tenant_id, b"", first=first, again=again)


def _rotated(endpoint: Endpoint, secret: str) -> dict[str, Any]:
    until = endpoint.old_secret_until
    told = {"secret": secret, "old_secret_until": "" if until is None else to_rfc3339(until)}
    return shown(endpoint) | told


async def _admin(request: Request) -> tuple[Context, Key]:
    """Whoever may only submit must not be able to lead a tenant's events elsewhere."""
    here = Context.of(request)
    return here, await here.authenticate(request, "admin")


async def _read(runtime: Runtime, request: Request) -> dict[str, Any]:
    """The fields that were given, checked, by the names that the flow has for them."""
    return checked(runtime, strict_json.decode_object(await read_body(request, limit=_BODY_LIMIT)))


def checked(runtime: Runtime, given: dict[str, Any]) -> dict[str, Any]:
    """The same for fields that came otherwise. Raises InvalidInput."""
    stranger = next((name for name in given if name not in _FIELDS), None)
    if stranger is not None:
        raise InvalidInput(stranger[:80], f"is not known here; an endpoint has {', '.join(_FIELDS)}")
    found: dict[str, Any] = {}
    if "url" in given:
        found["url"] = _url(runtime, given["url"])
    if "events" in given:
        found["events"] = _events(given["events"])
    if "description" in given:
        found["description"] = _description(given["description"])
    if "scheme" in given:
        found["scheme"] = _scheme(given["scheme"])
    if "enabled" in given:
        found["is_enabled"] = _enabled(given["enabled"])
    return found


def _url(runtime: Runtime, url: Any) -> str:
    if not isinstance(url, str) or not url:
        raise InvalidInput("url", "must be a URL")
    check_webhook(runtime, url, field="url")
    return url


def _events(events: Any) -> tuple[str, ...]:
    if not isinstance(events, list) or not events:
        raise InvalidInput("events", f"must be a list of {', '.join(SUBSCRIBABLE)}")
    for place, event in enumerate(events):
        if event not in SUBSCRIBABLE:
            raise InvalidInput(f"events[{place}]", f"must be one of {', '.join(SUBSCRIBABLE)}")
    return tuple(event for event in SUBSCRIBABLE if event in events)


def _description(text: Any) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_DESCRIPTION:
        raise InvalidInput("description", f"must be a text of at most {LONGEST_DESCRIPTION} characters")
    return text


def _scheme(scheme: Any) -> str:
    if scheme not in tuple(Scheme):
        raise InvalidInput("scheme", f"must be {' or '.join(Scheme)}")
    return str(scheme)


def _enabled(is_enabled: Any) -> bool:
    if not isinstance(is_enabled, bool):
        raise InvalidInput("enabled", "must be true or false")
    return is_enabled
