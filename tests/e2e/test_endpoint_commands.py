"""`orchestrator endpoints`, as people call it, against a server with a receiver beside it."""

from __future__ import annotations

from tests.e2e.hooked import Hooked, path_of
from tests.e2e.subscribing import believed
from tests.e2e.test_delivery_commands import called


async def added(hooked: Hooked, path: str, *words: str) -> tuple[str, str]:
    """The id of an endpoint, and its secret."""
    stack, receiver = hooked
    status, out, err = await called(stack, "endpoints", "add", receiver.url + path, *words)
    assert status == 0, err
    return err.split()[1], out.strip()


async def test_an_endpoint_is_added_tried_and_shown(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("200")
    one, secret = await added(hooked, path, "--events", "job.failed, batch.completed")
    status, out, err = await called(stack, "endpoints", one, "--test")
    assert (status, f"orchestrator delivery {out.strip()}" in err) == (0, True)
    (received,) = await receiver.wait_for(path)
    assert believed(received, secret)["type"] == "endpoint.test"
    status, out, _ = await called(stack, "endpoints", one)
    facts = dict(line.strip().split(maxsplit=1) for line in out.splitlines())
    assert (facts["Events"], facts["State"]) == ("job.failed, batch.completed", "enabled")
    _, listed, _ = await called(stack, "endpoints", "list")
    assert [line.split()[1] for line in listed.splitlines() if line.startswith(one)] == ["enabled"]


async def test_an_endpoint_is_disabled_enabled_rotated_and_removed(hooked: Hooked) -> None:
    stack, _ = hooked
    one, secret = await added(hooked, path_of("200"), "--scheme", "v3")
    assert (await called(stack, "endpoints", one, "--disable"))[:2] == (0, f"{one} is disabled.\n")
    assert (await called(stack, "endpoints", "set", one, "--enable"))[:2] == (0, f"{one} is enabled.\n")
    status, out, err = await called(stack, "endpoints", one, "--rotate")
    assert (status, out.startswith("whsec_"), out.strip() != secret) == (0, True, True)
    assert "signs as well until" in err
    assert (await called(stack, "endpoints", one, "--remove"))[:2] == (0, f"{one} is removed.\n")
    status, _, err = await called(stack, "endpoints", one)
    assert (status, err) == (1, "There is no such endpoint.\n")


async def test_what_cannot_be_is_refused(hooked: Hooked) -> None:
    stack, _ = hooked
    hook = "https://user.example/"
    status, _, err = await called(stack, "endpoints", "add", hook, "--events", "job.exploded")
    assert (status, err.startswith("events[0]: must be one of job.completed, ")) == (1, True)
    status, _, err = await called(stack, "endpoints", "some", "--disable", "--enable")
    assert (status, "give one of --disable" in err) == (2, True)


async def test_the_deliveries_of_one_endpoint_are_listed_and_sent_again(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("404,200")
    one, _ = await added(hooked, path)
    delivery = (await called(stack, "endpoints", one, "--test"))[1].strip()
    await receiver.wait_for(path)
    await stack.ledger.change(
        "UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = created_at"
        " WHERE id = :id AND state = 'pending'",
        id=delivery,
    )
    _, out, _ = await called(stack, "deliveries", "--endpoint", one)
    assert [line.split()[0] for line in out.splitlines()[1:]] == [delivery]
    assert "endpoint.test" in (await called(stack, "delivery", delivery))[1]
    again = await called(stack, "redeliver", "--dead-since", "2h", "--endpoint", one)
    assert again[:2] == (0, "1 are sent again.\n")
    await receiver.wait_for(path, 2)
