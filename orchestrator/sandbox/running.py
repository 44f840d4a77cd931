"""The life of a task: it waits for a slot, runs, ends, and its end is called back."""

from __future__ import annotations

import asyncio

import msgspec

from orchestrator.sandbox.callbacks import Sender
from orchestrator.sandbox.faults import Plan
from orchestrator.sandbox.limits import Account
from orchestrator.sandbox.media import Media, UnreadableError
from orchestrator.sandbox.models import Model
from orchestrator.sandbox.options import Options
from orchestrator.sandbox.pages import inputs_of
from orchestrator.sandbox.protocol import TEXT_OF_CODE
from orchestrator.sandbox.studio import Studio, format_of
from orchestrator.sandbox.tasks import ENDED, Task, now_ms

HUGE = 50 * 10**6
STRANGE_OUTPUTS = {
    "none": b"[]",
    "nul": rb'["http://127.0.0.1/\u0000.jpeg"]',
    "nan": b"[NaN]",
    "types": b'[17,null,{"url":5}]',
    "lone": rb'["\ud800"]',
}


class Runner:
    """Runs tasks in the background; a client that waits for one in its POST shares the same run."""

    def __init__(self, *, options: Options, sender: Sender, media: Media, studio: Studio) -> None:
        self._options = options
        self._sender = sender
        self._media = media
        self._studio = studio
        self._runs: set[asyncio.Task[None]] = set()
        self._held: dict[str, asyncio.Event] = {}
        self._waiters: dict[str, asyncio.Event] = {}
        self._forced: dict[str, int] = {}

    def start(self, task: Task, *, account: Account, model: Model, plan: Plan) -> asyncio.Task[None]:
        """Begin a task; the run is over when its callbacks are sent."""
        account.opened()
        if plan.hold:
            self._held[task.id] = asyncio.Event()
        run = asyncio.create_task(self._run(task, account, model, plan))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return run

    async def wait_for_end(self, task: Task, *, timeout_s: float) -> bool:
        """Whether the task ended within this time."""
        if task.status in ENDED:
            return True
        ended = self._waiters.setdefault(task.id, asyncio.Event())
        try:
            await asyncio.wait_for(ended.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def finish(self, task_id: str | None, *, code: int) -> int:
        """Let go of one held task, or of all; a code makes it fail. Gives how many were let go."""
        wanted = [task_id] if task_id is not None else list(self._held)
        let_go = [found for found in wanted if (self._held.get(found)) is not None]
        for found in let_go:
            self._forced[found] = code
            self._held.pop(found).set()
        return len(let_go)

    async def stop(self) -> None:
        """Drop all runs where they are."""
        runs = list(self._runs)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        self._held.clear()
        self._waiters.clear()
        self._forced.clear()

    async def _run(self, task: Task, account: Account, model: Model, plan: Plan) -> None:
        async with account.slot():
            account.began()
            task.status, task.started_ms = "processing", now_ms()
            try:
                await self._work(task, model, plan)
            finally:
                account.ended()
        if (waiter := self._waiters.pop(task.id, None)) is not None:
            waiter.set()
        await self._sender.announce(task, plan)

    async def _work(self, task: Task, model: Model, plan: Plan) -> None:
        held = self._held.get(task.id)
        await asyncio.sleep(self._duration(model, plan))
        if held is not None:
            await held.wait()
        inputs = inputs_of(task)
        code = plan.fail or self._forced.pop(task.id, 0)
        if not code and model.is_moderated(inputs):
            code = 1200
        if not code and (image := inputs.get("image")):
            code = await self._code_of_image(image)
        outputs = [] if code else await self._outputs(task, inputs, plan)
        _end(task, code=code, outputs=outputs)

    def _duration(self, model: Model, plan: Plan) -> float:
        if plan.duration is not None:
            return plan.duration
        if plan.callback == "early":
            return 0.0
        return model.duration_s if self._options.duration_s is None else self._options.duration_s

    async def _code_of_image(self, image: str) -> int:
        try:
            await self._media.read_image(image)
        except UnreadableError:
            return 1402
        return 0

    async def _outputs(self, task: Task, inputs: dict[str, object], plan: Plan) -> list[str] | msgspec.Raw:
        if plan.outputs == "huge":
            return [f"{task.base}/outputs/{task.id}/{'x' * HUGE}.jpeg"]
        if plan.outputs:
            return msgspec.Raw(STRANGE_OUTPUTS[plan.outputs])
        wanted = inputs.get("num_images")
        count = wanted if isinstance(wanted, int) else 1
        if inputs.get("enable_base64_output"):
            return await self._studio.data_uris(task, count)
        kind = format_of(task)
        return [f"{task.base}/outputs/{task.id}/{number}.{kind}" for number in range(1, count + 1)]


def _end(task: Task, *, code: int, outputs: list[str] | msgspec.Raw) -> None:
    task.code = code
    task.error = TEXT_OF_CODE.get(code, f"Task failed with code {code}.") if code else ""
    task.outputs = outputs
    task.ended_ms = now_ms()
    task.status = "failed" if code else "completed"
