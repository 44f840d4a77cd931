"""Everything that happened to one job as one list, and its path through the phases. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

import msgspec

from orchestrator.clock import SECOND
from orchestrator.job import Attempt, Job
from orchestrator.store.audit import Line
from orchestrator.store.endpoints import shown_url
from orchestrator.store.views import CallbackSeen, Delivery, Event, Timeline
from orchestrator.web.dashboard.words import words

_TITLES = {
    "create": "Stored",
    "release": "Released",
    "schedule": "Scheduled",
    "wake": "Ready: its time has come",
    "claim": "Taken by a worker",
    "give_back": "Given back unsent",
    "doubt": "In doubt",
    "accept": "Accepted by the provider",
    "retry": "Will be tried again",
    "hold": "Held",
    "unadopt": "In doubt again",
    "complete": "Completed",
    "fail": "Failed",
    "redrive": "Ready for another life",
}
_TONES = {"complete": "good", "fail": "bad", "doubt": "doubt", "unadopt": "doubt", "hold": "idle"}
_TONE_OF_PHASE = {"waiting": "wait", "submitting": "busy", "accepted": "busy", "ready": "idle"}
_DELIVERY_TONES = {"delivered": "good", "dead": "bad", "pending": "wait"}
_BEFORE_SENDING = ("create", "release", "schedule", "redrive", "wake", "claim")
_ENDS = ("retry", "complete", "fail", "doubt")
_SAYS_NOTHING = ("created", "due", "released", "scheduled")
_VERDICTS = {"valid": "signed, and believed", "unsigned": "not signed, so the provider was asked"}


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the timeline. `said` is what somebody outside wrote; `path` leads to more."""

    at: int
    icon: str
    title: str
    tone: str = "idle"
    detail: str = ""
    attempt: int = 0
    said: str = ""
    path: str = ""


class Stay(msgspec.Struct, frozen=True):
    """A phase that the job was in, for how many ms; None for the one that it stays in."""

    phase: str
    took: int | None


def moments(timeline: Timeline, audit: Sequence[Line]) -> list[Moment]:
    """Oldest first; at the same time a cause stands before what it led to."""
    said = {attempt.number: attempt.excerpt for attempt in timeline.attempts}
    found = [
        *(one for line in audit for one in _of_person(line)),
        *(_of_event(event, said) for event in timeline.events if event.verb in _BEFORE_SENDING),
        *(one for attempt in timeline.attempts for one in _of_attempt(attempt, timeline.events)),
        *(one for callback in timeline.callbacks for one in _of_callback(callback)),
        *(_of_event(event, said) for event in timeline.events if event.verb not in _BEFORE_SENDING),
        *(one for delivery in timeline.deliveries for one in _of_delivery(delivery)),
    ]
    return sorted(found, key=lambda one: one.at)


def path(job: Job, events: Sequence[Event], *, now: int) -> list[Stay]:
    """From the first phase to the one that it is in."""
    ordered = sorted(events, key=lambda event: (event.at, event.id))
    stays = [Stay(event.to_phase, later.at - event.at) for event, later in pairwise(ordered)]
    took = None if job.is_ended or not ordered else max(0, now - ordered[-1].at)
    return [*stays, Stay(job.phase, took)]


def _of_event(event: Event, said: Mapping[int, str]) -> Moment:
    """An attempt's last answer stands with the move that it led to."""
    is_plain = event.source in ("", "worker", "client") or event.source in event.because
    told_by = "" if is_plain else f" (by {event.source})"
    tone = _TONES.get(event.verb) or _TONE_OF_PHASE.get(event.to_phase, "idle")
    return Moment(
        at=event.at,
        icon=f"state-{tone}",
        tone=tone,
        title=_TITLES.get(event.verb, words(event.to_phase).capitalize()),
        detail="" if event.because in _SAYS_NOTHING else f"{event.because}{told_by}",
        attempt=event.attempt,
        said=said.get(event.attempt, "") if event.verb in _ENDS else "",
    )


def _of_attempt(attempt: Attempt, events: Sequence[Event]) -> Iterator[Moment]:
    """What a move of the job tells at the same time is left out."""
    if attempt.sent_at:
        yield _moment(attempt, attempt.sent_at, "Sent", "one POST to the provider")
    if attempt.answered_at and not _is_told(attempt, attempt.answered_at, events):
        known = f"task {attempt.provider_id}" if attempt.provider_id else "without a task's id"
        yield _moment(attempt, attempt.answered_at, "Answered", known)
    if attempt.ended_at and not _is_told(attempt, attempt.ended_at, events):
        detail = f"{words(attempt.outcome)}, told by the {attempt.ended_by}{_checks(attempt)}"
        end = _moment(attempt, attempt.ended_at, f"Attempt {attempt.number} over", detail)
        yield msgspec.structs.replace(end, said=attempt.excerpt)
    elif attempt.check_at and attempt.ended_at is None:
        detail = f"if nobody calls back before{_checks(attempt)}"
        yield msgspec.structs.replace(_moment(attempt, attempt.check_at, "Next check", detail), icon="eye")


def _is_told(attempt: Attempt, at: int, events: Sequence[Event]) -> bool:
    near = (one for one in events if one.attempt == attempt.number and abs(one.at - at) < SECOND)
    return any(one.verb in (*_ENDS, "accept") for one in near)


def _moment(attempt: Attempt, at: int, title: str, detail: str) -> Moment:
    return Moment(at=at, icon="upload", title=title, detail=detail, attempt=attempt.number)


def _checks(attempt: Attempt) -> str:
    if not attempt.checks:
        return ""
    return f", after {attempt.checks} {'check' if attempt.checks == 1 else 'checks'}"


def _of_callback(callback: CallbackSeen) -> Iterator[Moment]:
    first = Moment(
        at=callback.first_at,
        icon="callbacks",
        tone="good" if callback.verdict == "valid" else "doubt",
        title="Callback",
        detail=_VERDICTS.get(callback.verdict, f"{words(callback.verdict)}, so the provider was asked"),
        attempt=callback.attempt,
        said=callback.excerpt,
    )
    yield first
    if callback.count > 1:
        last = f"{first.detail}; the last of {callback.count} like it"
        yield msgspec.structs.replace(first, at=callback.last_at, detail=last, said="")


def _of_delivery(delivery: Delivery) -> Iterator[Moment]:
    path = f"/deliveries/{delivery.id}"
    to = f"to {urlsplit(shown_url(delivery.url)).netloc}"
    failed = f"{to}, {delivery.failures} failed before" if delivery.failures else to
    yield Moment(at=delivery.created_at, icon="deliveries", title="Webhook made", detail=to, path=path)
    tone = _DELIVERY_TONES.get(delivery.state, "idle")
    at = delivery.finished_at or delivery.due_at
    if at is not None:
        title = "Webhook due" if delivery.state == "pending" else f"Webhook {delivery.state}"
        yield Moment(at=at, icon="deliveries", tone=tone, title=title, detail=failed, path=path)


def _of_person(line: Line) -> Iterator[Moment]:
    yield Moment(at=line.at, icon="person", tone="accent", title=line.action.capitalize(), detail=line.actor)
