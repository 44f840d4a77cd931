"""API keys are found by their digest, and what was done is kept."""

from __future__ import annotations

from orchestrator.ids import key_digest, new_api_key
from orchestrator.store import keys
from orchestrator.store.keys import Key
from orchestrator.store.store import Store
from tests.factories import T0, TENANT
from tests.store.rows import count, select


async def test_the_first_key_belongs_to_the_first_tenant_and_may_do_everything(store: Store) -> None:
    key = new_api_key()
    await store.write(keys.ensure_first_key, key=key, now=T0)
    found = await store.read(keys.find_key, digest=key_digest(key))
    assert found is not None
    tenants = await select(store, "SELECT name FROM tenants WHERE id = :id", id=found.tenant_id)
    assert tenants == [("default",)]
    assert found.scopes == {"admin", "read", "submit"}
    assert found.is_valid(T0)


async def test_making_the_first_key_again_changes_nothing(store: Store) -> None:
    key = new_api_key()
    for _ in range(2):
        await store.write(keys.ensure_first_key, key=key, now=T0)
    assert (await count(store, "api_keys"), await count(store, "tenants")) == (1, 2)


async def test_another_first_key_is_another_key_of_the_same_tenant(store: Store) -> None:
    for _ in range(2):
        await store.write(keys.ensure_first_key, key=new_api_key(), now=T0)
    assert (await count(store, "api_keys"), await count(store, "tenants")) == (2, 2)


async def test_no_key_is_stored(store: Store) -> None:
    key = new_api_key()
    await store.write(keys.ensure_first_key, key=key, now=T0)
    stored = await select(store, "SELECT * FROM api_keys")
    assert key not in str(stored)


async def test_an_unknown_digest_finds_nothing(store: Store) -> None:
    assert await store.read(keys.find_key, digest=key_digest(new_api_key())) is None


def test_a_key_is_valid_until_it_expires_or_is_revoked() -> None:
    def key(*, expires_at: int | None = None, revoked_at: int | None = None) -> Key:
        return Key("id", TENANT, frozenset(), expires_at, revoked_at)

    assert key().is_valid(T0)
    assert key(expires_at=T0 + 1).is_valid(T0)
    assert not key(expires_at=T0).is_valid(T0)
    assert not key(revoked_at=T0 + 1).is_valid(T0)


async def test_audit_keeps_who_did_what(store: Store) -> None:
    await store.write(
        keys.record_audit, tenant_id=TENANT, actor="key-1", action="redrive", subject="job-1", now=T0
    )
    rows = await select(store, "SELECT tenant_id, at, actor, action, object FROM audit")
    assert rows == [(TENANT, T0, "key-1", "redrive", "job-1")]
