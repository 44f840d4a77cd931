"""Whatever is wrong in an order to change, add or steer something is a 400 that names its field.

The values are made from the types that the API description has of the bodies.
"""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from orchestrator.web.reference.endpoint import Endpoint
from orchestrator.web.reference.operations import shown_path
from orchestrator.web.reference.tables import actions, endpoints, jobs, keys, lanes, tenants
from tests.e2e.stack import Stack

Json = dict[str, Any]
ORDERS = [
    one
    for group in (jobs.GROUP, actions.GROUP, lanes.GROUP, keys.GROUP, tenants.GROUP, endpoints.GROUP)
    for one in group.endpoints
    if one.body is not None
]
HOSTILE: list[Any] = [
    {},
    [],
    [[]],
    [None],
    [{"a": 1}],
    {"a": {"b": []}},
    "",
    "no such thing",
    "x" * 1_000,
    True,
    0,
    -1,
    0.5,
    1e308,
    2**63 - 1,
    -(2**63),
    None,
]
DEEP = "[" * 70 + "]" * 70
BODIES = {
    "deep": f'{{"name":{DEEP}}}',
    "deeper": f'{{"name":{"[" * 20_000}{"]" * 20_000}}}',
    "an array": "[]",
    "a text": '"name"',
    "no json": "{name: 1}",
    "cut off": '{"name": "a',
    "not a number": '{"weight": NaN}',
    "infinite": '{"weight": 1e999}',
    "beyond 64 bits": f'{{"weight": {2**64}}}',
    "thousands of digits": f'{{"weight": {"9" * 5_000}}}',
    "nul in a value": '{"name": "a\\u0000b"}',
    "nul in a name": '{"a\\u0000b": 1}',
    "half a character": '{"name": "\\ud800"}',
    "twice": '{"name": "a", "name": "b"}',
    "not utf-8": b'{"name": "\xff"}',
}


def schema_of(order: Endpoint) -> Json:
    """That of the body itself, and under `$defs` what it refers to."""
    assert order.body is not None
    (own,), found = msgspec.json.schema_components([order.body.contents["application/json"]])
    return {**found[own["$ref"].rpartition("/")[2]], "$defs": found}


def needed_by(order: Endpoint) -> list[str]:
    return list(schema_of(order)["required"])


def example_of(order: Endpoint) -> Json:
    return dict(order.body.example or {}) if order.body else {}


def name_of(order: Endpoint) -> str:
    return order.name


def path_of(order: Endpoint) -> str:
    return shown_path(order).format(id="nobody", name="nobody")


async def send(stack: Stack, order: Endpoint, body: Json) -> httpx.Response:
    return await stack.http.request(order.method, path_of(order), json=body)


def named_by(answer: httpx.Response) -> str:
    """The field, without the place in it."""
    return str(answer.json().get("field")).partition("[")[0].partition(".")[0]


FIELDS = [(order, name) for order in ORDERS for name in schema_of(order)["properties"]]


@pytest.mark.parametrize(("order", "name"), FIELDS, ids=lambda value: getattr(value, "name", value))
async def test_a_value_that_the_description_forbids_is_refused_by_its_field(
    stack: Stack, order: Endpoint, name: str
) -> None:
    schema = schema_of(order)
    field = schema["properties"][name] | {"$defs": schema["$defs"]}
    rule = jsonschema_rs.validator_for(field, validate_formats=True)
    forbidden = [value for value in HOSTILE if not rule.is_valid(value)]
    assert forbidden
    for value in forbidden:
        answer = await send(stack, order, {**example_of(order), name: value})
        assert (answer.status_code, named_by(answer)) == (400, name), f"{value!r}: {answer.text}"


@pytest.mark.parametrize("order", ORDERS, ids=name_of)
async def test_an_unknown_field_is_refused_by_its_name(stack: Stack, order: Endpoint) -> None:
    for name in ("stranger", "_", "\U0001f409" * 50, "a.b"):
        answer = await send(stack, order, {**example_of(order), name: 1})
        assert (answer.status_code, answer.json()["field"]) == (400, name), answer.text


@pytest.mark.parametrize("order", [one for one in ORDERS if one.method == "POST"], ids=name_of)
async def test_a_field_that_is_missing_is_named(stack: Stack, order: Endpoint) -> None:
    for name in needed_by(order):
        rest = {key: value for key, value in example_of(order).items() if key != name}
        answer = await send(stack, order, rest)
        assert (answer.status_code, answer.json()["field"]) == (400, name), answer.text


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("order", ORDERS, ids=name_of)
async def test_what_is_no_strict_json_object_is_refused(
    stack: Stack, order: Endpoint, body: str | bytes
) -> None:
    answer = await stack.http.request(order.method, path_of(order), content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 400), answer.text


@pytest.mark.parametrize("order", ORDERS, ids=name_of)
async def test_an_order_of_a_megabyte_is_too_large(stack: Stack, order: Endpoint) -> None:
    answer = await send(stack, order, {"name": "x" * 2**20})
    assert answer.status_code == 413
