"""Threads for what waits on the network: uploads and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def pool(size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that begin nothing new once somebody gave up."""
    threads = ThreadPoolExecutor(size)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
