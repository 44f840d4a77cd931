"""Pauses and limits over HTTP: they count from the next claim on, survive a restart, can be taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.stack import Json, Stack, data_of, marked
from tests.e2e.test_admin_keys import actions_on
from tests.e2e.test_tenants import key_of_another

IMAGE = "/api/v3/lanes/wavespeed/image"
ACCOUNT = "/api/v3/accounts/wavespeed"


@pytest.fixture
async def calm(stack: Stack) -> AsyncIterator[Stack]:
    """The shared stack, whose lanes are as the settings have them afterwards."""
    yield stack
    await stack.http.post(f"{IMAGE}/resume")
    await stack.http.patch(IMAGE, json={"per_minute": None})
    await stack.http.patch(ACCOUNT, json={"max_in_flight": None})


async def ordered(stack: Stack, path: str, **body: Any) -> Json:
    """The lane of images after an order that must be taken."""
    method = "PATCH" if path == IMAGE else "POST"
    return image_of(data_of(await stack.http.request(method, path, json=body)))


def image_of(told: Json) -> Json:
    (image,) = (lane for lane in told["lanes"] if lane["id"] == "wavespeed/image")
    found: Json = image
    return found


async def test_a_paused_lane_sends_nothing_until_it_is_resumed(calm: Stack) -> None:
    lane = await ordered(calm, f"{IMAGE}/pause", because="the invoice is being looked at")
    assert (lane["is_paused"], lane["paused_by"], lane["paused_until"]) == (True, "operator", "")
    assert lane["pause_reason"] == "the invoice is being looked at"
    waiting = await calm.created()
    video = await calm.created(path="/api/v3/wavespeed-ai/wan-2.1/t2v-480p")
    await calm.ended(video)
    assert (await calm.job(waiting))["phase"] == "ready"
    lane = await ordered(calm, f"{IMAGE}/resume")
    assert (lane["is_paused"], lane["paused_by"], lane["pause_reason"]) == (False, "", "")
    assert (await calm.ended(waiting))["phase"] == "completed"


async def test_what_is_at_the_provider_goes_on_when_its_lane_is_paused(calm: Stack) -> None:
    job_id = await calm.created(marked("hold"))
    await calm.in_phase(job_id, "accepted")
    await ordered(calm, f"{IMAGE}/pause")
    (task,) = await calm.tasks(job_id)
    await calm.control("finish", id=task["id"])
    assert (await calm.ended(job_id))["phase"] == "completed"


async def test_a_pause_with_an_end_ends_by_itself(calm: Stack) -> None:
    lane = await ordered(calm, f"{IMAGE}/pause", seconds=1)
    assert lane["paused_until"] > "2026"
    assert (await calm.ended(await calm.created(), within=10))["phase"] == "completed"


async def test_an_operators_pause_is_not_lifted_by_a_good_answer_nor_the_providers_by_a_resume(
    calm: Stack,
) -> None:
    await ordered(calm, f"{IMAGE}/pause")
    await calm.ledger.change(
        "UPDATE lanes SET paused_until = 9999999999999, pause_reason = '429' WHERE media = 'image'"
    )
    lane = await ordered(calm, f"{IMAGE}/resume")
    assert (lane["is_paused"], lane["paused_by"], lane["pause_reason"]) == (True, "provider", "429")


async def test_a_new_rate_counts_from_the_next_claim_on(calm: Stack) -> None:
    lane = await ordered(calm, IMAGE, per_minute=1)
    assert (lane["per_minute"], lane["is_fixed"]) == (1, True)
    ids = [await calm.created() for _ in range(3)]
    assert {(await calm.job(ids[0]))["phase"]} <= {"ready", "submitting", "accepted", "completed"}
    lane = await ordered(calm, IMAGE, per_minute=None)
    assert (lane["per_minute"], lane["is_fixed"]) == (5_000, False)
    for job_id in ids:
        assert (await calm.ended(job_id))["phase"] == "completed"


async def test_more_slots_let_waiting_jobs_go_at_once(own_stack: Stack) -> None:
    data_of(await own_stack.http.patch(ACCOUNT, json={"max_in_flight": 1}))
    first = await own_stack.created(marked("hold"))
    await own_stack.in_phase(first, "accepted")
    second = await own_stack.created()
    assert (await own_stack.job(second))["phase"] == "ready"
    told = data_of(await own_stack.http.patch(ACCOUNT, json={"max_in_flight": 5_000}))
    assert (told["accounts"][0]["max_in_flight"], told["accounts"][0]["is_fixed"]) == (5_000, True)
    assert (await own_stack.ended(second))["phase"] == "completed"
    await own_stack.control("finish", id=(await own_stack.tasks(first))[0]["id"])
    await own_stack.ended(first)


async def test_orders_survive_a_restart_and_win_over_the_settings(own_stack: Stack) -> None:
    await ordered(own_stack, f"{IMAGE}/pause", because="kept")
    await ordered(own_stack, IMAGE, per_minute=77)
    data_of(await own_stack.http.patch(ACCOUNT, json={"max_in_flight": 7}))
    await own_stack.up.kill()
    await own_stack.up.start()
    told = data_of(await own_stack.http.get("/api/v3/lanes"))
    lane = image_of(told)
    assert (lane["per_minute"], lane["pause_reason"]) == (77, "kept")
    assert told["accounts"][0]["max_in_flight"] == 7


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", f"{IMAGE}/pause", {"seconds": 0}, "seconds"),
        ("POST", f"{IMAGE}/pause", {"seconds": 10**8}, "seconds"),
        ("POST", f"{IMAGE}/pause", {"because": "x" * 201}, "because"),
        ("POST", f"{IMAGE}/pause", {"until": "tomorrow"}, "until"),
        ("POST", f"{IMAGE}/resume", {"seconds": 1}, "seconds"),
        ("PATCH", IMAGE, {}, "per_minute"),
        ("PATCH", IMAGE, {"per_minute": 0}, "per_minute"),
        ("PATCH", IMAGE, {"per_minute": 10_000_001}, "per_minute"),
        ("PATCH", IMAGE, {"per_minute": True}, "per_minute"),
        ("PATCH", ACCOUNT, {"max_in_flight": 0}, "max_in_flight"),
        ("PATCH", ACCOUNT, {"max_in_flight": "9"}, "max_in_flight"),
        ("PATCH", ACCOUNT, {"max_in_flight": 9, "trouble": ""}, "trouble"),
    ],
)
async def test_a_wrong_order_is_refused_by_its_field(
    stack: Stack, method: str, path: str, body: Json, field: str
) -> None:
    answer = await stack.http.request(method, path, json=body)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v3/lanes/wavespeed/poll/pause", {}),
        ("POST", "/api/v3/lanes/nobody/pause", {}),
        ("PATCH", "/api/v3/lanes/wavespeed/poll", {"per_minute": 1}),
        ("PATCH", "/api/v3/accounts/nobody", {"max_in_flight": 1}),
    ],
)
async def test_there_is_no_such_lane_or_account(stack: Stack, method: str, path: str, body: Json) -> None:
    assert (await stack.http.request(method, path, json=body)).status_code == 404


async def test_orders_stand_in_the_audit(calm: Stack) -> None:
    before = len(await actions_on(calm, "wavespeed/image"))
    await ordered(calm, f"{IMAGE}/pause", because="why not")
    await ordered(calm, IMAGE, per_minute=99)
    await ordered(calm, f"{IMAGE}/resume")
    assert (await actions_on(calm, "wavespeed/image"))[before:] == [
        "pause lane: why not",
        "set per_minute to 99",
        "resume lane",
    ]


async def test_a_tenant_sees_why_its_jobs_wait_but_not_what_the_provider_says_of_the_account(
    own_stack: Stack,
) -> None:
    theirs = await key_of_another(own_stack)
    await ordered(own_stack, f"{IMAGE}/pause", because="until noon")
    words = "The balance is 0.23 dollars."
    await own_stack.ledger.change(
        "UPDATE accounts SET trouble = :words, checked_at = 9999999999999", words=words
    )
    told = data_of(await own_stack.http.get("/api/v3/lanes", headers=theirs))
    assert image_of(told)["pause_reason"] == "until noon"
    assert told["accounts"][0]["trouble"] not in ("", words)
    assert data_of(await own_stack.http.get("/api/v3/lanes"))["accounts"][0]["trouble"] == words
