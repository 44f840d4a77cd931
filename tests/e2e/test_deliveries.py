"""The user's webhook hears of each end: signed as WaveSpeed signs, until it is heard or given up."""

from __future__ import annotations

import pytest

from tests.e2e.hooked import Hooked, path_of, secret_of
from tests.e2e.program import until
from tests.e2e.stack import Json, Stack, data_of, marked


async def sent(hooked: Hooked, path: str, prompt: str = "a lake") -> str:
    stack, receiver = hooked
    return await stack.created(prompt, params={"webhook": receiver.url + path})


async def delivery_in(stack: Stack, job_id: str, state: str) -> Json:
    hastened: set[tuple[str, int]] = set()

    async def is_there(job: Json) -> bool:
        await stack.ledger.hasten_deliveries(hastened, job_id=job_id)
        return bool(job["deliveries"] and job["deliveries"][0]["state"] == state)

    job = await stack.job_when(job_id, is_there, what=f"a {state} delivery")
    (delivery,) = job["deliveries"]
    return dict(delivery)


@pytest.mark.parametrize("prompt", ["a lake", marked("fail=1200")], ids=["completed", "failed"])
async def test_an_end_is_delivered_once_as_the_bare_prediction_and_signed(
    hooked: Hooked, prompt: str
) -> None:
    stack, receiver = hooked
    path = path_of("200")
    job_id = await sent(hooked, path, prompt)
    (received,) = await receiver.wait_for(path)
    assert received.message_id == f"{job_id}-1"
    assert received.is_signed_with(await secret_of(stack))
    shown = data_of(await stack.http.get(f"/api/v3/predictions/{job_id}"))
    assert received.prediction == shown | {"input": {"prompt": prompt}}
    delivered = await delivery_in(stack, job_id, "delivered")
    assert (delivered["id"], delivered["failures"]) == (f"{job_id}-1", 0)
    assert len(receiver.got[path]) == 1


async def test_a_500_is_tried_again_with_the_same_id_and_a_new_signature(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("500,200")
    job_id = await sent(hooked, path)
    assert (await delivery_in(stack, job_id, "delivered"))["failures"] == 1
    first, second = receiver.got[path]
    assert first.message_id == second.message_id
    assert first.body == second.body
    secret = await secret_of(stack)
    assert all(one.is_signed_with(secret) for one in (first, second))
    attempts = await stack.ledger.rows(
        "SELECT status, answer FROM delivery_attempts WHERE delivery_id = :id ORDER BY number",
        id=f"{job_id}-1",
    )
    assert attempts == [{"status": 500, "answer": "thank you"}, {"status": 200, "answer": "thank you"}]


async def test_a_410_is_the_end(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410")
    job_id = await sent(hooked, path)
    assert (await delivery_in(stack, job_id, "dead"))["failures"] == 1
    assert len(receiver.got[path]) == 1


async def test_a_redirect_is_a_failure_and_not_followed(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("302,200")
    job_id = await sent(hooked, path)
    assert (await delivery_in(stack, job_id, "delivered"))["failures"] == 1
    assert receiver.got["/200/redirected"] == []


async def test_the_eleventh_failure_kills_it(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("500")
    job_id = await sent(hooked, path)
    await receiver.wait_for(path)
    await stack.ledger.change(
        "UPDATE deliveries SET failures = 8 WHERE failures > 0 AND job_id = :id", id=job_id
    )
    assert (await delivery_in(stack, job_id, "dead"))["failures"] == 11
    assert len({one.message_id for one in receiver.got[path]}) == 1


@pytest.mark.parametrize("retry_after", ["3000", "Fri, 31 Dec 2100 23:59:59 GMT"], ids=["seconds", "a date"])
async def test_a_503_may_put_its_delivery_off(hooked: Hooked, retry_after: str) -> None:
    stack, receiver = hooked
    receiver.headers = {"retry-after": retry_after}
    job_id = await sent(hooked, path_of("503"))

    async def is_put_off() -> bool:
        row = "SELECT due_at - created_at FROM deliveries WHERE job_id = :id AND failures = 1"
        return any(next(iter(one.values())) >= 3_000_000 for one in await stack.ledger.rows(row, id=job_id))

    await until(is_put_off, what="a delivery to be put off")
    receiver.headers = {}


async def test_who_answers_within_15_seconds_is_heard(hooked: Hooked) -> None:
    stack, receiver = hooked
    # A host gets one delivery at a time until it has answered.
    await delivery_in(stack, await sent(hooked, path_of("200")), "delivered")
    slow, late = path_of("200"), path_of("200")
    receiver.seconds = {slow: 12.0, late: 40.0}
    heard, unheard = [await sent(hooked, path) for path in (slow, late)]

    async def has_failed(job: Json) -> bool:
        return bool(job["deliveries"] and job["deliveries"][0]["failures"])

    await stack.job_when(unheard, has_failed)
    took = "SELECT latency_ms FROM delivery_attempts WHERE delivery_id = :id"
    assert 14_900 <= await stack.ledger.one(took, id=f"{unheard}-1") < 30_000
    assert (await delivery_in(stack, heard, "delivered"))["failures"] == 0
    receiver.seconds = {}


@pytest.mark.parametrize("retry_after", ["²", "-5", "nan", "1e999", "9" * 5_000, "soon"])
async def test_a_strange_retry_after_harms_no_delivery(hooked: Hooked, retry_after: str) -> None:
    stack, receiver = hooked
    receiver.headers = {"retry-after": retry_after}
    strange, calm = path_of("503,200"), path_of("200")
    job_ids = [await sent(hooked, strange), await sent(hooked, calm)]
    for job_id in job_ids:
        await delivery_in(stack, job_id, "delivered")
    receiver.headers = {}


async def test_nobody_there_is_tried_again_and_told_as_unreachable(hooked: Hooked) -> None:
    stack, _ = hooked
    job_id = await stack.created(params={"webhook": "https://127.0.0.1/hook"})
    await stack.ended(job_id)

    async def has_failed(job: Json) -> bool:
        return bool(job["deliveries"][0]["failures"])

    await stack.job_when(job_id, has_failed)
    (attempt,) = await stack.ledger.rows(
        "SELECT * FROM delivery_attempts WHERE delivery_id = :id", id=f"{job_id}-1"
    )
    assert (attempt["status"], attempt["error"]) == (None, "could not be reached")


async def test_of_a_long_answer_the_beginning_is_kept(hooked: Hooked) -> None:
    stack, receiver = hooked
    receiver.text = "x" * 100_000
    job_id = await sent(hooked, path_of("200"))
    await delivery_in(stack, job_id, "delivered")
    kept = "SELECT answer FROM delivery_attempts WHERE delivery_id = :id"
    assert await stack.ledger.one(kept, id=f"{job_id}-1") == "x" * 1_000
    receiver.text = "thank you"


async def test_a_redriven_job_tells_its_second_end_under_another_id(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("200")
    job_id = await sent(hooked, path, marked("fail=1403", "times=1"))
    await receiver.wait_for(path)
    await stack.act(job_id, "redrive")
    first, second = await receiver.wait_for(path, 2)
    assert [first.message_id, second.message_id] == [f"{job_id}-1", f"{job_id}-2"]
    assert [one.prediction["status"] for one in (first, second)] == ["failed", "completed"]
