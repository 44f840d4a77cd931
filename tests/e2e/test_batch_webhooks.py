"""A batch tells its end once, in the form of Standard Webhooks, and each job's end as well if asked."""

from __future__ import annotations

from typing import Any

import msgspec
from standardwebhooks.webhooks import Webhook

from tests.e2e.hooked import Hooked, path_of, secret_of
from tests.e2e.program import until
from tests.e2e.receiver import Received
from tests.e2e.stack import Json, Stack, data_of, marked

FLUX = "wavespeed-ai/flux-dev"


async def sent(stack: Stack, prompts: list[str], **params: str) -> Json:
    """The batch of these prompts, as it was answered."""
    body = b"\n".join(msgspec.json.encode({"input": {"prompt": prompt}}) for prompt in prompts)
    answer = await stack.http.post("/api/v3/batches", params={"model": FLUX} | params, content=body)
    batch: Json = data_of(answer)
    return batch


async def believed(stack: Stack, received: Received) -> dict[str, Any]:
    """The event, if the independent receiver believes its signature."""
    webhook = Webhook(await secret_of(stack))
    event: dict[str, Any] = webhook.verify(received.body, received.headers)
    return event


async def test_the_end_of_a_batch_is_told_once_with_counts_and_reasons(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("500,200")
    batch = await sent(stack, ["a lake", "a hill", marked("fail=1200")], webhook=receiver.url + path)
    first, second = await receiver.wait_for(path, 2)
    assert (first.message_id, first.body) == (second.message_id, second.body)
    event = await believed(stack, second)
    assert (event["type"], event["data"]["id"]) == ("batch.completed", batch["id"])
    assert event["data"]["counts"] == {"created": 0, "processing": 0, "completed": 2, "failed": 1}
    assert [(one["reason"], one["count"]) for one in event["data"]["failures"]] == [("rejected", 1)]


async def test_a_batch_that_is_retried_tells_its_new_end_under_a_new_id(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("200")
    batch = await sent(stack, ["a lake", marked("fail=1200")], webhook=receiver.url + path)
    await receiver.wait_for(path)

    async def is_retried() -> bool:
        answer = await stack.http.post(f"/api/v3/batches/{batch['id']}/retry-failed")
        return answer.status_code == 200

    await until(is_retried, what="no other step under way")
    first, second = await receiver.wait_for(path, 2)
    assert [first.message_id, second.message_id] == [f"{batch['id']}-1", f"{batch['id']}-2"]


async def test_each_job_of_a_batch_is_told_to_its_own_webhook_or_to_that_for_jobs(hooked: Hooked) -> None:
    stack, receiver = hooked
    common, own = path_of("200"), path_of("200")
    lines = [{"input": {"prompt": "a lake"}}, {"input": {"prompt": "a hill"}, "webhook": receiver.url + own}]
    body = b"\n".join(msgspec.json.encode(line) for line in lines)
    params = {"model": FLUX, "job_webhook": receiver.url + common}
    data_of(await stack.http.post("/api/v3/batches", params=params, content=body))
    (of_first,) = await receiver.wait_for(common)
    (of_second,) = await receiver.wait_for(own)
    assert {of_first.prediction["status"], of_second.prediction["status"]} == {"completed"}
    assert of_first.is_signed_with(await secret_of(stack))
