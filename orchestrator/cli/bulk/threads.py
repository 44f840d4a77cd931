"""Work that takes its time: threads for what waits on the network, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

OnDone = Callable[[int], None]
"""Told again and again how many are done."""


@contextmanager
def pool(size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that begin nothing new once somebody gave up."""
    threads = ThreadPoolExecutor(size)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
