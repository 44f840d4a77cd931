"""`python -m bench [NAME …]`: measure all figures, or those named; exit 1 when a promise is broken."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import uvloop

from bench import accept, bulk, claims, hooks, latency, moves, views, whole
from bench.figures import Figure, show

BENCHES: dict[str, tuple[str, Callable[[], Awaitable[list[Figure]]]]] = {
    "throughput": ("The whole way, 2,000 jobs, one POST each, embedded default", whole.throughput),
    "latency": ("Latency at 20 jobs a second", latency.latency),
    "accept": ("Accepting jobs, 64 clients at once, SQLite", accept.accept),
    "claims": ("Claiming, small and large", claims.claiming),
    "moves": ("One move beside a large upload and an export, SQLite", moves.moves),
    "hooks": ("Webhooks to users, and callbacks from the provider, SQLite", hooks.hooks),
    "bulk": ("Batches, on both databases", bulk.bulk),
    "views": ("The dashboard over a million jobs", views.views),
    "footprint": ("Start and memory, embedded default", whole.footprint),
}


async def main(names: list[str]) -> int:
    broken = 0
    for name in names or BENCHES:
        title, measure = BENCHES[name]
        figures = await measure()
        show(title, figures)
        broken += sum(not figure.is_kept for figure in figures)
    return 1 if broken else 0


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in BENCHES]
    if unknown:
        sys.exit(f"no such figure: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    sys.exit(uvloop.run(main(sys.argv[1:])))
