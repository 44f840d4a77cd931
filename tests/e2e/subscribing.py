"""A tenant of a test's own with its endpoints, so that no test hears of another's jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from orchestrator.ids import new_api_key
from tests.e2e.hooked import Hooked
from tests.e2e.program import until
from tests.e2e.receiver import Received, Receiver
from tests.e2e.stack import FLUX, Json, Stack, data_of

ENDPOINTS = "/api/v3/endpoints"
DELIVERIES = "/api/v3/deliveries"


@dataclass(frozen=True)
class Subscriber:
    """Speaks to the stack with a key that may do everything, of a tenant of its own."""

    stack: Stack
    receiver: Receiver
    id: str
    headers: dict[str, str]

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await self.stack.http.request(method, path, headers=self.headers, **request)

    async def data(self, method: str, path: str, **request: Any) -> Any:
        return data_of(await self.ask(method, path, **request))

    async def subscribe(self, path: str, *events: str, **more: Any) -> Json:
        """An endpoint at this path of the receiver, as it was answered."""
        asked = {"url": self.receiver.url + path, "events": events or ["job.completed"], **more}
        made: Json = await self.data("POST", ENDPOINTS, json=asked)
        return made

    async def endpoint(self, made: Json) -> Json:
        found: Json = await self.data("GET", f"{ENDPOINTS}/{made['id']}")
        return found

    async def run(self, prompt: str = "a lake", **params: str) -> str:
        """The id of a job that has ended."""
        answer = await self.stack.submit(prompt, headers=self.headers, params=params)
        job_id = str(data_of(answer)["id"])

        async def has_ended() -> bool:
            job = await self.data("GET", f"/api/v3/jobs/{job_id}")
            return job["phase"] in ("completed", "failed")

        await until(has_ended, what=f"the end of {job_id}")
        return job_id

    async def batch(self, *prompts: str, **params: str) -> str:
        """The id of a batch that was taken."""
        asked = {"model": FLUX, "inputs": [{"prompt": prompt} for prompt in prompts], **params}
        return str((await self.data("POST", "/api/v3/batches", json=asked))["id"])

    async def deliveries(self, **asked: str) -> list[Json]:
        found: list[Json] = (await self.data("GET", DELIVERIES, params=asked))["items"]
        return found

    async def delivery_in(self, state: str, *, last_try: bool = False, **asked: str) -> Json:
        """The only delivery of these, once it is in this state; attempts do not wait for their time, and
        with `last_try` the second is the last.
        """
        found: list[Json] = []
        hastened: set[tuple[str, int]] = set()

        async def is_there() -> bool:
            nonlocal found
            failures = 10 if last_try else None
            await self.stack.ledger.hasten_deliveries(hastened, tenant_id=self.id, failures=failures)
            found = await self.deliveries(state=state, **asked)
            return bool(found)

        await until(is_there, what=f"a {state} delivery of {asked}")
        (one,) = found
        return one


def believed(received: Received, secret: str) -> Json:
    """The event, if the independent receiver believes its signature."""
    event: Json = Webhook(secret).verify(received.body, received.headers)
    return event


async def new_subscriber(hooked: Hooked) -> Subscriber:
    stack, receiver = hooked
    key = new_api_key()
    tenant_id = await stack.ledger.add_tenant(key, scopes="admin read submit")
    return Subscriber(stack, receiver, tenant_id, {"authorization": f"Bearer {key}"})
