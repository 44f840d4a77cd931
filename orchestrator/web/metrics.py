"""GET /metrics: how the installation stands, or a tenant's part of it, in the text that Prometheus reads.

Every process that serves tells the same, since all of it is read from the database: scrape one of them. The
library is loaded when somebody asks: few do, and it brings servers of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from orchestrator import policy
from orchestrator.clock import SECOND
from orchestrator.store import figures, metrics
from orchestrator.store.board import SILENT_AFTER_MS
from orchestrator.store.metrics import Installation
from orchestrator.web.context import Context

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds, from 8 ms to 9 hours; a bucket of ours belongs to the first that its middle does not exceed.
_BOUNDS_S = tuple(2.0**power for power in range(-7, 16))


async def read_metrics(request: Request) -> Response:
    """GET /metrics: of all tenants for a key of the first, else of the key's own."""
    from prometheus_client import CollectorRegistry, generate_latest

    here = Context.of(request)
    key = await here.authenticate(request, "read")
    is_whole, now = key.is_of_first_tenant, here.runtime.clock.now()
    tenant_id = None if is_whole else key.tenant_id
    found = await here.runtime.store.read(metrics.look, tenant_id=tenant_id, now=now)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(found, now, is_whole=is_whole))
    return Response(generate_latest(registry), headers={"content-type": MEDIA_TYPE})


class _Told:
    """What the library calls a collector."""

    def __init__(self, found: Installation, now: int, *, is_whole: bool) -> None:
        """What the installation is made of is its owner's to know: `is_whole`."""
        self._found = found
        self._now = now
        self._is_whole = is_whole

    def collect(self) -> Iterator[Metric]:
        yield from _gauges(self._found, self._now)
        yield from _limits(self._found, self._now)
        if self._is_whole:
            yield from _health(self._found, self._now)
        yield from _counters(self._found)
        yield _durations(self._found)


def _gauges(found: Installation, now: int) -> Iterator[Metric]:
    seen = found.seen
    yield _gauge(
        "jobs", "Jobs by phase, without those of paused batches.", ("lane", "phase"), _flat(found.phases)
    )
    yield _gauge(
        "oldest_seconds",
        "How long the oldest job has been in its phase; a waiting one since it was due.",
        ("phase",),
        [((phase,), _age_s(at, now)) for phase, at in found.oldest.items()],
    )
    yield _gauge("dead_letters", "Failed jobs that nobody has seen to; 1000 at most.", (), [((), seen.dead)])
    yield _gauge(
        "jobs_held_in_doubt", "Jobs that wait for a person; 1000 at most.", (), [((), seen.in_doubt)]
    )
    yield _gauge(
        "dead_deliveries",
        "Webhooks that were given up in the last 24 hours; 1000 at most.",
        (),
        [((), seen.dead_deliveries)],
    )
    yield _gauge(
        "overdue_deliveries",
        "Webhooks that should have been sent by now; 1000 at most.",
        (),
        [((), seen.overdue.count)],
    )


def _limits(found: Installation, now: int) -> Iterator[Metric]:
    lanes, accounts = found.lanes, found.accounts
    yield _gauge(
        "lane_per_minute",
        "Submissions a minute that the lane may have.",
        ("lane",),
        [((one.id,), one.per_minute) for one in lanes],
    )
    yield _gauge(
        "lane_speed",
        "The share of it that is used: less than 1 after the provider refused for too many.",
        ("lane",),
        [((one.id,), policy.climbed(one.bucket, now)) for one in lanes],
    )
    yield _gauge(
        "lane_paused",
        "1 while nothing is sent in this lane, by the provider's wish or an operator's.",
        ("lane",),
        [((one.id,), one.closed_until > now) for one in lanes],
    )
    yield _gauge(
        "account_max_in_flight",
        "Tasks that may be at the provider at a time.",
        ("account",),
        [((one.id,), one.max_in_flight) for one in accounts],
    )
    yield _gauge(
        "account_in_flight",
        "Tasks that are at the provider.",
        ("account",),
        [((one.id,), found.in_flight.get(one.id, 0)) for one in accounts],
    )
    yield _gauge(
        "account_trouble",
        "1 while nothing is sent for this account, such as for want of credits.",
        ("account",),
        [((one.id,), one.trouble is not None) for one in accounts],
    )


