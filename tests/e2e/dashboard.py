"""A stack whose every stored field holds what would run in a careless page, and the paths of all views."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.routing import Route

from orchestrator.web.dashboard.routes import DASHBOARD
from tests.e2e.hooked import hooked_stack, path_of
from tests.e2e.stack import FLUX, Stack, data_of

EVIL = '"\'><img src=x onerror="window.ran=1"><script>window.ran=1</script>{{7*7}}javascript:window.ran=1'
# No page of its own: streams, files, what one leaves by, and downloads.
NO_PAGE = ("/live", "/login", "/login/{link}", "/batches/{id}/results")


@dataclass(frozen=True)
class Filled:
    """`ids` has what stands for the ids in the paths, by the first word of the path."""

    stack: Stack
    ids: dict[str, str]

    @property
    def paths(self) -> list[str]:
        """Every view; those with an id over an object that exists."""
        views = [
            one.path
            for one in DASHBOARD
            if isinstance(one, Route) and "GET" in (one.methods or ()) and one.path not in NO_PAGE
        ]
        return [self._with_id(path) for path in views]

    def _with_id(self, path: str) -> str:
        if "{" not in path:
            return path
        head, _, rest = path.partition("{")
        return head + self.ids[head.strip("/").partition("/")[0]] + rest.partition("}")[2]


@asynccontextmanager
async def filled() -> AsyncIterator[Filled]:
    """One of everything, each with a name, a prompt, an error or an answer that is markup."""
    async with hooked_stack() as (stack, receiver):
        receiver.text = EVIL
        hook = receiver.url + path_of("500")
        done = await stack.created(f"done {EVIL}", params={"webhook": hook})
        await stack.ended(done)
        lines = (
            {"custom_id": EVIL[:60], "input": {"prompt": f"{EVIL} [fault: status=400]"}},
            {"input": {"prompt": EVIL}},
            {"custom_id": EVIL[:50], "input": 5},
        )
        batch = data_of(
            await stack.http.post(
                "/api/v3/batches",
                params={"model": FLUX, "name": EVIL, "mode": "partial"},
                content="\n".join(map(json.dumps, lines)),
            )
        )["id"]
        await stack.created(f"{EVIL} [fault: status=400]")
        await stack.http.post("/api/v3/keys", json={"name": EVIL[:80], "scopes": ["read"]})
        await stack.http.post("/api/v3/tenants", json={"name": EVIL[:80]})
        await stack.http.post(
            "/api/v3/endpoints",
            json={"url": hook, "events": ["job.completed"], "description": EVIL},
        )
        await stack.http.post("/api/v3/lanes/wavespeed/video/pause", json={"seconds": 3600, "because": EVIL})
        (delivery,) = (await stack.job(done))["deliveries"]
        ids = {"jobs": done, "batches": batch, "deliveries": delivery["id"], "lanes": "wavespeed/video"}
        endpoints = data_of(await stack.http.get("/api/v3/endpoints"))["items"]
        if endpoints:
            ids["endpoints"] = endpoints[0]["id"]
        yield Filled(stack, ids)
