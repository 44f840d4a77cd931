"""Which failures pass by themselves, so that it helps to ask the same again a moment later."""

from __future__ import annotations

from orchestrator.cli.failures import CommandFailed, Declined, NoAnswer, NoServer

_BUSY = (429, 502, 503, 504)


def may_pass(failure: CommandFailed) -> bool:
    """A server that restarts, or is busy, or that a proxy does not reach right now."""
    return isinstance(failure, NoServer | NoAnswer) or (
        isinstance(failure, Declined) and failure.status in _BUSY
    )
