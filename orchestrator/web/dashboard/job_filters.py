"""A filter of jobs in the URL: read from it, told in words, and taken out of it piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.clock import DAY, HOUR
from orchestrator.errors import InvalidInput
from orchestrator.flow.schedule import read_time
from orchestrator.store.job_filter import PHASES, JobFilter
from orchestrator.store.job_search import COUNTED
from orchestrator.web.dashboard.words import clock_time, count, short_id, words

SINCE = (("1h", "last hour", HOUR), ("24h", "last 24 hours", DAY), ("7d", "last 7 days", 7 * DAY))
_NAMES = ("phase", "doubt", "dead", "model", "batch", "tenant", "fingerprint", "since", "until", "q")
_LONGEST = 200
VERBS = {"redrive": "Retry", "cancel": "Cancel", "dismiss": "Dismiss", "delete": "Delete"}
_MEANS = {
    "redrive": "Those that have failed are sent again, and may be billed.",
    "cancel": "What the provider has already may be billed.",
    "dismiss": "They are dead letters no more.",
    "delete": "Their inputs, results and histories go as well. This cannot be taken back.",
}


class Chip(NamedTuple):
    """A part of the filter in words, and the parameters of the URL that it stands for."""

    words: str
    names: tuple[str, ...]


def read_filter(asked: Mapping[str, str], *, now: int) -> JobFilter:
    """Raises InvalidInput."""
    given = {name: asked.get(name, "").strip()[:_LONGEST] for name in _NAMES}
    unprintable = next((name for name, value in given.items() if not value.isprintable()), None)
    if unprintable is not None:
        raise InvalidInput(unprintable, "must be printable")
    if given["phase"] and given["phase"] not in PHASES:
        raise InvalidInput("phase", f"must be one of {', '.join(PHASES)}")
    return JobFilter(
        phase=given["phase"],
        is_in_doubt=given["doubt"] == "1",
        is_dead=given["dead"] == "1",
        model=given["model"],
        batch_id=given["batch"],
        tenant_id=given["tenant"],
        fingerprint=given["fingerprint"],
        since=_time(given, "since", now),
        until=_time(given, "until", now),
        words=given["q"],
    )


def chips(asked: Mapping[str, str], wanted: JobFilter) -> list[Chip]:
    """Those parts that no field of the form shows."""
    found = [
        Chip("held in doubt", ("doubt",)) if wanted.is_in_doubt else None,
        Chip("dead letters", ("dead",)) if wanted.is_dead else None,
        Chip(f"of batch {short_id(wanted.batch_id)}", ("batch",)) if wanted.batch_id else None,
        Chip(f"failures of kind {wanted.fingerprint[:8]}", ("fingerprint",)) if wanted.fingerprint else None,
        Chip(f"found by “{wanted.words}”", ("q",)) if wanted.words else None,
        Chip(f"until {clock_time(wanted.until)} UTC", ("until",)) if wanted.until is not None else None,
    ]
    is_own_time = wanted.since is not None and asked.get("since") not in {name for name, *_ in SINCE}
    if is_own_time:
        found.append(Chip(f"since {clock_time(wanted.since)} UTC", ("since",)))
    return [one for one in found if one is not None]


def told(wanted: JobFilter, tenants: Mapping[str, str]) -> str:
    """`failed jobs, dead letters, of the model a/b`; `tenants` has names by ids."""
    parts: list[Any] = [
        f"{words(wanted.phase)} jobs" if wanted.phase else "jobs",
        "held in doubt" if wanted.is_in_doubt else "",
        "dead letters" if wanted.is_dead else "",
        f"of the model {wanted.model}" if wanted.model else "",
        f"of batch {short_id(wanted.batch_id)}" if wanted.batch_id else "",
        f"of {tenants.get(wanted.tenant_id, 'another tenant')}" if wanted.tenant_id else "",
        f"with failures of kind {wanted.fingerprint[:8]}" if wanted.fingerprint else "",
        f"since {clock_time(wanted.since)} UTC" if wanted.since is not None else "",
        f"until {clock_time(wanted.until)} UTC" if wanted.until is not None else "",
        f"found by “{wanted.words}”" if wanted.words else "",
    ]
    return ", ".join(part for part in parts if part)


def question(verb: str, number: int | None, told: str) -> str:
    """What is asked before all that match are changed; `number` None where nobody knows it."""
    if number is None:
        which = told
    elif number > COUNTED:
        which = f"{told}, more than {count(COUNTED)}"
    else:
        which = f"{count(number)} {told}"
    whose = f"1 {told.replace('jobs', 'job', 1)}" if number == 1 else f"all {which}"
    return f"{VERBS[verb]} {whose}? {_MEANS[verb]}"


def _time(given: Mapping[str, str], name: str, now: int) -> int | None:
    """An age such as `24h`, or a time."""
    ages = {age: ms for age, _, ms in SINCE}
    if not given[name]:
        return None
    return now - ages[given[name]] if given[name] in ages else read_time(given, name)
