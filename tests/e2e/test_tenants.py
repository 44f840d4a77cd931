"""Another tenant's job is not there, whatever one tries; a key can do what its scopes say and no more."""

from __future__ import annotations

import pytest

from orchestrator.ids import new_api_key
from tests.e2e.stack import Stack, data_of


async def key_of_another(
    stack: Stack, *, scopes: str = "read submit", expires_at: int | None = None
) -> dict[str, str]:
    key = new_api_key()
    await stack.ledger.add_tenant(key, scopes=scopes, expires_at=expires_at)
    return {"authorization": f"Bearer {key}"}


async def test_another_tenants_job_is_404_on_every_path(stack: Stack) -> None:
    mine = await stack.created()
    await stack.ended(mine)
    theirs = await key_of_another(stack)
    for method, path in (
        ("GET", f"/api/v2/predictions/{mine}"),
        ("GET", f"/api/v3/predictions/{mine}/result"),
        ("GET", f"/api/v3/jobs/{mine}"),
        ("POST", f"/api/v3/jobs/{mine}/cancel"),
        ("POST", f"/api/v3/jobs/{mine}/redrive"),
        ("POST", f"/api/v3/jobs/{mine}/check"),
    ):
        answer = await stack.http.request(method, path, headers=theirs)
        assert answer.status_code == 404, f"{path}: {answer.text}"
        assert mine not in answer.text


async def test_another_tenants_jobs_are_in_no_list_and_cannot_be_deleted(stack: Stack) -> None:
    mine = await stack.created()
    await stack.ended(mine)
    theirs = await key_of_another(stack)
    assert data_of(await stack.http.post("/api/v3/predictions", json={}, headers=theirs))["items"] == []
    assert data_of(await stack.http.get("/api/v3/jobs", headers=theirs))["items"] == []
    deleted = await stack.http.post("/api/v3/predictions/delete", json={"ids": [mine]}, headers=theirs)
    assert data_of(deleted) == {"deleted_count": 0}
    assert (await stack.job(mine))["phase"] == "completed"


async def test_two_tenants_have_two_secrets_and_may_use_one_idempotency_key(stack: Stack) -> None:
    theirs = await key_of_another(stack)
    secrets = [
        data_of(await stack.http.get("/api/v3/webhook/secret", headers=headers))["secret"]
        for headers in ({}, theirs)
    ]
    assert len(set(secrets)) == 2
    key = {"idempotency-key": "the same for both"}
    first = data_of(await stack.submit(headers=key))["id"]
    second = data_of(await stack.submit(headers=key | theirs))["id"]
    assert first != second


@pytest.mark.parametrize(("scopes", "may_read", "may_submit"), [("read", 200, 403), ("submit", 403, 200)])
async def test_a_key_does_what_its_scopes_say(
    stack: Stack, scopes: str, may_read: int, may_submit: int
) -> None:
    key = await key_of_another(stack, scopes=scopes)
    assert (await stack.http.get("/api/v3/jobs", headers=key)).status_code == may_read
    assert (await stack.submit(headers=key)).status_code == may_submit


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v3/predictions/%00"),
        ("GET", "/api/v3/jobs/%00"),
        ("GET", "/api/v3/jobs?before=%00"),
        ("GET", "/api/v3/jobs?model=%00"),
        ("GET", "/api/v3/jobs?status=%00"),
        ("GET", "/api/v3/dead-letters?before=%00"),
        ("POST", "/api/v3/jobs/%00/cancel"),
    ],
)
async def test_a_nul_in_a_url_is_refused_and_no_defect_on_postgresql(
    split: Stack, method: str, path: str
) -> None:
    answer = await split.http.request(method, path)
    assert answer.status_code == 400, answer.text


async def test_an_expired_key_is_unknown(stack: Stack) -> None:
    key = await key_of_another(stack, expires_at=1_000)
    assert (await stack.http.get("/api/v3/jobs", headers=key)).status_code == 401
