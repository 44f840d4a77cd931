"""Sends the callbacks: the bare prediction, signed, repeated up to three times until somebody says 2xx.

A callback that is forged, stale or repeated on request is made here too.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aiohttp
import msgspec
from yarl import URL

from orchestrator.sandbox.faults import CALM, Plan
from orchestrator.sandbox.options import Options
from orchestrator.sandbox.protocol import TEXT_OF_CODE, Prediction, describe
from orchestrator.sandbox.signing import secret_of, sign
from orchestrator.sandbox.tasks import Sending, Task, now_ms

Kind = Literal["final", "forged", "unsigned", "stale", "older", "opposite"]

REPEATS = 3
STALE_S = 3600
LARGE = 2**19  # aiohttp sends a larger body in pieces only if it is a file
KINDS: dict[str, Sequence[Kind]] = {
    "": ("final",),
    "early": ("final",),
    "lost": (),
    "forged": ("forged",),
    "unsigned": ("unsigned",),
    "stale": ("stale",),
    "reordered": ("final", "older"),
    "contradictory": ("final", "opposite"),
}


@dataclass(frozen=True)
class Letter:
    """One callback, ready to be sent; a repetition sends the same bytes."""

    kind: str
    url: str
    headers: dict[str, str]
    body: bytes


class Sender:
    """The one HTTP client for callbacks: kept-alive connections, at most 400, no cookies, no redirects."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=400),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=options.callback_timeout_s),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def announce(self, task: Task, plan: Plan = CALM) -> None:
        """Tell the task's webhook of its end, in the way the plan wants it."""
        if not task.webhook:
            return
        if plan.late:
            await asyncio.sleep(plan.late)
        for kind in KINDS[plan.callback]:
            letter = write(task, kind)
            if plan.copies == 1:
                await self.deliver(task, letter)
            else:
                await asyncio.gather(*(self.deliver(task, letter) for _ in range(plan.copies)))

    async def deliver(self, task: Task, letter: Letter) -> None:
        """Send a letter, and repeat it with growing pauses until it is answered 2xx."""
        for repeat in range(REPEATS + 1):
            if await self.send(task, letter) // 100 == 2:
                return
            if repeat < REPEATS:
                await asyncio.sleep(self._options.callback_backoff_s * 2**repeat)

    async def send(self, task: Task, letter: Letter) -> int:
        """Send a letter once, note the answer on the task, and give its status; 0 without an answer."""
        at_ms = now_ms()
        status, error = 0, ""
        data = io.BytesIO(letter.body) if len(letter.body) > LARGE else letter.body
        try:
            async with self._session.post(
                URL(letter.url, encoded=True),
                data=data,
                headers=letter.headers,
                allow_redirects=False,
            ) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as failure:
            error = type(failure).__name__
        task.sendings.append(Sending(at_ms, letter.kind, status, error))
        return status


def write(task: Task, kind: Kind, *, url: str = "", age_s: int = 0, body: bytes | None = None) -> Letter:
    """The callback about a task; `age_s` dates it back, `body` replaces the prediction."""
    timestamp = int(time.time()) - (age_s or (STALE_S if kind == "stale" else 0))
    content = _content(task, kind) if body is None else body
    headers = {
        "Content-Type": "application/json",
        "webhook-id": task.id,
        "webhook-timestamp": str(timestamp),
    }
    if kind != "unsigned":
        secret = "whsec_somebody_else" if kind == "forged" else secret_of(task.account)
        headers["webhook-signature"] = sign(
            secret=secret, message_id=task.id, timestamp=timestamp, body=content
        )
    return Letter(kind, url or task.webhook, headers, content)


def _content(task: Task, kind: Kind) -> bytes:
    prediction = describe(task)
    prediction.input = msgspec.Raw(task.input)
    if kind == "older":
        prediction.status, prediction.outputs, prediction.has_nsfw_contents = "processing", [], []
    if kind == "opposite":
        _contradict(prediction)
    return msgspec.json.encode(prediction)


def _contradict(prediction: Prediction) -> None:
    if prediction.status == "completed":
        prediction.status, prediction.code, prediction.error = "failed", 5000, TEXT_OF_CODE[5000]
        prediction.outputs, prediction.has_nsfw_contents = [], []
    else:
        prediction.status, prediction.code, prediction.error = "completed", 0, ""
        prediction.outputs = [f"{prediction.urls['get']}/not-there.jpeg"]
