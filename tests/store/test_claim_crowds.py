"""However many jobs and tenants stand in line, nobody waits for more than their turn."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.flow.schedule import BULK, INTERACTIVE
from orchestrator.store import turns
from orchestrator.store.store import Store
from tests.factories import T0, TENANT, add_tenant
from tests.store.claiming import add_crowd, add_ready, claim, claimed_ids, end_attempts

CROWD = 50_000
MANY = turns.MOST_SHARES + 4


@pytest.mark.parametrize(("crowd", "single"), [(BULK, INTERACTIVE), (INTERACTIVE, BULK)])
async def test_a_single_job_waits_for_at_most_two_claims_behind_fifty_thousand(
    store: Store, crowd: int, single: int
) -> None:
    """Whatever its priority: that orders the jobs of one tenant, not the tenants."""
    await add_crowd(store, CROWD, tenant_id=TENANT, priority=crowd)
    for _ in range(3):
        await end_attempts(store, await claim(store, slots=8))
    other = await store.write(add_tenant)
    theirs = (await add_ready(store, 1, tenant_id=other, at=T0 + 5_000, priority=single))[0]
    claimed = [one for _ in range(2) for one in await claimed_ids(store, slots=1)]
    assert theirs.id in claimed


async def test_an_interactive_job_goes_before_a_tenants_own_fifty_thousand_of_bulk(store: Store) -> None:
    await add_crowd(store, CROWD, tenant_id=TENANT, priority=BULK)
    await end_attempts(store, await claim(store, slots=8))
    urgent = await add_ready(store, 2, at=T0 + 5_000, priority=INTERACTIVE)
    assert sorted(await claimed_ids(store, slots=2)) == sorted(job.id for job in urgent)


async def test_tenants_at_their_own_limit_keep_nobody_from_the_next_claim(store: Store) -> None:
    """They are more than one claim looks at, have got least, and their jobs are older."""
    full = [await store.write(add_tenant, max_in_flight=1) for _ in range(MANY)]
    for tenant in full:
        await add_ready(store, 3, tenant_id=tenant)
    sent = [one.job.tenant_id for _ in range(3) for one in await claim(store)]
    assert sorted(sent) == sorted(full)
    served = await store.write(add_tenant)
    await add_ready(store, 40, tenant_id=served, at=T0 + 1_000)
    for _ in range(3):
        assert Counter([one.job.tenant_id for one in await claim(store, slots=10)]) == {served: 10}


async def test_slots_that_limited_tenants_leave_go_to_the_others_at_once(store: Store) -> None:
    for _ in range(turns.MOST_SHARES - 1):
        limited = await store.write(add_tenant, max_in_flight=2)
        await add_ready(store, 10, tenant_id=limited)
    await add_ready(store, 100)
    served = Counter([one.job.tenant_id for one in await claim(store, slots=64)])
    assert served.pop(TENANT) == 64 - 2 * (turns.MOST_SHARES - 1)
    assert set(served.values()) == {2}


async def test_a_tenant_with_a_free_slot_of_its_own_is_served_again(store: Store) -> None:
    limited = await store.write(add_tenant, max_in_flight=1)
    jobs = await add_ready(store, 3, tenant_id=limited)
    await add_ready(store, 20)
    for job in jobs:
        claimed = await claim(store, slots=4)
        mine = [one for one in claimed if one.job.tenant_id == limited]
        assert [one.job.id for one in mine] == [job.id]
        await end_attempts(store, mine)
