"""API keys are found by their digest, made, used and revoked; and what was done is kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from starlette.requests import Request

from orchestrator.clock import MINUTE
from orchestrator.errors import Unauthorized
from orchestrator.ids import key_digest, new_api_key
from orchestrator.store import keys, sessions
from orchestrator.store.database import Database
from orchestrator.store.keys import Key, NamedKey, Refusal
from orchestrator.store.store import Store
from orchestrator.web.auth import Authenticator
from tests.factories import T0, TENANT, SetClock, add_tenant
from tests.store.faulty import FaultyDatabase
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


async def made(store: Store, *, name: str = "ci", key: str | None = None, **changes: Any) -> NamedKey:
    """A key of the test's tenant."""
    wanted = {"tenant": TENANT, "scopes": ["read"], "expires_at": None, "now": T0} | changes
    found = await store.write(keys.create_key, key=key or new_api_key(), name=name, **wanted)
    assert isinstance(found, NamedKey)
    return found


async def last_use(store: Store) -> int | None:
    ((at,),) = await select(store, "SELECT last_used_at FROM api_keys")
    return cast("int | None", at)


async def test_a_key_that_is_made_is_found_and_listed(store: Store) -> None:
    key = new_api_key()
    one = await made(store, key=key, scopes=["submit", "read", "read"], expires_at=T0 + 1_000)
    assert await store.read(keys.find_key, digest=key_digest(key)) == one.key
    assert await store.read(keys.list_keys) == [one]
    assert (one.prefix, one.key.expires_at) == (key[:12], T0 + 1_000)
    assert one.key.scopes == {"read", "submit"}


async def test_keys_of_another_tenant_are_listed_apart(store: Store) -> None:
    other = await store.write(add_tenant)
    mine, theirs = await made(store), await made(store, tenant=other)
    assert await store.read(keys.list_keys, tenant=TENANT) == [mine]
    assert await store.read(keys.list_keys, tenant=other) == [theirs]
    assert await store.read(keys.list_keys, tenant="nobody") == []


async def test_a_name_is_taken_until_its_key_is_revoked(store: Store) -> None:
    wanted = {"name": "ci", "tenant": TENANT, "scopes": ["read"], "expires_at": None, "now": T0}
    await made(store)
    assert await store.write(keys.create_key, key=new_api_key(), **wanted) is Refusal.NAME_TAKEN
    await store.write(keys.revoke_key, given="ci", now=T0)
    await made(store)
    assert await count(store, "api_keys") == 2


async def test_two_keys_of_one_name_made_at_once_are_one_key(postgres_store: Store) -> None:
    wanted = {"name": "ci", "tenant": TENANT, "scopes": ["read"], "expires_at": None, "now": T0}
    answers = await asyncio.gather(
        *(postgres_store.write(keys.create_key, key=new_api_key(), **wanted) for _ in range(8))
    )
    assert answers.count(Refusal.NAME_TAKEN) == 7
    assert await count(postgres_store, "api_keys") == 1


async def test_nobody_gets_a_key_who_is_no_tenant(store: Store) -> None:
    wanted = {"name": "ci", "tenant": "nobody", "scopes": ["read"], "expires_at": None, "now": T0}
    assert await store.write(keys.create_key, key=new_api_key(), **wanted) is Refusal.NO_TENANT
    assert await count(store, "api_keys") == 0


async def test_a_key_is_revoked_by_prefix_or_name_once(store: Store) -> None:
    by_name, by_prefix = await made(store, name="a"), await made(store, name="b")
    for given, one in (("a", by_name), (by_prefix.prefix, by_prefix)):
        assert await store.write(keys.revoke_key, given=given, now=T0 + 1) == [one]
        assert await store.write(keys.revoke_key, given=given, now=T0 + 2) == []
    assert [one.key.revoked_at for one in await store.read(keys.list_keys)] == [T0 + 1, T0 + 1]


async def test_where_several_keys_match_none_is_revoked(store: Store) -> None:
    other = await store.write(add_tenant)
    both = [await made(store), await made(store, tenant=other)]
    matching = await store.write(keys.revoke_key, given="ci", now=T0)
    assert {one.key.id for one in matching} == {one.key.id for one in both}
    assert all(one.key.revoked_at is None for one in await store.read(keys.list_keys))


async def test_a_use_is_written_at_most_once_a_minute(store: Store) -> None:
    one = await made(store)
    for now, kept in ((T0, T0), (T0 + MINUTE - 1, T0), (T0 + MINUTE, T0 + MINUTE)):
        await store.write(keys.record_use, ids=[one.key.id], now=now)
        assert await last_use(store) == kept


def request_with(key: str) -> Request:
    return Request({"type": "http", "headers": [(b"authorization", f"Bearer {key}".encode())]})


async def settled() -> None:
    """What requests have started behind their backs is done."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "record-uses"))


async def test_a_request_leaves_the_last_use_of_its_key(store: Store) -> None:
    key = new_api_key()
    await made(store, key=key)
    authenticate = Authenticator(store)
    await asyncio.gather(*(authenticate(request_with(key), "read") for _ in range(5)))
    await settled()
    assert await last_use(store) == T0


async def test_keys_used_during_a_write_are_all_recorded(store: Store) -> None:
    given = [new_api_key() for _ in range(5)]
    for number, key in enumerate(given):
        await made(store, key=key, name=f"{number}")
    authenticate = Authenticator(store)
    await asyncio.gather(*(authenticate(request_with(key), "read") for key in given))
    await settled()
    assert {one.key.last_used_at for one in await store.read(keys.list_keys)} == {T0}


async def test_a_use_that_cannot_be_written_fails_no_request_and_is_noted_again(database: Database) -> None:
    store = Store(FaultyDatabase(database, lost_before=1), SetClock())
    key = new_api_key()
    await database.write(
        lambda connection: keys.create_key(
            connection, key=key, name="ci", tenant=TENANT, scopes=["read"], expires_at=None, now=T0
        )
    )
    for kept in (None, T0):
        assert await Authenticator(store)(request_with(key), "read")  # each is new, and looks the key up
        await settled()
        assert await last_use(store) == kept


async def test_a_revoked_key_leaves_no_use(store: Store) -> None:
    key = new_api_key()
    await made(store, key=key)
    await store.write(keys.revoke_key, given="ci", now=T0)
    with pytest.raises(Unauthorized):
        await Authenticator(store)(request_with(key), "read")
    await settled()
    assert await last_use(store) is None


async def test_a_session_of_the_first_key_is_the_operators_as_the_key_is(store: Store) -> None:
    key = new_api_key()
    await store.write(keys.ensure_first_key, key=key, now=T0)
    found = await store.read(keys.find_key, digest=key_digest(key))
    assert found is not None
    await store.write(sessions.open_session, token="a token", key_id=found.id, now=T0)
    session = await store.read(sessions.find_session, token="a token", now=T0)
    assert session is not None
    assert (found.is_operator, session.key.is_operator) == (True, True)
