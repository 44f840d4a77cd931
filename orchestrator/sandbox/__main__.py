"""`python -m orchestrator.sandbox`: the sandbox as a process of its own."""

from __future__ import annotations

import argparse

from orchestrator.sandbox.limits import TIERS
from orchestrator.sandbox.options import Options
from orchestrator.sandbox.server import serve


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="orchestrator.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--tier", choices=sorted(TIERS), default="ultra", help="the account's limits")
    parser.add_argument("--duration", type=float, help="seconds each task runs; unset: as its model does")
    parser.add_argument("--api-key", default="", help="the only good key; unset: any without 'wrong' in it")
    parser.add_argument("--sync-timeout", type=float, default=90.0, help="seconds a sync submit is held")
    parser.add_argument("--backoff", type=float, default=1.0, help="first pause before a callback's repeat")
    args = parser.parse_args()
    options = Options(
        tier=args.tier,
        duration_s=args.duration,
        api_key=args.api_key,
        sync_timeout_s=args.sync_timeout,
        callback_backoff_s=args.backoff,
    )
    serve(host=args.host, port=args.port, options=options)


if __name__ == "__main__":
    main()
