"""The uploads that this process is receiving, which may take minutes.

Those of batches end at once when it is to stop. Those passed on to the provider are so many at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from orchestrator.errors import Busy, TooManyUploads

MOST_OF_A_TENANT, MOST_PASSED_ON = 16, 48


class Uploads:
    """Those under way; of a batch, the same again goes on with each."""

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._is_stopped = False
        self._passed_on: Counter[str] = Counter()

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

    @contextlib.contextmanager
    def seat(self, tenant_id: str) -> Iterator[None]:
        """A place among the files that are passed on; raises TooManyUploads where all are taken."""
        if self._passed_on[tenant_id] >= MOST_OF_A_TENANT:
            raise TooManyUploads(
                f"{MOST_OF_A_TENANT} files of this tenant are being uploaded; wait for one to be through."
            )
        if self._passed_on.total() >= MOST_PASSED_ON:
            raise TooManyUploads("This server is passing on as many files as it can; try again later.")
        self._passed_on[tenant_id] += 1
        try:
            yield
        finally:
            self._passed_on[tenant_id] -= 1
            if not self._passed_on[tenant_id]:
                del self._passed_on[tenant_id]
