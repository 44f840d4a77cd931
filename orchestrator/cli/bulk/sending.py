"""Sends a batch: tells it apart from all others by a key, and comes again with that key when it broke off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from orchestrator.cli.bulk.client import Batches, Created
from orchestrator.cli.bulk.lines import Urls
from orchestrator.cli.bulk.newest import Newest, newest_of
from orchestrator.cli.bulk.sources import Source
from orchestrator.cli.bulk.threads import OnDone
from orchestrator.cli.bulk.uploads import Memory, digests_of, memory_of, stand_ins
from orchestrator.cli.client import Server
from orchestrator.cli.failures import BadSource, CommandFailed, Declined, NoAnswer, NoServer
from orchestrator.cli.passing import may_pass

_TRIES = 7
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True)
class Order:
    """A batch ready to be sent: `jobs` counts its lines, `digests` are of the files that go along, `memory`
    says where they were uploaded, and `newest` is to be told when it begins and ends.
    """

    source: Source
    params: Mapping[str, str]
    key: str
    jobs: int
    digests: Mapping[Path, str]
    memory: Memory
    newest: Newest

    @property
    def stand_ins(self) -> Urls:
        return stand_ins(self.digests)


def prepare(
    source: Source, params: Mapping[str, str], *, is_new: bool, folder: Path, server: Server
) -> Order:
    """Reads all of the source once. The same content and options have the same key, unless told otherwise.

    What `folder` remembers is of this server alone, which its key tells from others that were at its address:
    another one's provider has not got the files.
    """
    digests = digests_of(source.files)
    jobs, content = 0, hashlib.sha256()
    for line in source.lines(stand_ins(digests)):
        jobs += bool(line)
        content.update(line + b"\n")
    if not jobs:
        raise BadSource(f"{source.path} has no lines.")
    there = f"{server.url} {server.key}"
    newest = newest_of(_key(content.digest(), params, there), folder, is_new=is_new)
    memory = memory_of(_key(content.digest(), params, newest.nonce, there), folder)
    key = _key(content.digest(), params, newest.nonce)
    return Order(source, params, key, jobs, digests, memory, newest)


def send(
    batches: Batches, order: Order, urls: Urls, *, on_line: OnDone, tell: Callable[[str], None]
) -> Created:
    """The batch, with every line stored."""
    for tries in count(1):
        try:
            return batches.create(_sent(order.source, urls, on_line), order.params, key=order.key)
        except (NoServer, NoAnswer, Declined) as failure:
            pause_s = pause_after(failure, tries)
            if pause_s is None:
                raise
            tell(f"{failure} Sending again in {pause_s:.0f} s.")
            time.sleep(pause_s)
    raise AssertionError("unreachable")


def pause_after(failure: CommandFailed, tries: int) -> float | None:
    """Seconds to wait before the same is sent again; None where that would not help.

    A server that was never there is told at once. 409 passes where the server says so: then our own request
    that broke off is still being received.
    """
    if tries >= _TRIES:
        return None
    backoff_s: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (tries - 1))
    match failure:
        case Declined(status=409, retry_after_s=0):
            return None
        case Declined() if failure.status == 409 or may_pass(failure):
            return max(backoff_s, min(_LONGEST_PAUSE_S, failure.retry_after_s))
        case NoAnswer():
            return backoff_s
        case NoServer():
            return backoff_s if tries > 1 else None
    return None


def _sent(source: Source, urls: Urls, on_line: OnDone) -> Iterator[bytes]:
    """The lines on their way. A file that is changed meanwhile breaks the upload off: its key would lie."""
    before, jobs = _look(source.path), 0
    for line in source.lines(urls):
        jobs += bool(line)
        on_line(jobs)
        yield line
    if _look(source.path) != before:
        raise BadSource(f"{source.path} was changed while it was being sent: send it again.")


def _look(path: Path) -> tuple[int, int]:
    """A folder counts as unchanged: its images are already uploaded."""
    seen = path.stat()
    return (0, 0) if path.is_dir() else (seen.st_mtime_ns, seen.st_size)


def _key(content: bytes, params: Mapping[str, str], *more: str) -> str:
    facts: Iterable[str] = (f"{name}={params[name]}" for name in sorted(params))
    return hashlib.sha256("\0".join([content.hex(), *more, *facts]).encode()).hexdigest()
