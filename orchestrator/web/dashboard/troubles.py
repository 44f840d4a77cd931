"""What is wrong now: each trouble in a sentence, with the page where it is mended; urgent ones first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.clock import SECOND
from orchestrator.store import lanes
from orchestrator.store.board import COUNTED_UP_TO, Seen
from orchestrator.store.endpoints import shown_url
from orchestrator.store.keys import FIRST_TENANT
from orchestrator.web.dashboard.lane_words import door
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.words import count, duration, plain

_OVERDUE_MS = 15 * SECOND
# By the word of a lane's door; what its account keeps from it is told of the account.
_TITLES = {
    "paused": "The lane {} is paused",
    "breaker open": "The breaker of {} is open",
    "half open": "The breaker of {} is half open",
    "slowed": "The lane {} is slowed",
}


class Trouble(msgspec.Struct, frozen=True):
    """`is_urgent`: jobs stand still because of it."""

    title: str
    words: str
    path: str
    act: str
    is_urgent: bool = False


def told(look: Look, seen: Seen, *, accounts: Sequence[lanes.Account]) -> list[Trouble]:
    """Urgent ones first."""
    found = [*_of_work(look, seen), *_of_lanes(look, accounts), *_of_people(seen), *_of_webhooks(look, seen)]
    return sorted(found, key=lambda one: not one.is_urgent)


def _of_work(look: Look, seen: Seen) -> Iterator[Trouble]:
    if not seen.workers:
        waits = "Jobs are stored, and nothing works on them." if seen.ready_since else "New jobs will wait."
        yield Trouble("No worker is running", waits, "/system", "See the processes", is_urgent=True)
    late = look.now - (seen.waiting_since or look.now)
    if late > _OVERDUE_MS:
        yield Trouble(
            "The sweep is late",
            f"A job was due {duration(late)} ago.",
            "/system",
            "See the drains",
            is_urgent=True,
        )


def _of_lanes(look: Look, accounts: Sequence[lanes.Account]) -> Iterator[Trouble]:
    for account in accounts:
        if account.trouble:
            yield Trouble(
                f"The account {account.id} does not work",
                plain(account.trouble) if look.viewer.tenant == FIRST_TENANT else lanes.HIDDEN_TROUBLE,
                "/lanes",
                "See the account",
                is_urgent=True,
            )
    for lane in look.runtime.lanes.values():
        seen = door(lane, next(one for one in accounts if one.id == lane.account_id), now=look.now)
        if seen.word in _TITLES:
            title = _TITLES[seen.word].format(lane.id)
            yield Trouble(title, seen.short, f"/lanes/{lane.id}", "See the lane", is_urgent=seen.is_closed)
        if not seen.is_closed and look.runtime.settings.public_url and not look.runtime.is_pushed(lane.id):
            yield Trouble(
                f"No callbacks arrive on {lane.id}",
                "Polls find what callbacks should have told: results come a little later, nothing is lost.",
                "/callbacks",
                "See the callbacks",
            )


def _of_people(seen: Seen) -> Iterator[Trouble]:
    if seen.in_doubt:
        yield Trouble(
            f"{_many(seen.in_doubt, 'job waits', 'jobs wait')} for your decision",
            "Nobody knows whether the provider has it, and sending it again might pay twice.",
            "/jobs?phase=held&doubt=1",
            "Decide",
        )
    if seen.dead:
        yield Trouble(
            _many(seen.dead, "dead letter", "dead letters"),
            "These failed for good, and nobody has retried or dismissed them.",
            "/dead-letters",
            "Look at the causes",
        )
    if seen.dead_deliveries:
        yield Trouble(
            f"{_many(seen.dead_deliveries, 'webhook was', 'webhooks were')} given up in the last day",
            "The receiver did not take it within the whole schedule.",
            "/deliveries?state=dead",
            "Send again",
        )


def _of_webhooks(look: Look, seen: Seen) -> Iterator[Trouble]:
    if seen.overdue.since is not None:
        late = duration(look.now - seen.overdue.since)
        yield Trouble(
            f"{_many(seen.overdue.count, 'webhook is', 'webhooks are')} overdue, the oldest by {late}",
            "A receiver does not answer, or others to the same host go first.",
            "/deliveries?state=pending",
            "See the deliveries",
        )
    for endpoint in seen.failing:
        since = duration(look.now - (endpoint.failing_since or look.now))
        yield Trouble(
            f"The endpoint {shown_url(endpoint.url)} has failed for {since}",
            "It is tried again, and disabled after five days without an answer.",
            f"/endpoints/{endpoint.id}",
            "See the endpoint",
        )


def _many(number: int, one: str, more: str) -> str:
    shown = f"{count(number)}+" if number >= COUNTED_UP_TO else count(number)
    return f"{shown} {one if number == 1 else more}"
