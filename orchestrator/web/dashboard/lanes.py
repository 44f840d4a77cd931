"""Lanes: how fast jobs may go to the provider, why they do not, and how their attempts end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import NotFound
from orchestrator.store.figures import duration_of
from orchestrator.store.keys import FIRST_TENANT
from orchestrator.store.lane_board import LaneBoard, LaneTrend, lane_board, lane_trend
from orchestrator.store.lanes import Account
from orchestrator.web.dashboard import charts, periods, trends
from orchestrator.web.dashboard.charts import Line
from orchestrator.web.dashboard.lane_words import ACCOUNT_TROUBLE, seen
from orchestrator.web.dashboard.pages import Look
from orchestrator.web.dashboard.periods import Period
from orchestrator.web.dashboard.words import count, duration

PAUSES = (("", "until resumed"), ("600", "10 min"), ("3600", "1 h"), ("28800", "8 h"), ("86400", "24 h"))
# What each end of an attempt means and what happens next, in the words of the retry policy.
MEANINGS = {
    "throttled": ("wait", "Too fast for the account (429): the lane pauses, no try is used."),
    "unavailable": ("wait", "Provably not taken: sent again, no try is used."),
    "account": ("doubt", "Refused for the account's sake: jobs wait until it works again."),
    "unclear": ("doubt", "Refused for the account's or the input's sake: the account is asked."),
    "failed": ("wait", "The provider ended the task without a result: a new try."),
    "task_failed": ("wait", "The provider's task failed: a new try."),
    "lost": ("wait", "The provider has lost the task: a new try."),
    "rejected": ("bad", "The input will never be accepted: the job ends."),
    "exhausted": ("bad", "Every allowed try failed: a dead letter."),
    "expired": ("bad", "A deadline passed."),
    "cancelled": ("idle", "Somebody cancelled it before anything was paid."),
    "unresolved": ("doubt", "Nobody could say in time whether the provider has it."),
    "poisoned": ("bad", "Every worker that sent it died."),
    "no_output": ("bad", "The provider says completed, and gave nothing: the job ends."),
}


async def load(look: Look) -> Mapping[str, Any]:
    """All accounts with their lanes."""
    period, board = await _read(look)
    return _about(period) | {
        "accounts": [_account(look, board, one) for one in board.accounts],
        "is_mine": look.viewer.sees is not None,
    }


async def load_one(look: Look) -> Mapping[str, Any]:
    """One lane with its charts. Raises NotFound."""
    period, board = await _read(look)
    lane = next((one for one in board.lanes if one.id == look.request.path_params["id"]), None)
    if lane is None:
        raise NotFound("There is no such lane.")
    one = seen(board, lane, now=look.now)
    kinds = board.outcomes.get(lane.id, Counter[str]())
    trend = await look.runtime.store.read(
        lane_trend,
        lane_id=lane.id,
        span=period.span,
        since=period.start,
        tenant_id=look.viewer.sees,
        outcomes=[f"outcome_{kind}" for kind in kinds],
    )
    return _about(period) | {
        "one": one,
        "ends": _ends(one.completed, board.reasons.get(lane.id, Counter()), kinds),
        "ended": trends.ended(period, trend.ended),
        "retried": _retried(period, trend),
        "histogram": _histogram(one.runs),
        "usual": look.runtime.settings.limits,
        "pauses": PAUSES,
    }


async def _read(look: Look) -> tuple[Period, LaneBoard]:
    period = periods.chosen(look)
    span, since = period.sums
    board = await look.runtime.store.read(lane_board, span=span, since=since, tenant_id=look.viewer.sees)
    return period, board


def _about(period: Period) -> dict[str, Any]:
    return {"period": period, "periods": periods.CHOICES}


def _account(look: Look, board: LaneBoard, account: Account) -> Mapping[str, Any]:
    """The provider's own words about the account, such as its balance, are its owner's only."""
    is_owner = look.viewer.tenant == FIRST_TENANT
    in_flight = board.in_flight.get(account.id, 0)
    return {
        "account": account,
        "trouble": account.trouble if is_owner or not account.trouble else ACCOUNT_TROUBLE,
        "in_flight": in_flight,
        "tone": "doubt" if in_flight >= account.max_in_flight else "busy",
        "lanes": [seen(board, lane, now=look.now) for lane in board.lanes if lane.account_id == account.id],
    }


def _ends(completed: int, reasons: Counter[str], outcomes: Counter[str]) -> list[Mapping[str, Any]]:
    """How attempts and jobs ended, most frequent first; attempts that were tried again are marked so."""
    rows = [("completed", completed, "good", "It gave a result.", False)]
    for found, is_retried in ((outcomes, True), (reasons, False)):
        for kind, number in found.items():
            tone, means = MEANINGS.get(kind, ("idle", ""))
            rows.append((kind, number, tone, means, is_retried))
    names = ("kind", "count", "tone", "means", "is_retried")
    ordered = sorted((row for row in rows if row[1]), key=lambda row: -row[1])
    return [dict(zip(names, row, strict=True)) for row in ordered]


def _retried(period: Period, trend: LaneTrend) -> Mapping[str, Any]:
    """429s apart from all other attempts that were not a job's last."""
    throttled = period.laid_out(trend.retried.get("outcome_throttled", {}))
    others = [period.laid_out(found) for name, found in trend.retried.items() if name != "outcome_throttled"]
    rest = [sum(point) for point in zip(*others, strict=True)] if others else [0.0] * len(throttled)
    return trends.columns(period, [Line("429", "doubt", throttled), Line("others", "wait", rest)])


def _histogram(runs: Counter[int]) -> Mapping[str, Any] | None:
    """How many tasks took how long; None without any."""
    if not runs.total():
        return None
    # Some room beside them: two columns as wide as the chart say nothing.
    buckets = range(max(0, min(runs) - 4), max(runs) + 5)
    scale = charts.scale(max(runs.values()))
    hints = [f"about {duration(duration_of(bucket))}\n{count(runs[bucket])} tasks" for bucket in buckets]
    labels = [
        duration(duration_of(bucket)) for bucket in (buckets[0], buckets[len(buckets) // 2], buckets[-1])
    ]
    line = Line("tasks", "busy", [runs[bucket] for bucket in buckets])
    return {
        "drawing": charts.stacked([line], hints, top=scale.top),
        "scale": scale,
        "labels": labels,
    }
