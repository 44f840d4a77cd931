"""Endpoints hear of all that their tenant's jobs and batches do, signed with secrets of their own."""

from __future__ import annotations

from tests.e2e.hooked import path_of
from tests.e2e.stack import FLUX, marked
from tests.e2e.subscribing import Subscriber, believed

FAILS = marked("fail=1200")


async def test_a_completed_job_is_told_as_a_get_of_it_answers(tenant: Subscriber) -> None:
    path = path_of("200")
    made = await tenant.subscribe(path, "job.completed")
    job_id = await tenant.run()
    (received,) = await tenant.receiver.wait_for(path)
    event = believed(received, made["secret"])
    assert event["type"] == "job.completed"
    shown = await tenant.data("GET", f"/api/v3/predictions/{job_id}")
    assert event["data"] == shown | {"input": {"prompt": "a lake"}}
    assert received.message_id == f"{job_id}-1-{made['id']}-completed"
    told = await tenant.delivery_in("delivered", endpoint=made["id"])
    assert (told["id"], told["job"], told["event"]) == (received.message_id, job_id, "job.completed")


async def test_each_endpoint_hears_what_it_subscribed_and_nothing_else(tenant: Subscriber) -> None:
    failures, letters, completions = path_of("200"), path_of("200"), path_of("200")
    await tenant.subscribe(failures, "job.failed")
    await tenant.subscribe(letters, "job.dead_lettered", "batch.completed")
    await tenant.subscribe(completions, "job.completed")
    job_id = await tenant.run(FAILS)
    (failed,) = await tenant.receiver.wait_for(failures)
    (dead,) = await tenant.receiver.wait_for(letters)
    assert [one.prediction["type"] for one in (failed, dead)] == ["job.failed", "job.dead_lettered"]
    assert {one.prediction["data"]["id"] for one in (failed, dead)} == {job_id}
    assert tenant.receiver.got[completions] == []


async def test_a_cancelled_job_has_failed_and_is_no_dead_letter(tenant: Subscriber) -> None:
    path = path_of("200")
    await tenant.subscribe(path, "job.failed", "job.dead_lettered")
    await tenant.stack.ledger.pause_lanes()
    answer = await tenant.stack.submit("a lake", headers=tenant.headers)
    await tenant.data("POST", f"/api/v3/jobs/{answer.json()['data']['id']}/cancel")
    await tenant.stack.ledger.calm_lanes()
    (received,) = await tenant.receiver.wait_for(path)
    assert received.prediction["type"] == "job.failed"
    assert len(await tenant.deliveries()) == 1


async def test_the_end_of_a_batch_is_told_as_a_get_of_it_answers(tenant: Subscriber) -> None:
    path, bare = path_of("200"), path_of("200")
    made = await tenant.subscribe(path, "batch.completed")
    await tenant.subscribe(bare, "batch.completed", scheme="v3")
    batch_id = await tenant.batch("a lake", FAILS)
    (received,) = await tenant.receiver.wait_for(path)
    event = believed(received, made["secret"])
    found = await tenant.data("GET", f"/api/v3/batches/{batch_id}")
    assert (event["type"], event["data"]) == ("batch.completed", found)
    (as_object,) = await tenant.receiver.wait_for(bare)
    assert as_object.prediction == found


async def test_in_wavespeeds_form_it_is_the_bare_prediction(tenant: Subscriber) -> None:
    path = path_of("200")
    made = await tenant.subscribe(path, "job.completed", scheme="v3")
    job_id = await tenant.run()
    (received,) = await tenant.receiver.wait_for(path)
    assert received.is_signed_with(made["secret"])
    shown = await tenant.data("GET", f"/api/v3/predictions/{job_id}")
    assert received.prediction == shown | {"input": {"prompt": "a lake"}}


async def test_single_jobs_and_batches_may_be_told_in_either_form(tenant: Subscriber) -> None:
    of_job, of_batch, of_line = path_of("200"), path_of("200"), path_of("200")
    hook = tenant.receiver.url
    job_id = await tenant.run(webhook=hook + of_job, webhook_scheme="v1")
    batch_id = await tenant.batch(
        "a hill", webhook=hook + of_batch, job_webhook=hook + of_line, webhook_scheme="v3"
    )
    secret = (await tenant.data("GET", "/api/v3/webhook/secret"))["secret"]
    (told,) = await tenant.receiver.wait_for(of_job)
    event = believed(told, secret)
    assert (told.message_id, event["type"], event["data"]["id"]) == (f"{job_id}-1", "job.completed", job_id)
    for path in (of_batch, of_line):
        (bare,) = await tenant.receiver.wait_for(path)
        assert bare.is_signed_with(secret)
    assert tenant.receiver.got[of_batch][0].prediction["id"] == batch_id


async def test_an_unknown_form_is_refused(tenant: Subscriber) -> None:
    asked = {"webhook_scheme": "v2"}
    job = await tenant.ask("POST", f"/api/v3/{FLUX}", params=asked, json={"prompt": "a lake"})
    batch = await tenant.ask(
        "POST", "/api/v3/batches", json=asked | {"model": FLUX, "inputs": [{"prompt": "a lake"}]}
    )
    for answer in (job, batch):
        assert (answer.status_code, answer.json()["field"]) == (400, "webhook_scheme")
