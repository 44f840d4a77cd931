"""Our own secret is exchanged while jobs are under way: nothing is missed, by us or by those we tell."""

from __future__ import annotations

import pytest

from tests.e2e.hooked import Hooked, path_of
from tests.e2e.program import until
from tests.e2e.stack import Stack, marked
from tests.e2e.subscribing import believed, new_subscriber

OLD, NEW = "o" * 40, "n" * 40


async def restart(stack: Stack, secrets: str) -> None:
    await stack.up.stop()
    await stack.up.start(ORCHESTRATOR_SECRET=secrets)


async def test_a_callback_to_a_url_of_the_old_secret_is_believed(hooked: Hooked) -> None:
    stack, _ = hooked
    await restart(stack, OLD)
    job_id = await stack.created(marked("hold"))
    await stack.in_phase(job_id, "accepted")
    await restart(stack, f"{NEW},{OLD}")
    (task,) = await stack.tasks(job_id)
    await stack.control("finish", id=task["id"])
    (attempt,) = (await stack.ended(job_id))["attempts"]
    assert attempt["ended_by"] == "callback"


@pytest.mark.parametrize(("known", "attempts"), [("old", 2), ("new", 1)])
async def test_webhooks_of_jobs_are_heard_by_who_knows_either_secret(
    hooked: Hooked, known: str, attempts: int
) -> None:
    stack, receiver = hooked
    await restart(stack, OLD)
    tenant = await new_subscriber(hooked)
    old = (await tenant.data("GET", "/api/v3/webhook/secret"))["secret"]
    await restart(stack, f"{NEW},{OLD}")
    new = (await tenant.data("GET", "/api/v3/webhook/secret"))["secret"]
    by_turns, at_once = path_of("200"), path_of("200")
    receiver.trusts[by_turns] = {"old": old, "new": new}[known]
    await tenant.run(webhook=receiver.url + by_turns)
    await tenant.run(webhook=receiver.url + at_once, webhook_scheme="v1")

    hastened: set[tuple[str, int]] = set()

    async def are_delivered() -> bool:
        await stack.ledger.hasten_deliveries(hastened, tenant_id=tenant.id)
        return len(await tenant.deliveries(state="delivered")) == 2

    await until(are_delivered, what="both to be delivered")
    assert len(receiver.got[by_turns]) == attempts
    (told,) = receiver.got[at_once]
    assert believed(told, old) == believed(told, new)
