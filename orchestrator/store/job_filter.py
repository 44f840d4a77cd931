"""Which jobs somebody means: a filter, in which order an index gives them, and the conditions in SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from orchestrator.ids import first_id_at
from orchestrator.job import HeldFor, Job, Phase, Reason
from orchestrator.store.views import STATES

PHASES = (*(str(phase) for phase in Phase), *(state for state in STATES if state not in list(Phase)))
"""What `phase` may be: a phase, or a public state."""

_AT_PROVIDER = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT, Phase.ACCEPTED})
_DEAD = "jobs.phase = 'failed' AND jobs.reason <> 'cancelled' AND jobs.dismissed_at IS NULL"
_LEAST_TAIL = 4
# Of a longer input only the beginning is searched: the rest is an image more often than words.
_SEARCHED_CHARS = 4_000
_MOST_WORDS = 6


class JobFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of it must be true of a job. `words` may also be the end of an id, or of a custom id's begin."""

    phase: str = ""
    is_in_doubt: bool = False
    is_dead: bool = False
    model: str = ""
    batch_id: str = ""
    tenant_id: str = ""
    fingerprint: str = ""
    since: int | None = None
    until: int | None = None
    words: str = ""

    @property
    def is_empty(self) -> bool:
        return self == JobFilter()

    @property
    def is_only_words(self) -> bool:
        """Then they may be the id of a job, which needs no search."""
        return bool(self.words) and self == JobFilter(words=self.words)

    def is_still_true(self, job: Job) -> bool:
        """Of a job that has been locked since it was found; what never changes is not asked again."""
        is_dead = job.phase == Phase.FAILED and job.reason != Reason.CANCELLED and job.dismissed_at is None
        return (
            self.phase in ("", job.phase, job.public_state)
            and (not self.is_in_doubt or job.held_for == HeldFor.DOUBT)
            and (not self.is_dead or is_dead)
            and self.fingerprint in ("", job.fingerprint)
        )


class Way(NamedTuple):
    """An index that leads to the jobs, in the order of `order`: their ids, or their lines in a batch."""

    condition: str
    order: str = "jobs.id"

    def cursor(self, place: str) -> str | int:
        """A place in that order as the database compares it."""
        return int(place) if self.order == "jobs.line" else place


def way_to(wanted: JobFilter, *, owner: str | None) -> Way:
    """The index with the fewest rows beside the wanted ones; `owner` limits to a tenant."""
    if wanted.batch_id:
        return Way("jobs.batch_id = :batch_id", "jobs.line")
    if wanted.fingerprint:
        return Way("jobs.fingerprint = :fingerprint")
    if wanted.is_in_doubt:
        return Way("jobs.held_for = 'doubt'")
    if wanted.phase in _AT_PROVIDER:
        # As many as may be at the provider at a time, and not as many as there are jobs.
        return Way("jobs.id IN (SELECT job_id FROM attempts WHERE ended_at IS NULL)")
    owned = [f"jobs.tenant_id = :{name}" for name in ("owner", "tenant_id") if _given(wanted, owner, name)]
    dead = [_DEAD] if wanted.is_dead else []
    return Way(" AND ".join([*dead, *owned]) or "1 = 1")


def conditions(wanted: JobFilter, *, owner: str | None, like: str) -> tuple[str, dict[str, Any]]:
    """Everything that must be true, to stand behind WHERE, with its values; `d` are the documents."""
    parts = [*_plain(wanted, owner), *_times(wanted)]
    values: dict[str, Any] = {"owner": owner} if owner is not None else {}
    values |= {
        name: value
        for name in ("model", "batch_id", "tenant_id", "fingerprint")
        if (value := getattr(wanted, name))
    }
    if wanted.phase:
        parts.append(STATES.get(wanted.phase, "jobs.phase = :phase"))
        values |= {} if wanted.phase in STATES else {"phase": wanted.phase}
    if wanted.since is not None:
        values["since"] = first_id_at(wanted.since)
    if wanted.until is not None:
        values["until"] = first_id_at(wanted.until)
    if wanted.words:
        words, of_words = _words(wanted.words, like)
        parts.append(words)
        values |= of_words
    return " AND ".join(parts) or "1 = 1", values


def _given(wanted: JobFilter, owner: str | None, name: str) -> bool:
    return owner is not None if name == "owner" else bool(wanted.tenant_id)


def _plain(wanted: JobFilter, owner: str | None) -> Iterator[str]:
    if owner is not None:
        yield "jobs.tenant_id = :owner"
    for name in ("model", "batch_id", "tenant_id", "fingerprint"):
        if getattr(wanted, name):
            yield f"jobs.{name} = :{name}"
    if wanted.is_in_doubt:
        yield "jobs.held_for = 'doubt'"
    if wanted.is_dead:
        yield _DEAD


def _times(wanted: JobFilter) -> Iterator[str]:
    if wanted.since is not None:
        yield "jobs.id >= :since"
    if wanted.until is not None:
        yield "jobs.id < :until"


def _words(words: str, like: str) -> tuple[str, dict[str, Any]]:
    """The end of an id, the begin of a custom id, or all of the words in the input."""
    values = {"begin": f"{_literal(words)}%"}
    ways = [f"jobs.custom_id {like} :begin ESCAPE '!'"]
    if len(words) >= _LEAST_TAIL and words.isalnum():
        values["tail"] = f"%{words.lower()}"
        ways.append("jobs.id LIKE :tail")
    searched = []
    for number, word in enumerate(words.split()[:_MOST_WORDS]):
        # The input is JSON text: what is escaped there is looked for as it is escaped.
        values[f"word{number}"] = f"%{_literal(json.dumps(word, ensure_ascii=False)[1:-1])}%"
        searched.append(f"substr(d.input, 1, {_SEARCHED_CHARS}) {like} :word{number} ESCAPE '!'")
    if searched:
        ways.append(f"({' AND '.join(searched)})")
    return f"({' OR '.join(ways)})", values


def _literal(text: str) -> str:
    """For LIKE with the escape `!`."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
