"""The submit: checks, charges, starts the task, and answers, or does not, as the faults want it."""

from __future__ import annotations

import asyncio
import random

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.sandbox.answers import at_the_door, distort
from orchestrator.sandbox.faults import Plan
from orchestrator.sandbox.house import House, Submit
from orchestrator.sandbox.models import Model
from orchestrator.sandbox.pages import BIGGEST_SEED, MODELS
from orchestrator.sandbox.protocol import Refusal, describe, envelope
from orchestrator.sandbox.requests import (
    account_key,
    base_url,
    decode_object,
    house_of,
    read_body,
    version_of,
)
from orchestrator.sandbox.tasks import Task, now_ms


async def submit(request: Request) -> Response:
    """POST /api/{version}/{model}: answers with the created prediction."""
    house, at_ms = house_of(request), now_ms()
    house.submits.add(at_ms / 1000)
    try:
        response, task_id = await _submit(request, house)
    except Refusal as refusal:
        _log(request, at_ms=at_ms, status=refusal.status, task_id="")
        raise
    _log(request, at_ms=at_ms, status=response.status_code, task_id=task_id)
    return response


def _log(request: Request, *, at_ms: int, status: int, task_id: str) -> None:
    key = request.headers.get("authorization", "").partition(" ")[2]
    entry = Submit(at_ms, status, key, request.path_params["model"], task_id)
    house_of(request).requests.append(entry)


async def _submit(request: Request, house: House) -> tuple[Response, str]:
    key, version = account_key(request), version_of(request)
    model = _model(version, request.path_params["model"])
    body = await read_body(request)
    inputs = decode_object(body)
    house.accounts.of(key).admit("image")
    model.check(inputs)
    plan = house.faults.plan_submit(client=key, model=model.id, prompt=str(inputs.get("prompt") or ""))
    if (turned_away := at_the_door(plan)) is not None:
        await asyncio.sleep(plan.slow)
        return turned_away, ""
    asked = model.listed(inputs)
    seed = asked.get("seed")
    task = house.ledger.create(
        account=key,
        version=version,
        model=model.id,
        input=body,
        base=base_url(request),
        webhook=request.query_params.get("webhook", ""),
        seed=random.randint(0, BIGGEST_SEED) if seed in {None, -1} else seed,  # noqa: S311  no secret
        price=model.cost(asked),
    )
    task.gone_until_ms = task.created_ms + int(plan.gone * 1000)
    # How the answer travels is no matter of the model's: every page understands it.
    is_sync = inputs.get("enable_sync_mode") is True
    response = await _begin(house, task, model=model, plan=plan, is_sync=is_sync)
    return response, task.id


def _model(version: str, model_id: str) -> Model:
    model = MODELS.get((version, model_id))
    if model is None:
        raise Refusal(400, f"model not found: {model_id}")
    return model


async def _begin(house: House, task: Task, *, model: Model, plan: Plan, is_sync: bool) -> Response:
    """Start the task, before the answer in sync mode or for an early callback, otherwise after it."""
    account = house.accounts.of(task.account)
    account.spent += task.price
    created = envelope(describe(task))

    async def start() -> None:
        house.runner.start(task, account=account, model=model, plan=plan)

    if plan.callback == "early":
        await house.runner.start(task, account=account, model=model, plan=plan)
    elif is_sync or plan.slow:
        await start()
    await asyncio.sleep(plan.slow)
    if is_sync:
        created = await _sync_answer(house, task)
    response = distort(plan, created)
    if not (is_sync or plan.slow or plan.callback == "early"):
        response.background = BackgroundTask(start)
    return response


async def _sync_answer(house: House, task: Task) -> bytes:
    timeout_s = house.options.sync_timeout_s
    if await house.runner.wait_for_end(task, timeout_s=timeout_s):
        return envelope(describe(task))
    prediction = describe(task)
    prediction.status, prediction.code = "processing", 5004
    prediction.error = (
        f"Sync mode timed out after {timeout_s:g} seconds. The prediction is still processing asynchronously."
    )
    return envelope(prediction)
