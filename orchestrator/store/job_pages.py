"""What the dashboard's pages of jobs ask, each in one transaction. `owner` None means all tenants."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from orchestrator.store import actions, audit, job_search, tenants, views
from orchestrator.store.actions import Action
from orchestrator.store.audit import Line
from orchestrator.store.job_filter import JobFilter
from orchestrator.store.job_search import Listed, Page
from orchestrator.store.views import Found, Timeline

_MOST_RUNNING = 3
_MOST_LINES = 100


class ListPage(msgspec.Struct, frozen=True):
    """A page of jobs, the actions under way, and for the operator the tenants' names by their ids.

    `matching` is how many match on all pages, more than `COUNTED` for many; None where nobody knows.
    """

    page: Page
    matching: int | None
    running: list[Action]
    tenants: dict[str, str]


class JobPage(msgspec.Struct, frozen=True):
    """A job and all that happened to it; `audit` has the newest first."""

    found: Found
    listed: Listed
    timeline: Timeline
    audit: list[Line]


class ActionsPage(msgspec.Struct, frozen=True):
    """Newest first."""

    actions: list[Action]
    tenants: dict[str, str]


def read_list(
    connection: Connection, *, wanted: JobFilter, owner: str | None, before: str, most: int
) -> ListPage:
    """Words that name jobs find those; other words are looked for."""
    page = Page([])
    if wanted.is_only_words and not before:
        page = Page(job_search.read_named(connection, words=wanted.words, owner=owner))
    if not page.items:
        page = job_search.read_page(connection, wanted=wanted, owner=owner, before=before, most=most)
    is_all = not (before or page.next or wanted.is_only_words)
    matching = len(page.items) if is_all else _matching(connection, wanted, owner)
    running = actions.running(connection, tenant_id=owner, most=_MOST_RUNNING)
    return ListPage(page, matching, running, _names(connection, owner))


def _matching(connection: Connection, wanted: JobFilter, owner: str | None) -> int | None:
    return None if wanted.is_empty else job_search.count_some(connection, wanted=wanted, owner=owner)


def read_job(connection: Connection, *, job_id: str, owner: str | None) -> JobPage | None:
    """None for an unknown id and for another tenant's."""
    found = views.find_job(connection, tenant_id=owner, job_id=job_id, with_input=True)
    if found is None:
        return None
    listed = job_search.read_listed(connection, ids=[job_id], owner=owner)
    if not listed:  # deleted since the question before
        return None
    return JobPage(
        found,
        listed[0],
        views.read_timeline(connection, job=found.job),
        audit.lines_about(connection, subject=job_id, most=_MOST_LINES),
    )


def read_actions(connection: Connection, *, owner: str | None, before: str, most: int) -> ActionsPage:
    found = actions.newest(connection, tenant_id=owner, before=before, most=most)
    return ActionsPage(found, _names(connection, owner))


def _names(connection: Connection, owner: str | None) -> dict[str, str]:
    return tenants.names(connection) if owner is None else {}
