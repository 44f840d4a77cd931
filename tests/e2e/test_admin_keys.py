"""Keys and tenants over HTTP: an admin key rules its own tenant, the operator's rules what all share."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.ids import is_api_key, key_digest
from tests.e2e.program import until
from tests.e2e.stack import Json, Stack, data_of
from tests.e2e.test_tenants import key_of_another

ADMIN = "admin read submit"
OPERATORS = [
    ("GET", "tenants"),
    ("POST", "tenants"),
    ("PATCH", "tenants/default"),
    ("POST", "lanes/wavespeed/image/pause"),
    ("POST", "lanes/wavespeed/image/resume"),
    ("PATCH", "lanes/wavespeed/image"),
    ("PATCH", "accounts/wavespeed"),
]
ADMINS = [("GET", "keys"), ("POST", "keys"), ("POST", "keys/1/revoke"), ("POST", "jobs/1/resolve")]


def name() -> str:
    return f"n-{uuid.uuid4().hex[:12]}"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def made(stack: Stack, headers: dict[str, str] | None = None, **wanted: Any) -> Json:
    answer = await stack.http.post("/api/v3/keys", json={"name": name(), **wanted}, headers=headers or {})
    found: Json = data_of(answer)
    return found


async def actions_on(stack: Stack, subject: str) -> list[str]:
    rows = await stack.ledger.rows(
        "SELECT action FROM audit WHERE object = :object ORDER BY id", object=subject
    )
    return [row["action"] for row in rows]


async def test_a_key_is_made_shown_once_used_and_revoked(stack: Stack) -> None:
    key = await made(stack, scopes=["read"])
    assert is_api_key(key["key"])
    assert (key["tenant"], key["scopes"], key["state"], key["expires_at"]) == (
        "default",
        ["read"],
        "valid",
        "",
    )
    assert (await stack.http.get("/api/v3/jobs", headers=bearer(key["key"]))).status_code == 200
    listed = await stack.http.get("/api/v3/keys")
    assert key["key"] not in listed.text
    assert key["id"] in [one["id"] for one in data_of(listed)["items"]]
    revoked = data_of(await stack.http.post(f"/api/v3/keys/{key['id']}/revoke"))
    assert (revoked["state"], "key" in revoked) == ("revoked", False)

    async def is_refused() -> bool:
        return (await stack.http.get("/api/v3/jobs", headers=bearer(key["key"]))).status_code == 401

    await until(is_refused, within=4, what="the revoked key to be refused")
    again = data_of(await stack.http.post(f"/api/v3/keys/{key['id']}/revoke"))
    assert again["revoked_at"] == revoked["revoked_at"]


async def test_the_answer_with_a_key_may_not_be_cached_and_the_table_has_its_digest_only(
    stack: Stack,
) -> None:
    answer = await stack.http.post("/api/v3/keys", json={"name": name()})
    assert answer.headers["cache-control"] == "no-store"
    key = data_of(answer)["key"]
    (row,) = await stack.ledger.rows("SELECT * FROM api_keys WHERE digest = :it", it=key_digest(key))
    assert key not in str(row)


async def test_what_was_done_stands_in_the_audit_and_what_was_refused_does_not(stack: Stack) -> None:
    called = name()
    key = await made(stack, name=called)
    assert (await stack.http.post("/api/v3/keys", json={"name": called})).status_code == 409
    assert await actions_on(stack, f"default/{called}") == ["create key"]
    await stack.http.post(f"/api/v3/keys/{key['id']}/revoke")
    assert await actions_on(stack, key["id"]) == ["revoke key"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": " padded"}, "name"),
        ({"name": "line\nbreak"}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x", "scope": ["read"]}, "scope"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes[0]"),
        ({"name": "x", "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "2999-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "tenant": "nobody's"}, "tenant"),
    ],
)
async def test_a_wrong_key_is_refused_by_its_field(stack: Stack, body: Json, field: str) -> None:
    answer = await stack.http.post("/api/v3/keys", json=body)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


async def test_a_body_that_is_no_object_is_refused(stack: Stack) -> None:
    for body in (b"[]", b"{", b'{"name":"a","name":"b"}'):
        assert (await stack.http.post("/api/v3/keys", content=body)).status_code == 400


async def test_a_key_ends_at_its_expiry(stack: Stack) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await made(stack, expires_at=ends))["expires_at"] == f"{ends[:23]}Z"


async def test_an_admin_of_a_tenant_rules_its_own_keys_and_no_others(stack: Stack) -> None:
    theirs = await key_of_another(stack, scopes=ADMIN)
    mine = await made(stack)
    own = await made(stack, theirs)
    listed = data_of(await stack.http.get("/api/v3/keys", headers=theirs))["items"]
    assert {one["tenant"] for one in listed} == {own["tenant"]}
    assert own["tenant"] != "default"
    assert data_of(await stack.http.get("/api/v3/keys?tenant=default", headers=theirs))["items"] == []
    refused = await stack.http.post(f"/api/v3/keys/{mine['id']}/revoke", headers=theirs)
    assert refused.status_code == 404
    for_others = await stack.http.post(
        "/api/v3/keys", json={"name": name(), "tenant": "default"}, headers=theirs
    )
    assert for_others.status_code == 403
    assert (await stack.http.get("/api/v3/jobs", headers=bearer(mine["key"]))).status_code == 200


async def test_the_operator_makes_and_revokes_keys_of_every_tenant(stack: Stack) -> None:
    tenant = name()
    data_of(await stack.http.post("/api/v3/tenants", json={"name": tenant}))
    key = await made(stack, tenant=tenant, scopes=["admin"])
    assert key["tenant"] == tenant
    listed = data_of(await stack.http.get("/api/v3/keys", params={"tenant": tenant}))["items"]
    assert [one["id"] for one in listed] == [key["id"]]
    assert data_of(await stack.http.post(f"/api/v3/keys/{key['id']}/revoke"))["state"] == "revoked"


@pytest.mark.parametrize(("method", "path"), OPERATORS)
async def test_what_all_share_is_the_operators(stack: Stack, method: str, path: str) -> None:
    theirs = await key_of_another(stack, scopes=ADMIN)
    answer = await stack.http.request(method, f"/api/v3/{path}", headers=theirs)
    assert (answer.status_code, "operator" in answer.json()["message"]) == (403, True)


@pytest.mark.parametrize(("method", "path"), [*OPERATORS, *ADMINS])
async def test_without_the_scope_admin_nothing_is_administered(stack: Stack, method: str, path: str) -> None:
    plain = await made(stack)
    answer = await stack.http.request(method, f"/api/v3/{path}", headers=bearer(plain["key"]))
    assert (answer.status_code, "`admin`" in answer.json()["message"]) == (403, True)
    assert (await stack.http.request(method, f"/api/v3/{path}", headers=bearer("none"))).status_code == 401


async def test_a_tenant_is_added_changed_and_listed(stack: Stack) -> None:
    tenant = f"a/b {name()}"
    added = data_of(await stack.http.post("/api/v3/tenants", json={"name": tenant, "max_queued": 5}))
    assert added == {
        "name": tenant,
        "weight": 1.0,
        "max_in_flight": None,
        "max_queued": 5,
        "keys": 0,
        "waiting": 0,
    }
    change = {"weight": 3, "max_in_flight": 2, "max_queued": None}
    changed = data_of(await stack.http.patch(f"/api/v3/tenants/{tenant}", json=change))
    assert (changed["weight"], changed["max_in_flight"], changed["max_queued"]) == (3.0, 2, None)
    kept = data_of(await stack.http.patch(f"/api/v3/tenants/{tenant}", json={"weight": 2}))
    assert (kept["weight"], kept["max_in_flight"]) == (2.0, 2)
    assert kept in data_of(await stack.http.get("/api/v3/tenants"))["items"]
    assert (await stack.http.post("/api/v3/tenants", json={"name": tenant})).status_code == 409
    assert await actions_on(stack, tenant) == [
        "add tenant: max_queued 5",
        "change tenant: weight 3.0, max_in_flight 2, max_queued None",
        "change tenant: weight 2.0",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"weight": 0}, "weight"),
        ({"weight": 1_001}, "weight"),
        ({"weight": "3"}, "weight"),
        ({"max_in_flight": -1}, "max_in_flight"),
        ({"max_queued": 1.5}, "max_queued"),
        ({"max_queued": 10**9}, "max_queued"),
        ({"name": "another"}, "name"),
        ({"limit": 1}, "limit"),
    ],
)
async def test_wrong_terms_are_refused_by_their_field(stack: Stack, body: Json, field: str) -> None:
    answer = await stack.http.patch("/api/v3/tenants/default", json=body)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


async def test_an_unknown_tenant_cannot_be_changed(stack: Stack) -> None:
    answer = await stack.http.patch("/api/v3/tenants/nobody's", json={"weight": 1})
    assert answer.status_code == 404
