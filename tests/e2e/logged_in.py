"""Somebody who is logged in to the dashboard without a browser: a cookie, and the token of its forms."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx

from tests.e2e.stack import Stack, data_of

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
NOTICE = "orchestrator_notice"


@dataclass
class LoggedIn:
    """`http` follows no redirect: where an answer leads is looked at."""

    http: httpx.AsyncClient
    csrf: str

    async def act(self, path: str, **fields: Any) -> httpx.Response:
        """What a form of a page of its own sends."""
        return await self.http.post(path, data={"csrf": self.csrf, **fields})


@asynccontextmanager
async def anonymous(stack: Stack, *, host: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a session; `host` is what it believes to talk to."""
    headers = {"host": host} if host else {}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as http:
        yield http


@asynccontextmanager
async def logged_in(stack: Stack, key: str | None = None) -> AsyncIterator[LoggedIn]:
    async with anonymous(stack) as http:
        entered = await http.post("/login", data={"key": key or stack.key})
        assert entered.status_code == 303, entered.text[:500]
        page = await http.get("/")
        found = _CSRF.search(page.text)
        assert found, page.text[:500]
        yield LoggedIn(http, found[1])


async def new_key(stack: Stack, name: str, *scopes: str) -> Mapping[str, Any]:
    """A key of the first tenant, with its id and the key itself."""
    made: Mapping[str, Any] = data_of(
        await stack.http.post("/api/v3/keys", json={"name": name, "scopes": scopes})
    )
    return made


def notice_of(response: httpx.Response) -> str:
    """What an action has said."""
    given = response.cookies.get(NOTICE)
    assert given, f"{response.status_code}: {response.text[:500]}"
    return str(json.loads(unquote(given))["text"])
