"""How a test ends a server of its own without leaving a connection behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

# Of the event loop, from accept() to a connection that its server knows.
_PASSES = 10


class Listener(Protocol):
    def fileno(self) -> int: ...


async def stop_accepting(listeners: Iterable[Listener]) -> None:
    """To be awaited before an asyncio server is closed. A connection that is accepted in the moment in which
    its server closes belongs to nobody and stays open: `Server._attach` of Python 3.11 fails for it.
    """
    for listener in listeners:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(_PASSES):
        await asyncio.sleep(0)
