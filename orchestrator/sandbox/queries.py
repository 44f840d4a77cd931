"""The reading side of the protocol: results, history, delete, models, balance, prices, signing secret."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.sandbox.answers import at_the_door, distort
from orchestrator.sandbox.faults import CALM, Plan
from orchestrator.sandbox.models import Model
from orchestrator.sandbox.pages import MODELS, catalogue
from orchestrator.sandbox.protocol import Prediction, Refusal, answer, describe, envelope
from orchestrator.sandbox.requests import (
    account_key,
    base_url,
    decode_object,
    house_of,
    own_task,
    read_body,
    version_of,
)
from orchestrator.sandbox.signing import secret_of
from orchestrator.sandbox.tasks import Task, now_ms

CREDIT = 10_000.0
BIGGEST_PAGE = 100


class HistoryQuery(msgspec.Struct):
    """The body of POST /predictions; times are ISO 8601."""

    page: int = 1
    page_size: int = 10
    model: str | None = None
    status: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    include_inputs: bool = False


async def result(request: Request) -> Response:
    """GET /predictions/{id} and /predictions/{id}/result."""
    task = own_task(request)
    if now_ms() < task.gone_until_ms:
        raise Refusal(404, "prediction not found")
    return await _troubled(house_of(request).faults.plan_for("result"), describe(task))


async def history(request: Request) -> Response:
    """POST /predictions: this account's tasks, the newest first."""
    key = account_key(request)
    query = _history_query(await read_body(request))
    tasks = house_of(request).ledger.newest_first(
        after_ms=_moment(query.created_after), before_ms=_moment(query.created_before)
    )
    wanted = (task for task in tasks if _is_wanted(task, key, query))
    first = (query.page - 1) * query.page_size
    page = islice(wanted, first, first + query.page_size)
    plan = house_of(request).faults.plan_for("history")
    items = [_item(task, plan, include_inputs=query.include_inputs) for task in page]
    return await _troubled(plan, {"page": query.page, "items": items})


async def _troubled(plan: Plan, data: Any) -> Response:
    """The answer, unless the plan for this request has another one in mind."""
    if plan is CALM:
        return answer(data)
    await asyncio.sleep(plan.slow)
    return at_the_door(plan) or distort(plan, envelope(data))


def _history_query(body: bytes) -> HistoryQuery:
    try:
        query = msgspec.json.decode(body or b"{}", type=HistoryQuery)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"invalid request: {error}") from error
    if query.page < 1 or not 1 <= query.page_size <= BIGGEST_PAGE:
        raise Refusal(400, f"page must be at least 1, and page_size between 1 and {BIGGEST_PAGE}")
    return query


def _moment(text: str | None) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(400, f"not an ISO 8601 time: {text}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _is_wanted(task: Task, key: str, query: HistoryQuery) -> bool:
    return (
        task.account == key
        and not task.is_deleted
        and (not query.model or task.model == query.model)
        and (not query.status or task.status == query.status)
    )


def _item(task: Task, plan: Plan, *, include_inputs: bool) -> Prediction:
    prediction = describe(task)
    if plan.items == "nameless":
        prediction.id = ""
    if include_inputs and plan.items != "bare":
        prediction.inputs = msgspec.Raw(task.input)
    return prediction


async def delete(request: Request) -> Response:
    """POST /predictions/delete: the account no longer sees these tasks; they stay on the bill."""
    key = account_key(request)
    ids = decode_object(await read_body(request)).get("ids")
    if not isinstance(ids, list):
        raise Refusal(400, "ids must be an array")
    found = [house_of(request).ledger.find(str(task_id)) for task_id in ids]
    doomed = [task for task in found if task and task.account == key and not task.is_deleted]
    for task in doomed:
        task.is_deleted = True
    return answer({"deleted_count": len(doomed)})


async def models(request: Request) -> Response:
    """GET /models: the catalogue with its JSON schemas."""
    account_key(request)
    return answer(catalogue(version_of(request), base_url(request)))


async def balance(request: Request) -> Response:
    """GET /balance: what is left; nothing while a script takes the credit away."""
    key, house = account_key(request), house_of(request)
    left = 0.0 if house.faults.is_broke() else CREDIT - house.accounts.of(key).spent
    return answer({"balance": round(left, 6)})


async def webhook_secret(request: Request) -> Response:
    """GET /webhook/secret."""
    return answer({"secret": secret_of(account_key(request))})


async def price(request: Request) -> Response:
    """POST /model/price."""
    model, inputs = await _quoted(request)
    cost = model.cost(inputs)
    return answer({"model_id": model.id, "price": cost, "discounted_price": cost, "currency": "USD"})


async def pricing(request: Request) -> Response:
    """POST /model/pricing, the older form."""
    model, inputs = await _quoted(request)
    return answer({"model_id": model.id, "unit_price": model.cost(inputs), "currency": "USD"})


async def _quoted(request: Request) -> tuple[Model, dict[str, Any]]:
    account_key(request)
    body = decode_object(await read_body(request))
    model = MODELS.get((version_of(request), str(body.get("model_id"))))
    if model is None:
        raise Refusal(400, f"model not found: {body.get('model_id')}")
    inputs = body.get("inputs")
    return model, model.listed(inputs) if isinstance(inputs, dict) else {}
