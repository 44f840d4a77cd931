"""Everything that one sandbox holds, opened once and handed to every route on `app.state`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from orchestrator.sandbox.callbacks import Sender
from orchestrator.sandbox.faults import Faults
from orchestrator.sandbox.limits import Accounts, Window
from orchestrator.sandbox.media import Media
from orchestrator.sandbox.options import Options
from orchestrator.sandbox.running import Runner
from orchestrator.sandbox.studio import Studio
from orchestrator.sandbox.tasks import Ledger

MOST_REQUESTS = 200_000


class Submit(msgspec.Struct, frozen=True, gc=False):
    """One submit request as it was answered; status 0: the connection was dropped."""

    at_ms: int
    status: int
    account: str
    model: str
    task: str


@dataclass
class House:
    """The parts of a sandbox. `requests` is the log of all submits, refused ones too."""

    options: Options
    ledger: Ledger
    accounts: Accounts
    faults: Faults
    media: Media
    studio: Studio
    sender: Sender
    runner: Runner
    requests: deque[Submit]
    submits: Window

    async def reset(self) -> None:
        """Forget tasks, logs, faults and limits; uploads stay."""
        await self.runner.stop()
        self.ledger.clear()
        self.accounts.clear()
        self.faults.clear()
        self.requests.clear()
        self.submits = Window()


@asynccontextmanager
async def open_house(options: Options) -> AsyncIterator[House]:
    """A sandbox's parts, closed again at the end."""
    media = Media()
    studio = Studio(media)
    sender = Sender(options)
    runner = Runner(options=options, sender=sender, media=media, studio=studio)
    try:
        yield House(
            options=options,
            ledger=Ledger(),
            accounts=Accounts(options.tier),
            faults=Faults(),
            media=media,
            studio=studio,
            sender=sender,
            runner=runner,
            requests=deque(maxlen=MOST_REQUESTS),
            submits=Window(),
        )
    finally:
        await runner.stop()
        await sender.close()
        await media.close()
