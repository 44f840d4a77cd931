"""Standing webhook endpoints: what is told where, whether it arrives, and all that one can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.datastructures import FormData
from starlette.routing import BaseRoute

from orchestrator.errors import InvalidInput, Refused
from orchestrator.flow import endpoints as flow
from orchestrator.flow.endpoints import Changes, NewEndpoint
from orchestrator.signing import Scheme
from orchestrator.store import endpoints, keys, tenants
from orchestrator.store.endpoints import Endpoint, shown_url
from orchestrator.web.dashboard.forms import text_of
from orchestrator.web.dashboard.pages import Act, Done, Look, Shown, action, view
from orchestrator.web.dashboard.viewer import Role
from orchestrator.web.endpoints import checked
from orchestrator.webhook_events import SUBSCRIBABLE

_EVENTS = {
    "job.completed": "a job has made something",
    "job.failed": "a job has failed, cancelled ones too",
    "job.dead_lettered": "a job has failed for good and waits for somebody",
    "batch.completed": "the last job of a batch has ended",
    "endpoint.disabled": "another endpoint was disabled",
}
_SCHEMES = (
    (Scheme.V1.value, "Standard Webhooks (v1)"),
    (Scheme.V3.value, "WaveSpeed’s own (v3)"),
)


class Row(msgspec.Struct, frozen=True):
    """An endpoint as it may be shown: the query of its URL may hold a secret."""

    endpoint: Endpoint
    url: str
    tenant: str
    events: list[str]
    health: str


async def load(look: Look) -> Mapping[str, Any]:
    return await _shown(look)


async def load_one(look: Look) -> Mapping[str, Any]:
    """Raises NotFound."""
    return await _shown_one(look, await _found(look))


async def create(look: Look, form: FormData) -> Shown:
    """Shows the secret this once, or what was wrong at its field."""
    try:
        fields = _checked(look, _given(form))
        made, secret = await flow.create(
            look.runtime, look.viewer.tenant_id, NewEndpoint(**fields), actor=look.viewer.actor
        )
    except Refused as wrong:
        again = await _shown(look, typed=_given(form), errors=_errors(wrong))
        return Shown("endpoints", again, status=wrong.status)
    return Shown("endpoint", await _shown_one(look, made, secret=secret), status=200)


async def change(look: Look, form: FormData) -> Done | Shown:
    """Its address stays where none is typed: the form does not show it whole. Raises NotFound."""
    endpoint = await _found(look)
    given = {name: value for name, value in _given(form).items() if name != "url" or value}
    try:
        changes = Changes(**_checked(look, given))
    except InvalidInput as wrong:
        again = await _shown_one(look, endpoint, typed=_given(form), errors=_errors(wrong))
        return Shown("endpoint", again, status=wrong.status)
    await _change(look, endpoint, changes)
    return Done("The endpoint is changed.", go=f"/endpoints/{endpoint.id}")


async def enable(look: Look, _form: FormData) -> Done:
    await _change(look, await _found(look), Changes(is_enabled=True))
    return Done("The endpoint is enabled: it is told what happens from now on.")


async def disable(look: Look, _form: FormData) -> Done:
    await _change(look, await _found(look), Changes(is_enabled=False))
    return Done("The endpoint is disabled: it is told nothing until you enable it.")


async def send_test(look: Look, _form: FormData) -> Done:
    """Raises Conflict where it is disabled."""
    endpoint = await _found(look)
    delivery = await flow.send_test(look.runtime, endpoint.tenant_id, endpoint.id)
    await look.runtime.store.write(
        keys.record_audit,
        tenant_id=endpoint.tenant_id,
        actor=look.viewer.actor,
        action="endpoint.test",
        subject=endpoint.id,
        now=look.now,
    )
    return Done("A test is on its way; this is what came of it.", go=f"/deliveries/{delivery}")


async def rotate(look: Look, _form: FormData) -> Shown:
    """Shows the new secret this once."""
    endpoint = await _found(look)
    rotated, secret = await flow.rotate(
        look.runtime, endpoint.tenant_id, endpoint.id, actor=look.viewer.actor
    )
    return Shown("endpoint", await _shown_one(look, rotated, secret=secret), status=200)


async def remove(look: Look, _form: FormData) -> Done:
    endpoint = await _found(look)
    await flow.remove(look.runtime, endpoint.tenant_id, endpoint.id, actor=look.viewer.actor)
    return Done("The endpoint is removed.", go="/endpoints")


async def _found(look: Look) -> Endpoint:
    return await flow.find(look.runtime, look.viewer.sees, look.request.path_params["id"])


async def _change(look: Look, endpoint: Endpoint, changes: Changes) -> None:
    await flow.change(look.runtime, endpoint.tenant_id, endpoint.id, changes, actor=look.viewer.actor)


def _given(form: FormData) -> dict[str, Any]:
    """As the API takes it."""
    events = [event for event in form.getlist("event") if isinstance(event, str)]
    texts = {name: text_of(form, name).strip() for name in ("url", "description", "scheme")}
    return texts | {"events": events}


def _checked(look: Look, given: dict[str, Any]) -> dict[str, Any]:
    """Raises InvalidInput."""
    if not given["events"]:
        raise InvalidInput("events", "choose at least one: else it would never be told anything")
    return checked(look.runtime, given)


def _errors(wrong: Refused) -> dict[str, str]:
    field = wrong.field.partition("[")[0] if isinstance(wrong, InvalidInput) else ""
    return {field: str(wrong).removeprefix(f"{field}: ")}


async def _shown(
    look: Look, *, typed: Mapping[str, Any] | None = None, errors: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    store = look.runtime.store
    found = await store.read(endpoints.of_tenant, tenant_id=look.viewer.sees)
    named = await store.read(tenants.names)
    usual = {
        "url": "",
        "description": "",
        "scheme": Scheme.V1.value,
        "events": ["job.completed", "job.failed"],
    }
    return _choices(typed or usual, errors) | {
        "rows": [_row(one, named[one.tenant_id]) for one in found],
        "is_live": typed is None,
    }


async def _shown_one(
    look: Look,
    endpoint: Endpoint,
    *,
    secret: str = "",
    typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    named = await look.runtime.store.read(tenants.names)
    row = _row(endpoint, named[endpoint.tenant_id])
    stored = {"url": "", "events": row.events} | {
        "description": endpoint.description,
        "scheme": endpoint.scheme,
    }
    both_until = endpoint.old_secret_until
    return _choices(typed or stored, errors) | {
        "row": row,
        "secret": secret,
        "both_until": both_until if both_until and both_until > look.now else None,
        "is_live": typed is None and not secret,
    }


def _choices(typed: Mapping[str, Any], errors: Mapping[str, str] | None) -> dict[str, Any]:
    errors = dict(errors or {})
    return {
        "typed": typed,
        "errors": errors,
        "trouble": errors.get("", ""),
        "events": [(event.value, _EVENTS[event.value]) for event in SUBSCRIBABLE],
        "schemes": _SCHEMES,
    }


def _row(endpoint: Endpoint, tenant: str) -> Row:
    health = "failing" if endpoint.failing_since else "enabled"
    return Row(
        endpoint=endpoint,
        url=shown_url(endpoint.url),
        tenant=tenant,
        events=endpoint.events.split(),
        health="disabled" if endpoint.disabled_at else health,
    )


_ACTS: dict[str, Act] = {
    "enable": enable,
    "disable": disable,
    "test": send_test,
    "rotate": rotate,
    "remove": remove,
}
ENDPOINTS: list[BaseRoute] = [
    view("/endpoints", "endpoints", load),
    action("/endpoints", create, role=Role.ADMIN),
    view("/endpoints/{id}", "endpoint", load_one),
    action("/endpoints/{id}", change, role=Role.ADMIN),
    *(action(f"/endpoints/{{id}}/{name}", act, role=Role.ADMIN) for name, act in _ACTS.items()),
]
