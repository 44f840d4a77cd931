"""The demo's jobs: read from a file of JSON lines, submitted, watched to their end, their outputs saved."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.cli.answers import Job
from orchestrator.cli.client import Client
from orchestrator.cli.failures import CommandFailed, Declined
from orchestrator.cli.save import save_outputs

_LOOK_S = 0.3
_PER_PAGE = 100


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One job; an input that starts with `@` names an image file beside the list."""

    model: str
    input: dict[str, Any]
    api_version: str = "v3"
    expect: str = "completed"


@dataclass
class Run:
    """What became of one line: `declined` when the server never took it, else `job`."""

    number: int
    line: Line
    job: Job | None = None
    declined: str = ""
    files: list[Path] = field(default_factory=list)

    @property
    def state(self) -> str:
        return self.job.status if self.job else "refused"

    @property
    def phase(self) -> str:
        return self.job.phase.replace("_", " ") if self.job else ""

    @property
    def is_over(self) -> bool:
        return self.job is None or self.job.is_ended

    @property
    def is_as_expected(self) -> bool:
        if self.state != self.line.expect:
            return False
        return self.job is None or len(self.files) == len(self.job.outputs)


def read_lines(path: Path) -> list[Line]:
    """Raises CommandFailed naming the line that is wrong."""
    try:
        texts = path.read_bytes().splitlines()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from None
    return [_read_line(text, f"{path}, line {n}") for n, text in enumerate(texts, start=1) if text.strip()]


def _read_line(text: bytes, where: str) -> Line:
    try:
        return msgspec.json.decode(text, type=Line)
    except msgspec.DecodeError as error:
        raise CommandFailed(f"{where}: {error}") from None


def submit_all(client: Client, lines: Sequence[Line], *, beside: Path) -> list[Run]:
    """Each file is uploaded once."""
    uploaded: dict[str, str] = {}

    def sent(value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        if value not in uploaded:
            uploaded[value] = client.upload(beside / value[1:])
        return uploaded[value]

    return [
        _submit(client, Run(number, line), {name: sent(value) for name, value in line.input.items()})
        for number, line in enumerate(lines, start=1)
    ]


def _submit(client: Client, run: Run, inputs: dict[str, Any]) -> Run:
    try:
        run.job = client.submit(
            run.line.model, inputs, version=run.line.api_version, idempotency_key=f"demo-{run.number}"
        )
    except Declined as declined:
        run.declined = str(declined)
    return run


def watch(
    client: Client, runs: Sequence[Run], *, folder: Path, until: float, on_look: Callable[[], None]
) -> None:
    """Until all have ended, or `until` on the monotonic clock; outputs are saved as they come."""
    while (left := {run.job.id: run for run in runs if run.job and not run.job.is_ended}) and (
        time.monotonic() < until
    ):
        for seen in _newest(client, len(runs)):
            if seen.id in left:
                _look_at(client, left[seen.id], seen, folder)
        on_look()
        time.sleep(_LOOK_S)
    on_look()


def count_states(runs: Sequence[Run]) -> Counter[str]:
    return Counter(run.state for run in runs)


def _newest(client: Client, count: int) -> list[Job]:
    found: list[Job] = []
    while len(found) < count:
        page = client.jobs(limit=_PER_PAGE, before=found[-1].id if found else "")
        found += page
        if len(page) < _PER_PAGE:
            break
    return found


def _look_at(client: Client, run: Run, seen: Job, folder: Path) -> None:
    run.job = client.job(seen.id) if seen.is_ended else seen
    if run.job.status == "completed":
        run.files = save_outputs(run.job.outputs, folder=folder, stem=f"{run.number:02d}")
