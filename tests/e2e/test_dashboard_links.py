"""Links that log in to the dashboard once: asked for over HTTP, printed by commands."""

from __future__ import annotations

from tests.e2e.logged_in import anonymous, new_key
from tests.e2e.stack import Stack, data_of
from tests.e2e.test_delivery_commands import called


async def new_link(stack: Stack) -> str:
    """Its path."""
    made = data_of(await stack.http.post("/api/v3/login-links"))
    assert made["url"].startswith(f"{stack.url}/login/")
    return str(made["url"]).removeprefix(stack.url)


async def test_a_link_logs_in_once(stack: Stack) -> None:
    link = await new_link(stack)
    async with anonymous(stack) as first, anonymous(stack) as second:
        entered = await first.get(link)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert (await first.get("/keys")).status_code == 200

        late = await second.get(link)

        assert (late.status_code, "used before" in late.text) == (401, True)
        assert (await second.get("/")).status_code == 303
        assert (await first.get(link)).headers["location"] == "/", "who is in already stays in"


async def test_a_link_that_is_too_old_logs_nobody_in(stack: Stack) -> None:
    link = await new_link(stack)
    await stack.ledger.change("UPDATE sessions SET expires_at = 1 WHERE is_link")
    async with anonymous(stack) as http:
        assert (await http.get(link)).status_code == 401


async def test_only_an_admin_is_given_a_link_and_the_audit_says_so(stack: Stack) -> None:
    made = await new_key(stack, "no links", "read", "submit")
    refused = await stack.http.post("/api/v3/login-links", headers={"authorization": f"Bearer {made['key']}"})
    assert refused.status_code == 403

    await new_link(stack)

    audited = await stack.ledger.rows("SELECT actor, object FROM audit WHERE action = 'make login link'")
    assert audited
    assert all(row["actor"] == f"key {row['object']}" for row in audited)
    assert made["id"] not in {row["object"] for row in audited}


async def test_a_link_of_a_revoked_key_logs_nobody_in(stack: Stack) -> None:
    made = await new_key(stack, "an admin for a while", "admin")
    given = {"authorization": f"Bearer {made['key']}"}
    link = data_of(await stack.http.post("/api/v3/login-links", headers=given))["url"]
    data_of(await stack.http.post(f"/api/v3/keys/{made['id']}/revoke"))
    async with anonymous(stack) as http:
        await http.get(link)

        assert (await http.get("/")).headers["location"].startswith("/login")


async def test_the_command_prints_a_link_that_logs_in(stack: Stack) -> None:
    status, out, err = await called(stack, "login")

    assert (status, "logs in once, within 15 min" in err) == (0, True)
    async with anonymous(stack) as http:
        assert (await http.get(out.strip())).headers["location"] == "/"


async def test_a_server_that_starts_prints_a_link_that_logs_in(own_stack: Stack) -> None:
    greeting = own_stack.up.said()
    (line,) = [line for line in greeting.splitlines() if "Dashboard" in line]
    async with anonymous(own_stack) as http:
        assert (await http.get(line.split()[-1])).headers["location"] == "/"
