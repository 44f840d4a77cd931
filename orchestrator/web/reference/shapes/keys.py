"""API keys, without the keys themselves but for the one time."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from orchestrator.web.reference.shapes.words import Id


class ApiKey(Struct, kw_only=True):
    id: Id
    prefix: Annotated[str, Meta(description="How the key begins, to tell it from others.")]
    name: str
    tenant: str
    scopes: list[Literal["admin", "read", "submit"]]
    state: Literal["valid", "expired", "revoked"]
    created_at: str
    expires_at: str
    revoked_at: str
    last_used_at: Annotated[str, Meta(description="To the minute.")]


class NewApiKey(ApiKey, kw_only=True):
    key: Annotated[str, Meta(description="Shown this once.")]


class ApiKeys(Struct):
    items: list[ApiKey]


class LoginLink(Struct):
    url: Annotated[str, Meta(description="Logs in to the dashboard, once.")]
    expires_at: str
