"""Who may do what with endpoints, and what is refused, by the name of its field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.hooked import path_of
from tests.e2e.subscribing import ENDPOINTS, Subscriber
from tests.e2e.test_tenants import key_of_another

GOOD = {"url": "https://user.example/hook", "events": ["job.completed"]}
ONE = f"{ENDPOINTS}/{{id}}"
CHANGES = [
    ("PATCH", ONE),
    ("DELETE", ONE),
    ("POST", f"{ONE}/rotate-secret"),
    ("POST", f"{ONE}/test"),
    ("GET", f"{ONE}/secret"),
]


async def test_an_endpoint_is_shown_without_its_secret_and_the_query_of_its_url(tenant: Subscriber) -> None:
    made = await tenant.data("POST", ENDPOINTS, json=GOOD | {"url": "https://user.example/hook?token=abc"})
    secret = made.pop("secret")
    assert (made["url"], made["events"], made["scheme"]) == (GOOD["url"], GOOD["events"], "v1")
    assert await tenant.endpoint(made) == made
    listed = await tenant.ask("GET", ENDPOINTS)
    assert listed.json()["data"] == {"items": [made]}
    assert secret not in listed.text
    assert await tenant.data("GET", f"{ENDPOINTS}/{made['id']}/secret") == {"secret": secret}


async def test_all_that_is_given_is_kept_and_changed(tenant: Subscriber) -> None:
    asked = GOOD | {"description": "ours", "scheme": "v3", "enabled": False}
    made = await tenant.data("POST", ENDPOINTS, json=asked)
    assert {name: made[name] for name in asked} == asked
    other = {
        "url": "https://other.example/",
        "events": ["job.failed", "batch.completed"],
        "description": "",
        "scheme": "v1",
        "enabled": True,
    }
    changed = await tenant.data("PATCH", f"{ENDPOINTS}/{made['id']}", json=other)
    assert {name: changed[name] for name in other} == other
    assert await tenant.data("PATCH", f"{ENDPOINTS}/{made['id']}", json={}) == changed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://user.example/hook"}, "url"),
        ({"url": "https://127.0.0.2/"}, "url"),
        ({"url": "https://me:you@user.example/"}, "url"),
        ({"url": ""}, "url"),
        ({"url": 7}, "url"),
        ({"events": []}, "events"),
        ({"events": "job.completed"}, "events"),
        ({"events": ["job.completed", "job.exploded"]}, "events[1]"),
        ({"events": [["job.completed"]]}, "events[0]"),
        ({"events": ["endpoint.test"]}, "events[0]"),
        ({"description": None}, "description"),
        ({"description": "x" * 501}, "description"),
        ({"scheme": "v2"}, "scheme"),
        ({"scheme": ["v1"]}, "scheme"),
        ({"enabled": "yes"}, "enabled"),
        ({"secret": "whsec_abc"}, "secret"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    tenant: Subscriber, changes: dict[str, Any], field: str
) -> None:
    if "http" in str(changes.get("url")) and field == "url":
        changes = {"url": changes["url"].replace("http://user.example", "http://10.0.0.1")}
    made = await tenant.subscribe(path_of("200"))
    for answer in (
        await tenant.ask("POST", ENDPOINTS, json=GOOD | changes),
        await tenant.ask("PATCH", f"{ENDPOINTS}/{made['id']}", json=changes),
    ):
        assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text
    assert len((await tenant.data("GET", ENDPOINTS))["items"]) == 1


@pytest.mark.parametrize("missing", ["url", "events"])
async def test_what_is_missing_is_named(tenant: Subscriber, missing: str) -> None:
    asked = {name: value for name, value in GOOD.items() if name != missing}
    answer = await tenant.ask("POST", ENDPOINTS, json=asked)
    assert (answer.status_code, answer.json()["field"]) == (400, missing)


async def test_another_tenants_endpoint_is_not_there(tenant: Subscriber) -> None:
    made = await tenant.subscribe(path_of("200"))
    theirs = await key_of_another(tenant.stack, scopes="admin read submit")
    for method, path in [("GET", ONE), *CHANGES]:
        answer = await tenant.stack.http.request(
            method, path.format(id=made["id"]), headers=theirs, json={"enabled": False}
        )
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"
        assert made["url"] not in answer.text
    listed = await tenant.stack.http.get(ENDPOINTS, headers=theirs)
    assert listed.json()["data"] == {"items": []}
    assert (await tenant.endpoint(made))["enabled"]


@pytest.mark.parametrize(("method", "path"), [("POST", ENDPOINTS), *CHANGES])
async def test_who_may_only_submit_and_read_changes_nothing(
    tenant: Subscriber, method: str, path: str
) -> None:
    key = await key_of_another(tenant.stack, scopes="read submit")
    answer = await tenant.stack.http.request(method, path, headers=key, json=GOOD)
    assert answer.status_code == 403
    assert "admin" in answer.json()["message"]


async def test_a_tenant_has_only_so_many(tenant: Subscriber) -> None:
    for _ in range(20):
        await tenant.data("POST", ENDPOINTS, json=GOOD)
    refused = await tenant.ask("POST", ENDPOINTS, json=GOOD)
    assert (refused.status_code, "at most 20" in refused.json()["message"]) == (409, True)


async def test_every_change_is_written_down_with_who_made_it(tenant: Subscriber) -> None:
    made = await tenant.data("POST", ENDPOINTS, json=GOOD)
    path = f"{ENDPOINTS}/{made['id']}"
    await tenant.data("PATCH", path, json={"description": "ours"})
    await tenant.data("POST", f"{path}/rotate-secret")
    await tenant.data("DELETE", path)
    written = await tenant.stack.ledger.rows(
        "SELECT action, actor FROM audit WHERE object = :id ORDER BY id", id=made["id"]
    )
    verbs = ["create", "change", "rotate", "remove"]
    assert [row["action"] for row in written] == [f"endpoint.{verb}" for verb in verbs]
    assert all(row["actor"].startswith("key ") for row in written)
