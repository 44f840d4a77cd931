"""`orchestrator lanes`, as operators call it."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack
from tests.e2e.test_delivery_commands import called

LANE = "wavespeed/image"


async def test_limits_and_pauses_are_shown(stack: Stack) -> None:
    status, out, err = await called(stack, "lanes")
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["wavespeed/image", "5000", "settings", "open"],
        ["wavespeed/video", "5000", "settings", "open"],
    ]
    assert err == "wavespeed: 5000 at the provider at a time\n"


async def test_a_lane_that_is_not_there_is_told(stack: Stack) -> None:
    status, out, err = await called(stack, "lanes", "nope")
    assert (status, out) == (1, "")
    assert err == "There is no lane 'nope': `orchestrator lanes` lists them.\n"


async def test_a_lane_is_paused_and_resumed_with_other_limits(own_stack: Stack) -> None:
    status, out, _ = await called(own_stack, "lanes", LANE, "--pause", "--because", "the invoice")
    assert (status, len(out.splitlines())) == (0, 2)
    assert "paused until it is resumed by the operator: the invoice" in " ".join(out.split())
    orders = ("--resume", "--per-minute", "300", "--max-in-flight", "7")
    status, out, err = await called(own_stack, "lanes", LANE, *orders)
    assert (status, out.splitlines()[1].split()) == (0, ["wavespeed/image", "300", "operator", "open"])
    assert err == "wavespeed: 7 at the provider at a time, set by an operator\n"
    _, out, _ = await called(own_stack, "lanes", LANE, "--per-minute", "usual")
    assert out.splitlines()[1].split()[1:3] == ["5000", "settings"]


async def test_a_pause_can_have_an_end(own_stack: Stack) -> None:
    _, out, _ = await called(own_stack, "lanes", LANE, "--pause", "--for", "2h")
    assert "paused until 20" in " ".join(out.split())


@pytest.mark.parametrize(
    "words",
    [
        ("--pause",),
        (LANE, "--pause", "--resume"),
        (LANE, "--for", "2h"),
        (LANE, "--because", "x"),
        (LANE, "--pause", "--for", "soon"),
        (LANE, "--per-minute", "many"),
    ],
)
async def test_orders_that_make_no_sense_are_refused(stack: Stack, words: tuple[str, ...]) -> None:
    status, _, err = await called(stack, "lanes", *words)
    assert (status, "Error" in err) == (2, True)
    assert not (await stack.http.get("/api/v3/lanes")).json()["data"]["lanes"][0]["is_paused"]


async def test_what_the_server_refuses_is_told(stack: Stack) -> None:
    status, _, err = await called(stack, "lanes", "wavespeed/nothing", "--pause")
    assert (status, err) == (1, "There is no such lane or account.\n")
