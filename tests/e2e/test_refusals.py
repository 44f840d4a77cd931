"""The provider refuses: what passes by itself is waited for and costs no try, what does not ends at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.program import until
from tests.e2e.stack import PROVIDER_KEY, Json, Stack, marked, up_stack
from tests.e2e.test_lost_answers import lanes, verbs


async def test_busy_twice_then_fine_costs_no_try(stack: Stack) -> None:
    job_id = await stack.created(marked("busy=2"))
    ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["attempt"], ended["tries"]) == ("completed", 3, 0)
    assert verbs(ended).count("doubt") == 0
    assert len(await stack.tasks(job_id)) == 1


@pytest.mark.parametrize(
    ("fault", "pause_s"), [("refuse=429", (1, 6)), ("refuse=429, retry-after=40", (35, 41))]
)
async def test_a_429_pauses_the_lane_as_long_as_it_says(
    stack: Stack, fault: str, pause_s: tuple[int, int]
) -> None:
    job_id = await stack.created(marked(fault))
    await stack.after_verb(job_id, "retry")
    row = await stack.ledger.rows(
        "SELECT paused_until - factor_at AS pause, factor FROM lanes WHERE media = 'image'"
    )
    assert pause_s[0] * 1_000 <= row[0]["pause"] <= pause_s[1] * 1_000
    assert row[0]["factor"] == 0.5
    (image, video) = await lanes(stack)
    assert "429" in image["pause_reason"]
    assert video["pause_reason"] == ""
    ended = await stack.hurried(job_id)
    assert (ended["phase"], ended["tries"]) == ("completed", 0)


async def test_a_429_to_a_poll_puts_off_the_polls_and_no_submission(own_stack: Stack) -> None:
    stack = own_stack
    ids = [await stack.created(marked("callback=lost")) for _ in range(2)]
    for job_id in ids:
        await stack.in_phase(job_id, "accepted")
    await stack.control("faults", fault="refuse=429, retry-after=90", on="result", count=1)
    await stack.ledger.make_check_due(ids[0])
    pause = "SELECT paused_until - factor_at FROM lanes WHERE media = 'poll'"

    async def pause_ms() -> int:
        return int(await stack.ledger.one(pause))

    assert await until(pause_ms, what="the polls to pause") == 90_000
    await stack.ledger.make_check_due(ids[1])
    assert (await stack.ended(await stack.created()))["phase"] == "completed"
    assert (await lanes(stack))[0]["pause_reason"] == ""
    waiting = await stack.ledger.one("SELECT check_at FROM attempts WHERE job_id = :id", id=ids[1])
    assert waiting == 1, "it is due, and nobody asks"
    ended = await asyncio.gather(*(stack.hurried(job_id) for job_id in ids))
    assert {job["phase"] for job in ended} == {"completed"}


async def test_jobs_wait_for_credit_and_go_on_by_themselves(own_stack: Stack) -> None:
    stack = own_stack
    await stack.control("faults", fault="no-credit")
    ids = [await stack.created(f"a lake, {number}") for number in range(3)]
    trouble = await until(lambda: trouble_of(stack), what="the account's trouble")
    assert "credit" in trouble
    ids.append(await stack.created("a later lake"))
    await stack.ledger.make_account_check_due()
    await until(lambda: is_checked(stack), what="a check of the account")
    assert await trouble_of(stack), "the balance is still nothing"
    assert {(await stack.job(job_id))["status"] for job_id in ids} <= {"created", "processing"}
    await stack.mend()
    await stack.ledger.make_account_check_due()
    ended = await asyncio.gather(*(stack.hurried(job_id) for job_id in ids))
    assert {(job["phase"], job["tries"]) for job in ended} == {("completed", 0)}
    assert await trouble_of(stack) == ""
    assert len(await stack.tasks()) == 4


async def test_a_job_that_is_refused_without_a_reason_stops_the_others_for_seconds_and_then_dies(
    own_stack: Stack,
) -> None:
    stack = own_stack
    bad = await stack.created(marked("no-reason", "times=99"))
    await stack.after_verb(bad, "retry")
    good = await stack.created()
    began = asyncio.get_running_loop().time()
    assert (await stack.ended(good))["phase"] == "completed"
    assert asyncio.get_running_loop().time() - began < 10, "the account was asked at once, and is fine"
    ended = await stack.hurried(bad)
    assert (ended["reason"], ended["attempt"]) == ("exhausted", 5)
    assert "did not say whether" in ended["error"]
    assert {attempt["outcome"] for attempt in ended["attempts"]} == {"unclear"}
    assert await until(lambda: is_untroubled(stack))
    assert not await stack.tasks(bad)


async def is_untroubled(stack: Stack) -> bool:
    return await trouble_of(stack) == ""


async def trouble_of(stack: Stack) -> str:
    answer = (await stack.http.get("/api/v3/lanes")).json()["data"]
    return str(answer["accounts"][0]["trouble"])


async def is_checked(stack: Stack) -> bool:
    return bool(await stack.ledger.one("SELECT checked_at > 0 FROM accounts"))


async def test_jobs_wait_for_a_good_key_and_go_on_by_themselves() -> None:
    async with up_stack(sandbox=("--tier", "none", "--api-key", "another-key")) as stack:
        job_id = await stack.created("a lake")
        trouble = await until(lambda: trouble_of(stack), what="the account's trouble")
        assert "WAVESPEED_API_KEY" in trouble
        assert PROVIDER_KEY not in trouble
        await stack.sandbox.kill()
        stack.sandbox.words = [*stack.sandbox.words[:-1], PROVIDER_KEY]
        await stack.sandbox.start()
        await stack.ledger.make_account_check_due()
        ended = await stack.hurried(job_id)
        assert (ended["phase"], ended["tries"]) == ("completed", 0)


async def test_any_other_4xx_ends_the_job_at_once(stack: Stack) -> None:
    job_id = await stack.created(marked("refuse=400"))
    ended = await stack.ended(job_id)
    assert (ended["phase"], ended["reason"], ended["attempt"]) == ("failed", "rejected", 1)
    assert not await stack.tasks(job_id)


async def test_a_model_that_the_provider_does_not_know_is_rejected_with_its_words(stack: Stack) -> None:
    job_id = await stack.created(path="/api/v3/nobody/knows-this")
    ended = await stack.ended(job_id)
    assert (ended["reason"], ended["status"]) == ("rejected", "failed")
    assert "model not found" in ended["error"]


async def test_a_provider_that_is_not_there_is_tried_again_and_never_in_doubt(own_stack: Stack) -> None:
    await own_stack.sandbox.kill()
    job_id = await own_stack.created("a lake")
    await own_stack.after_verb(job_id, "retry")
    await own_stack.sandbox.start()
    ended: Json = await own_stack.hurried(job_id)
    assert (ended["phase"], ended["tries"]) == ("completed", 0)
    assert "doubt" not in verbs(ended)
    assert len(await own_stack.tasks(job_id)) == 1
