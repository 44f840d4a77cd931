"""Everything that happened to a job as one list."""

from __future__ import annotations

from typing import Any

from orchestrator.store.views import CallbackSeen, Delivery, Event, Timeline
from orchestrator.web.dashboard.timeline import Moment, moments
from tests.factories import T0, make_attempt, make_job


def told(**lists: Any) -> list[Moment]:
    empty: dict[str, Any] = {"events": [], "attempts": [], "callbacks": [], "deliveries": []}
    return moments(Timeline(**(empty | lists)), [])


def event(verb: str) -> Event:
    return Event("1", T0, verb, None, "accepted", 1, "worker", "")


def test_at_the_same_time_causes_stand_before_what_they_led_to() -> None:
    found = told(
        events=[event("claim"), event("complete")],
        attempts=[make_attempt(make_job(), sent_at=T0)],
        callbacks=[CallbackSeen(1, "valid", T0, T0, 1)],
    )
    titles = [one.title for one in found if one.at == T0]
    assert titles == ["Taken by a worker", "Sent", "Callback", "Completed"]


def test_a_webhook_names_its_host_and_none_of_its_secrets() -> None:
    url = "https://user:word@hooks.example:8443/path?token=secret"
    (made, due) = told(deliveries=[Delivery("d", url, "pending", T0, T0 + 1, 2, None)])
    assert (made.title, made.detail) == ("Webhook made", "to hooks.example:8443")
    assert due.detail == "to hooks.example:8443, 2 failed before"


def test_what_is_kept_of_a_callback_is_shown_with_it() -> None:
    (one,) = told(callbacks=[CallbackSeen(1, "forged", T0, T0, 1, "believe me")])
    assert one.said == "believe me"
