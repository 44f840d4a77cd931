"""How fast the disk keeps its word, where on it things are, and what may go."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_BLOCK = b"\0" * 4_096
_ROUNDS = 20
_SQLITE = "sqlite:///"


def sync_ms(folder: Path) -> float:
    """The median time of a 4 kB write that is on the disk when it returns. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".sync-") as file:
        return statistics.median(_sync_once(file.fileno()) for _ in range(_ROUNDS))


def _sync_once(descriptor: int) -> float:
    started = time.perf_counter()
    os.write(descriptor, _BLOCK)
    os.fsync(descriptor)
    return (time.perf_counter() - started) * 1_000


def nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there already, although it may be a file."""
    full = path.absolute()
    return next(one for one in (full, *full.parents) if one.exists())


def clear_away(files: Iterable[Path], *, older_than_s: float) -> None:
    """Delete those that nobody has written to for so long; another command may do the same."""
    for path in files:
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()


def is_missing_file(database_url: str) -> bool:
    """Whether this is an SQLite database that nobody has made yet; opening it would make it."""
    return database_url.startswith(_SQLITE) and not Path(database_url.removeprefix(_SQLITE)).exists()
