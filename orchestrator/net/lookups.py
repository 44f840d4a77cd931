"""Asks the system for the addresses of names, in threads that nobody has to wait for.

A name may be slow on purpose. Of an executor's threads, such names would take all from other names, and the
process could not end before the last is answered.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread


class SystemLookup:
    """At most `most` names at a time; one that nobody waits for any more counts until it is answered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._asked: SimpleQueue[tuple[str, int, Future[list[str]]] | None] = SimpleQueue()
        self._lock = Lock()
        self._open = 0
        self._threads = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        answer: Future[list[str]] = Future()
        with self._lock:
            self._open += 1
            is_one_short = self._threads < min(self._open, self._most)
        if is_one_short:
            Thread(target=self._answer_all, name="guarded-lookup", daemon=True).start()
            self._threads += 1
        self._asked.put((host, port, answer))
        return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """Each thread ends when it has answered."""
        for _ in range(self._threads):
            self._asked.put(None)

    def _answer_all(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._answer(*asked)

    def _answer(self, host: str, port: int, answer: Future[list[str]]) -> None:
        found: list[str] | Exception = []
        is_wanted = answer.set_running_or_notify_cancel()
        try:
            found = _addresses(host, port) if is_wanted else []
        except Exception as error:  # whatever it is, it is the asker's
            found = error
        with self._lock:
            self._open -= 1  # before the answer: whoever hears it and asks again finds this thread free
        if isinstance(found, Exception):
            answer.set_exception(found)
        elif is_wanted:
            answer.set_result(found)


def _addresses(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
