"""Who looks at the dashboard: logging in and out, roles, and the proof that an action came from our page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Forbidden, Unauthorized
from orchestrator.ids import key_digest
from orchestrator.store import keys, sessions
from orchestrator.store.keys import FIRST_TENANT
from orchestrator.store.sessions import SESSION_MS, Session
from orchestrator.web.context import Context

_LONGEST = 256


class Role(IntEnum):
    """What a key's scopes allow on the dashboard; each includes those before it."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


_ROLE_OF_SCOPE = {"read": Role.READ, "submit": Role.OPERATE, "admin": Role.ADMIN}


class Viewer(msgspec.Struct, frozen=True):
    """The one who is logged in. `csrf` goes into every form; `actor` is written into the audit."""

    tenant_id: str
    tenant: str
    name: str
    key_id: str
    role: Role
    csrf: str

    @property
    def is_operator(self) -> bool:
        """Runs this service: an admin of the first tenant, who sees all tenants."""
        return self.role == Role.ADMIN and self.tenant == FIRST_TENANT

    @property
    def sees(self) -> str | None:
        """The tenant to which what is shown is limited; None for all."""
        return None if self.is_operator else self.tenant_id

    @property
    def can_operate(self) -> bool:
        return self.role >= Role.OPERATE

    @property
    def can_administer(self) -> bool:
        return self.role >= Role.ADMIN

    @property
    def actor(self) -> str:
        return f"dashboard, key {self.key_id}"


class Door(msgspec.Struct, frozen=True):
    """Whether this request may carry a login at all, and how its cookie is called and kept."""

    is_encrypted: bool
    is_allowed: bool
    is_exposed: bool
    """It seems to come over plain HTTP from another machine: whoever listens can log in."""

    @staticmethod
    def of(request: Request) -> Door:
        settings = Context.of(request).runtime.settings
        # A proxy that ends TLS passes the public name on: who comes by another name came past it.
        public = urlsplit(settings.public_url)
        is_encrypted = public.scheme == "https" and request.url.netloc == public.netloc
        peer = request.client.host if request.client else ""
        is_behind_proxy = public.scheme == "https" and not is_encrypted
        # Out of a container one is called `localhost` too, but seems to be called from elsewhere.
        is_local_name = _is_loopback(request.url.hostname) and not is_behind_proxy
        is_near = is_local_name and _is_loopback(peer)
        return Door(
            is_encrypted,
            is_allowed=is_encrypted or is_near or settings.plain_login,
            is_exposed=not (is_encrypted or is_local_name),
        )

    @property
    def cookie(self) -> str:
        # Browsers take a __Host- cookie only when it is Secure.
        return "__Host-orchestrator" if self.is_encrypted else "orchestrator_session"


async def find_viewer(request: Request) -> Viewer | None:
    """Whoever is logged in; None when nobody is."""
    door = Door.of(request)
    token = request.cookies.get(door.cookie, "")
    if not token or len(token) > _LONGEST or not door.is_allowed:
        return None
    store = Context.of(request).runtime.store
    session = await store.read(sessions.find_session, token=token, now=store.clock.now())
    return _viewer(session, token) if session is not None else None


def require(viewer: Viewer, role: Role) -> None:
    """Raises Forbidden."""
    if viewer.role < role:
        scope = next(scope for scope, needed in _ROLE_OF_SCOPE.items() if needed == role)
        raise Forbidden(f"Your key may not do that: it takes a key that may “{scope}”.")


def require_operator(viewer: Viewer) -> None:
    """Raises Forbidden unless it is somebody who may change what all tenants share."""
    if not viewer.is_operator:
        raise Forbidden("Only the operator may do that: it takes an admin key of the tenant `default`.")


def require_own_form(request: Request, viewer: Viewer, form: Mapping[str, Any]) -> None:
    """Raises Forbidden unless the form came from a page that we gave this session."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    given = str(form.get("csrf", ""))
    if site not in ("same-origin", "none") or not hmac.compare_digest(given.encode(), viewer.csrf.encode()):
        raise Forbidden("This form is out of date: load the page again and repeat what you did.")


async def log_in(request: Request, given: str) -> str:
    """A new session's token for a valid key with the scope `read`. Raises Unauthorized or Forbidden."""
    _require_door(request)
    store = Context.of(request).runtime.store
    now = store.clock.now()
    key = await store.read(keys.find_key, digest=key_digest(given.strip()[:_LONGEST]))
    if key is None or not key.is_valid(now):
        raise Unauthorized("This key is unknown, expired or revoked.")
    if "read" not in key.scopes:
        raise Forbidden("This key may not look at the dashboard: it takes a key that may “read”.")
    return await _open(request, key.id)


async def log_in_by_link(request: Request, link: str) -> str | None:
    """The same for a one-time link; None when it was used before or is too old."""
    _require_door(request)
    store = Context.of(request).runtime.store
    key_id = await store.write(sessions.take_link, token=link[:_LONGEST], now=store.clock.now())
    return None if key_id is None else await _open(request, key_id)


async def log_out(request: Request) -> None:
    token = request.cookies.get(Door.of(request).cookie, "")
    await Context.of(request).runtime.store.write(sessions.end_session, token=token[:_LONGEST])


def set_cookie(request: Request, response: Response, token: str) -> None:
    door = Door.of(request)
    response.set_cookie(
        door.cookie,
        token,
        max_age=SESSION_MS // 1_000,
        path="/",
        secure=door.is_encrypted,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response) -> None:
    door = Door.of(request)
    response.delete_cookie(door.cookie, path="/", secure=door.is_encrypted, httponly=True, samesite="lax")


async def _open(request: Request, key_id: str) -> str:
    store = Context.of(request).runtime.store
    token = secrets.token_urlsafe(32)
    await store.write(sessions.open_session, token=token, key_id=key_id, now=store.clock.now())
    return token


def _require_door(request: Request) -> None:
    if not Door.of(request).is_allowed:
        raise Forbidden(
            "This page came over plain HTTP from another machine, where others could read your key."
            " Put HTTPS in front, set PUBLIC_URL to it and let the proxy pass the header Host on;"
            " or set ORCHESTRATOR_PLAIN_LOGIN=true."
        )


def _viewer(session: Session, token: str) -> Viewer:
    roles = [_ROLE_OF_SCOPE[scope] for scope in session.key.scopes if scope in _ROLE_OF_SCOPE]
    return Viewer(
        tenant_id=session.key.tenant_id,
        tenant=session.tenant,
        name=session.key_name,
        key_id=session.key.id,
        role=max(roles),
        csrf=hmac.digest(token.encode(), b"csrf", hashlib.sha256).hex(),
    )


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
