"""The pages of deliveries in a real browser: found, looked into, and sent again, one or a whole range."""

from __future__ import annotations

from tests.e2e.browser import browser_page
from tests.e2e.hooked import Hooked, path_of
from tests.e2e.program import until
from tests.e2e.stack import data_of
from tests.e2e.test_deliveries import delivery_in
from tests.e2e.test_redelivery import ended_delivery


async def test_a_webhook_that_was_given_up_is_found_looked_into_and_sent_again(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("410,200")
    dead = await ended_delivery(hooked, path, "dead", "?token=secret")
    async with browser_page(stack) as page:
        await page.goto(f"/deliveries?state=dead&host={receiver.url.removeprefix('http://')}")
        await page.click(f"a[href='/deliveries/{dead}']")
        await page.wait_for_selector("h1:has-text('Delivery')")
        told = await page.inner_text("main")
        assert "answered 410" in told
        assert f"POST {receiver.url}{path}\n" in told
        assert "secret" not in (await page.content()).replace("/api/v3/webhook/secret", "").replace(
            "the secret is at", ""
        )
        await page.click("button:has-text('Send again')")
        await page.wait_for_selector("[role=status]:has-text('It is sent now')")
        await receiver.wait_for(path, 2)
        await delivery_in(stack, dead.rpartition("-")[0], "delivered")
    actor = await stack.ledger.one("SELECT actor FROM audit WHERE object = :id", id=dead)
    assert actor.startswith("dashboard, key ")


async def test_a_webhook_that_waits_for_a_later_attempt_is_sent_now(hooked: Hooked) -> None:
    stack, receiver = hooked
    path, receiver.headers = path_of("503,200"), {"retry-after": "3000"}
    job_id = await stack.created(params={"webhook": receiver.url + path})

    async def is_put_off() -> bool:
        tried = "SELECT 1 FROM deliveries WHERE job_id = :id AND failures = 1"
        return bool(await stack.ledger.rows(tried, id=job_id))

    await until(is_put_off, what="a delivery to be put off")
    receiver.headers = {}
    async with browser_page(stack) as page:
        await page.goto(f"/deliveries/{job_id}-1")
        await page.click("button:has-text('Send now')")
        await page.wait_for_selector("[role=status]:has-text('It is sent now')")
        await receiver.wait_for(path, 2)
        await delivery_in(stack, job_id, "delivered")


async def test_all_that_were_given_up_in_a_range_are_counted_first_and_then_sent_again(
    hooked: Hooked,
) -> None:
    stack, receiver = hooked
    paths = [path_of("410,200"), path_of("410,200")]
    dead = [await ended_delivery(hooked, path, "dead") for path in paths]
    number = await stack.ledger.one("SELECT count(*) FROM deliveries WHERE state = 'dead'")
    async with browser_page(stack) as page:
        await page.goto("/deliveries")
        await page.select_option("select[name=again]", "1h")
        await page.click("button:has-text('Count them first')")
        await page.wait_for_selector(f"text={number} webhooks were given up in the last hour.")
        assert all(len(receiver.got[path]) == 1 for path in paths)
        await page.click(f"button:has-text('Send {number} again')")
        await page.wait_for_selector(f"[role=status]:has-text('{number} webhooks are sent again')")
    for path, delivery_id in zip(paths, dead, strict=True):
        await receiver.wait_for(path, 2)
        await delivery_in(stack, delivery_id.rpartition("-")[0], "delivered")


async def test_what_an_endpoint_is_told_of_itself_is_listed_with_its_event(hooked: Hooked) -> None:
    stack, receiver = hooked
    path = path_of("200")
    made = data_of(
        await stack.http.post(
            "/api/v3/endpoints", json={"url": receiver.url + path, "events": ["job.completed"]}
        )
    )
    assert (await stack.http.post(f"/api/v3/endpoints/{made['id']}/test")).status_code == 200
    await receiver.wait_for(path)
    async with browser_page(stack) as page:
        await page.goto(f"/deliveries?endpoint={made['id']}")
        assert "endpoint.test" in await page.inner_text("main tr[data-row]")
        await page.click("main [data-row-link]")
        await page.wait_for_selector("h1:has-text('Delivery')")
        told = await page.inner_text("main")
    assert "webhook-signature: v1,…" in told
    assert "the endpoint itself" in told
    await stack.http.delete(f"/api/v3/endpoints/{made['id']}")
