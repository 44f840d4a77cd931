"""Local files of a batch: uploaded once, several at a time, and remembered, so that a second run sends the
same lines as the first."""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import msgspec

from orchestrator.cli.bulk.threads import OnDone, pool
from orchestrator.cli.client import Client
from orchestrator.cli.disk import clear_away
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.passing import may_pass

_AT_A_TIME = 6
_TRIES = 3
_PAUSE_S = 1.0
_KEPT_S = 7 * 86_400.0 - 3_600.0
"""A little less than the provider keeps a file, and the server the key of a batch that has ended."""


class Upload(msgspec.Struct, frozen=True):
    """One file that the provider has since `at`; told apart by what is in it, not by its name."""

    digest: str
    url: str
    at: float = 0.0


class Memory:
    """What one batch has uploaded so far: a file that grows by a line for each upload."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, *, on_wait: Callable[[], None]) -> Iterator[None]:
        """One command at a time: two that upload for one batch would send different lines under its key."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        with self._path.open("ab") as file:
            with suppress(OSError):  # there are disks that know no locks
                _lock(file, on_wait)
            yield

    def urls(self, now: float) -> dict[str, str]:
        """By digest, the first that is not too old, for it may be sent already. A line that was cut off when
        the process died counts as not written.
        """
        urls: dict[str, str] = {}
        for upload in self._uploads():
            if now - upload.at < _KEPT_S:
                urls.setdefault(upload.digest, upload.url)
        return urls

    def add(self, upload: Upload) -> None:
        with self._path.open("ab") as file:
            file.write(b"\n" + msgspec.json.encode(upload))

    def _uploads(self) -> Iterator[Upload]:
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in filter(None, lines):
            try:
                yield msgspec.json.decode(line, type=Upload)
            except msgspec.DecodeError:
                continue


def _lock(file: BinaryIO, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(file, fcntl.LOCK_EX)


def memory_of(name: str, folder: Path) -> Memory:
    """The memory of the batch that is called so; those of batches long over are cleared away."""
    clear_away(folder.glob("*.jsonl"), older_than_s=_KEPT_S)
    return Memory(folder / f"{name}.jsonl")


def digests_of(files: Iterable[Path]) -> dict[Path, str]:
    return {path: _digest(path) for path in files}


def stand_ins(digests: Mapping[Path, str]) -> dict[Path, str]:
    """URLs that say what the files hold and lead nowhere: for trying out, and for telling batches apart."""
    return {path: f"https://uploads.invalid/{digest}/{quote(path.name)}" for path, digest in digests.items()}


def upload_all(
    client: Client, digests: Mapping[Path, str], memory: Memory, *, on_upload: OnDone
) -> dict[Path, str]:
    """Where each file is. Files that hold the same are uploaded once; what is remembered, not at all."""
    now = time.time()
    known = memory.urls(now)
    missing = {digest: path for path, digest in digests.items() if digest not in known}
    there = len({*digests.values()} - missing.keys())
    for done, upload in enumerate(_uploaded(client, missing), start=there + 1):
        memory.add(upload)
        on_upload(done)
    known = memory.urls(now)
    return {path: known[digest] for path, digest in digests.items()}


def _uploaded(client: Client, missing: Mapping[str, Path]) -> Iterator[Upload]:
    with pool(_AT_A_TIME) as threads:
        started = [threads.submit(_upload, client, digest, path) for digest, path in missing.items()]
        for future in as_completed(started):
            yield future.result()


def _upload(client: Client, digest: str, path: Path) -> Upload:
    for number in range(1, _TRIES):
        try:
            return Upload(digest, client.upload(path), time.time())
        except CommandFailed as failure:
            if not may_pass(failure):
                raise
            time.sleep(number * _PAUSE_S)
    return Upload(digest, client.upload(path), time.time())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
