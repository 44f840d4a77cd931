"""The uploads that this process is receiving: they may take minutes, and end at once when it is to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orchestrator.errors import Busy


class Uploads:
    """Those under way; the same again goes on with each."""

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._is_stopped = False

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Raises Busy, after the cancellation of what is inside, when the process is asked to end."""
        limit = asyncio.timeout(0 if self._is_stopped else None)
        self._limits.add(limit)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise Busy("The server is about to stop; send the same again in a moment.") from None
            raise
        finally:
            self._limits.discard(limit)

    def stop(self) -> None:
        self._is_stopped = True
        for limit in self._limits:
            limit.reschedule(0)