def _health(found: Installation, now: int) -> Iterator[Metric]:
    living = [one for one in found.processes if one.seen_at > now - SILENT_AFTER_MS]
    rested = [drain for one in living for drain in one.drains.items()]
    last = {name: max(at for drain, at in rested if drain == name) for name in dict(rested)}
    yield _gauge(
        "processes",
        "Processes that have reported in the last 15 seconds; `up` is API and worker in one.",
        ("kind",),
        [((kind,), count) for kind, count in Counter(one.kind for one in living).items()],
    )
    yield _gauge("workers", "Those of them that work.", (), [((), found.seen.workers)])
    yield _gauge(
        "bell_up",
        "1 while every process reaches Redis; without it jobs move by the tick.",
        (),
        [((), all(one.is_bell_up for one in living))],
    )
    yield _gauge(
        "drain_rested_seconds",
        "How long ago some worker last came to the end of this work.",
        ("drain",),
        [((name,), _age_s(at, now)) for name, at in last.items()],
    )
    yield _gauge(
        "figures_lag_seconds",
        "How far the figures told here are behind the jobs themselves.",
        (),
        [((), 0.0 if found.lag_since is None else _age_s(found.lag_since, now))],
    )
    yield _gauge(
        "database_size_bytes", "What the database takes on its disk.", (), [((), found.database_size)]
    )


def _counters(found: Installation) -> Iterator[Metric]:
    claimed = [((lane,), counts.total()) for lane, counts in found.claimed.items()]
    yield _counter("attempts", "Jobs given to a worker to be sent.", ("lane",), claimed)
    yield _counter("jobs_ended", "Jobs that have completed or failed.", ("lane", "state"), _flat(found.ended))
    yield _counter("job_failures", "Failed jobs by reason.", ("lane", "reason"), _flat(found.reasons))
    yield _counter(
        "attempts_retried",
        "Attempts that were not their job's last, by what came of them.",
        ("lane", "outcome"),
        _flat(found.outcomes),
    )
    yield _counter(
        "ends_found",
        "Ends of jobs by what brought them: the callback, or, where that is lost, a poll.",
        ("lane", "by"),
        _flat(found.found_by),
    )
    yield _counter(
        "callbacks",
        "The provider's callbacks by what became of them.",
        ("result",),
        [((result,), count) for result, count in found.callbacks.items()],
    )


def _durations(found: Installation) -> Metric:
    from prometheus_client.metrics_core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "orchestrator_job_seconds",
        "How long jobs took: `wait` to be sent, `submit` the POST, `run` at the provider, and `total`."
        " A time is known to a fifth.",
        labels=("lane", "stage"),
    )
    for stage, lanes in found.took.items():
        for lane, counts in lanes.items():
            buckets, sum_s = _histogram(counts)
            family.add_metric((lane, stage), buckets, sum_s)
    return family


def _histogram(counts: Mapping[int, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulated by upper bound in seconds, and the sum of all."""
    seconds = {bucket: figures.duration_of(bucket) / SECOND for bucket in counts}
    buckets = [
        (str(bound), float(sum(count for bucket, count in counts.items() if seconds[bucket] <= bound)))
        for bound in _BOUNDS_S
    ]
    whole = float(sum(counts.values()))
    return [*buckets, ("+Inf", whole)], sum(seconds[bucket] * count for bucket, count in counts.items())


_Values = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, about: str, labels: tuple[str, ...], values: _Values) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(f"orchestrator_{name}", about, labels=labels)
    for of, value in values:
        family.add_metric(of, float(value))
    return family


def _counter(name: str, about: str, labels: tuple[str, ...], values: _Values) -> Metric:
    """Its name gets `_total` at its end."""
    from prometheus_client.metrics_core import CounterMetricFamily

    family = CounterMetricFamily(f"orchestrator_{name}", about, labels=labels)
    for of, value in values:
        family.add_metric(of, float(value))
    return family


def _flat(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[tuple[str, str], float]]:
    return [((lane, name), number) for lane, names in counts.items() for name, number in names.items()]


def _age_s(at: int, now: int) -> float:
    return max(0, now - at) / SECOND
