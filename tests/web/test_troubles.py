"""What is wrong now, in sentences, each with the page where it is mended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from orchestrator import policy
from orchestrator.clock import HOUR, MINUTE, SECOND
from orchestrator.store.board import COUNTED_UP_TO, Seen
from orchestrator.store.delivery_search import Overdue
from orchestrator.store.endpoints import Endpoint
from orchestrator.store.lane_orders import FOREVER
from orchestrator.store.lanes import Account, Lane
from orchestrator.web.dashboard.lane_words import door
from orchestrator.web.dashboard.troubles import Trouble, told
from tests.web.shown import NOW, OPERATOR

NOTHING_SEEN = Seen(dead=0, in_doubt=0, dead_deliveries=0, workers=1, waiting_since=None, ready_since=None)
ACCOUNT = Account("wavespeed", "wavespeed", 100, None, None, 0)
OPEN = Lane("wavespeed/image", "wavespeed", "image", 60, 1.0, NOW, 1.0, NOW, 0.0, 0, 0, None, 1, 0)
PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title><style>body { color: red }</style></head>\r\n"
    "<body>\r\n<center><h1>502 Bad Gateway &amp; so on</h1></center>\r\n<hr><center>ngi"
)
FAILING: dict[str, Any] = {
    "failures": policy.BREAKER_AT,
    "pause_reason": f"The provider keeps failing: HTTP 502: {PAGE}",
}


def troubles(*, seen: Seen = NOTHING_SEEN, **of_lane: Any) -> list[Trouble]:
    lane = structs.replace(OPEN, **of_lane)
    runtime = SimpleNamespace(
        lanes={lane.id: lane}, settings=SimpleNamespace(public_url="https://o"), is_pushed=lambda _: True
    )
    look: Any = SimpleNamespace(runtime=runtime, viewer=OPERATOR, now=NOW)
    return told(look, seen, accounts=[ACCOUNT])


def test_nothing_is_wrong_with_an_open_lane() -> None:
    assert troubles() == []


def test_a_lane_that_is_paused_until_resumed_leads_to_where_it_is_resumed() -> None:
    (one,) = troubles(stopped_until=FOREVER, stop_reason="the invoice is looked at")
    assert one.words == "The invoice is looked at. It waits until somebody resumes it."
    assert (one.path, one.is_urgent) == ("/lanes/wavespeed/image", True)


@pytest.mark.parametrize(
    ("lane", "title", "is_urgent"),
    [
        ({"paused_until": NOW + SECOND}, "The lane wavespeed/image is paused", True),
        (FAILING | {"paused_until": NOW + SECOND}, "The breaker of wavespeed/image is open", True),
        (FAILING, "The breaker of wavespeed/image is half open", False),
        ({"factor": 0.5}, "The lane wavespeed/image is slowed", False),
    ],
)
def test_every_lane_whose_door_is_not_open_is_told_of(
    lane: dict[str, Any], title: str, is_urgent: bool
) -> None:
    (one,) = troubles(**lane)
    assert (one.title, one.is_urgent) == (title, is_urgent)


def test_of_a_page_that_the_provider_sent_a_headline_has_the_words() -> None:
    lane = FAILING | {"paused_until": NOW + 12 * SECOND}
    (one,) = troubles(**lane)
    assert one.words == (
        "The provider keeps failing: HTTP 502: 502 Bad Gateway 502 Bad Gateway & so on n… It goes on in 12 s."
    )
    whole = door(structs.replace(OPEN, **lane), ACCOUNT, now=NOW).why
    assert PAGE in whole


@pytest.mark.parametrize(
    ("number", "title"),
    [
        (1, "1 webhook is overdue, the oldest by 12 min"),
        (COUNTED_UP_TO, "1,000+ webhooks are overdue, the oldest by 12 min"),
    ],
)
def test_webhooks_that_stand_still_are_told_of(number: int, title: str) -> None:
    overdue = Overdue(number, NOW - 12 * MINUTE)
    (one,) = troubles(seen=structs.replace(NOTHING_SEEN, overdue=overdue))
    assert (one.title, one.path) == (title, "/deliveries?state=pending")


def test_an_endpoint_that_fails_is_told_of_without_the_secrets_of_its_url() -> None:
    endpoint = Endpoint(
        id="e1",
        tenant_id="t",
        url="https://user.example/hook?token=secret",
        host="user.example",
        events="job.completed",
        description="",
        scheme="v1",
        secret="",
        created_at=0,
        failing_since=NOW - 3 * HOUR,
    )
    (one,) = troubles(seen=structs.replace(NOTHING_SEEN, failing=[endpoint]))
    assert "user.example/hook" in one.title
    assert one.title.endswith("has failed for 3 h")
    assert "secret" not in one.title
    assert one.path == "/endpoints/e1"
