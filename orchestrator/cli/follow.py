"""Waits for the end of a job, telling on the way what it is doing."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from orchestrator.cli.answers import Job
from orchestrator.cli.client import Client
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.passing import may_pass

_FIRST_PAUSE_S, _PAUSE_GROWTH, _LONGEST_PAUSE_S = 0.2, 1.2, 1.0
_PATIENCE_S = 60.0
"""How long a server that went away may take to come back; the job is safe meanwhile."""


def follow(client: Client, job: Job, console: Console) -> Job:
    """The job when it has ended."""
    started = time.monotonic()
    with console.status(_line(job, 0.0), spinner="dots") as status:
        return await_end(
            client, job, on_look=lambda seen: status.update(_line(seen, time.monotonic() - started))
        )


def await_end(client: Client, job: Job, *, on_look: Callable[[Job], None]) -> Job:
    """Looks again and again, less often with time; a server that restarts or is busy is waited for."""
    pause_s, heard_at = _FIRST_PAUSE_S, time.monotonic()
    while True:
        try:
            job = client.job(job.id)
            heard_at = time.monotonic()
        except CommandFailed as failure:
            if not may_pass(failure) or time.monotonic() - heard_at > _PATIENCE_S:
                raise
        on_look(job)
        if job.is_ended:
            return job
        time.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)


def _line(job: Job, seconds: float) -> str:
    phase = job.phase.replace("_", " ") if job.phase else "stored"
    attempt = f" · attempt {job.attempt}" if job.attempt else ""
    return f"{escape(job.status)} · {escape(phase)}{attempt} · {seconds:.0f} s"
