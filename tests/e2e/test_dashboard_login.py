"""Who gets in to the dashboard, what each may do there, and how a session ends."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from orchestrator.web.dashboard.routes import DASHBOARD
from tests.e2e.logged_in import anonymous, logged_in, new_key, notice_of
from tests.e2e.stack import Stack, data_of, up_stack

# What every tenant's jobs depend on, or what leads its events elsewhere, takes an admin.
ADMINISTERED = ("/jobs/none/resolve", "/keys", "/endpoints", "/lanes", "/accounts", "/fairness")
GATE = ("/login", "/logout")
REFUSED = "Your key may not do that"
ELSEWHERE = [
    "//evil.example",
    "//[",
    "/\\[",
    "https://evil.example/",
    "/\\evil.example",
    "javascript:alert(1)",
    "evil",
    "",
]


def actions() -> list[str]:
    """The path of every form of the dashboard."""
    posts = [one for one in DASHBOARD if isinstance(one, Route) and "POST" in (one.methods or ())]
    return [re.sub(r"\{[^}]*\}", "none", one.path) for one in posts if one.path not in GATE]


def kept(response: httpx.Response) -> dict[str, tuple[Any, ...]]:
    """The cookies by name: HttpOnly, SameSite, Secure, path and domain of each."""
    found = SimpleCookie("\r\n".join(response.headers.get_list("set-cookie")))
    flags = ("httponly", "samesite", "secure", "path", "domain")
    return {name: tuple(cookie[flag] for flag in flags) for name, cookie in found.items()}


@pytest.mark.parametrize("key", ["", "wrong", "orc_" + "0" * 38, "orc_é", "\0"])
async def test_a_wrong_key_does_not_get_in(stack: Stack, key: str) -> None:
    async with anonymous(stack) as http:
        refused = await http.post("/login", data={"key": key})

        assert refused.status_code == 401
        assert kept(refused) == {}
        assert "unknown, expired or revoked" in refused.text


async def test_pages_lead_to_the_login_and_from_there_to_where_one_wanted_to_be(stack: Stack) -> None:
    async with anonymous(stack) as http:
        page = await http.get("/batches?before=1")
        assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fbatches%3Fbefore%3D1")

        entered = await http.post("/login", data={"key": stack.key, "next": "/batches?before=1"})

        assert (entered.status_code, entered.headers["location"]) == (303, "/batches?before=1")


@pytest.mark.parametrize("wanted", ELSEWHERE)
async def test_neither_the_login_nor_an_action_leads_to_another_server(stack: Stack, wanted: str) -> None:
    async with anonymous(stack) as http:
        entered = await http.post("/login", data={"key": stack.key, "next": wanted})
        assert entered.headers["location"] == "/"
    async with logged_in(stack) as me:
        done = await me.act("/batches/none/pause", back=wanted)
        assert done.headers["location"] == "/"


async def test_a_session_ends_with_its_key(stack: Stack) -> None:
    made = await new_key(stack, "ends with its key", "read")
    async with logged_in(stack, made["key"]) as me:
        assert (await me.http.get("/batches")).status_code == 200

        data_of(await stack.http.post(f"/api/v3/keys/{made['id']}/revoke"))

        assert (await me.http.get("/batches")).headers["location"].startswith("/login")
        assert (await me.http.get("/live")).status_code == 401


async def test_a_session_ends_with_the_logout_which_only_its_own_page_can_ask_for(stack: Stack) -> None:
    async with logged_in(stack) as me:
        kept = dict(me.http.cookies)
        assert (await me.http.post("/logout")).status_code == 403
        assert (await me.http.get("/batches")).status_code == 200

        assert (await me.act("/logout")).headers["location"] == "/login"

        me.http.cookies.update(kept)
        assert (await me.http.get("/batches")).status_code == 303


async def test_a_form_that_no_page_of_the_session_gave_is_refused(stack: Stack) -> None:
    async with logged_in(stack) as me, logged_in(stack) as other:
        for csrf in ("", "0" * 64, other.csrf, "é"):
            refused = await me.http.post(
                "/batches/none/pause", data={"csrf": csrf}, headers={"referer": "http://["}
            )
            assert (refused.status_code, "out of date" in refused.text) == (403, True)
        cross = {"sec-fetch-site": "cross-site"}
        from_elsewhere = await me.http.post("/batches/none/pause", data={"csrf": me.csrf}, headers=cross)
        assert from_elsewhere.status_code == 403


async def test_a_form_that_is_too_long_is_cut_off(stack: Stack) -> None:
    async with logged_in(stack) as me:
        for form in ({"data": {"reason": "x" * 1_100_000}}, {"files": {"file": b"x" * 1_100_000}}):
            refused = await me.http.post("/batches/none/pause", **form)
            assert (refused.status_code, "1 MB at most" in refused.text) == (413, True)


async def test_a_key_that_may_not_read_does_not_get_in(stack: Stack) -> None:
    made = await new_key(stack, "sends alone", "submit")
    async with anonymous(stack) as http:
        refused = await http.post("/login", data={"key": made["key"]})
        assert (refused.status_code, kept(refused)) == (403, {})


@pytest.mark.parametrize("scope", ["read", "submit"])
async def test_every_action_asks_for_its_role(stack: Stack, scope: str) -> None:
    made = await new_key(stack, f"only {scope}", *{"read", scope})
    async with logged_in(stack, made["key"]) as me:
        for path in actions():
            answer = await me.act(path)
            must_refuse = scope == "read" or path.startswith(ADMINISTERED)
            assert (_is_refused(answer), path) == (must_refuse, path)
        for path, least in (("/new", "submit"), ("/new/batch", "submit"), ("/keys", "admin")):
            status = 200 if scope == least else 403
            assert ((await me.http.get(path)).status_code, path) == (status, path)
    done = await stack.ledger.rows(
        "SELECT action FROM audit WHERE actor = :actor", actor=f"dashboard, key {made['id']}"
    )
    assert done == []


def _is_refused(answer: httpx.Response) -> bool:
    if answer.status_code == 403:
        return True
    return answer.status_code == 303 and REFUSED in notice_of(answer)


async def test_another_tenants_batch_and_endpoint_are_not_there(stack: Stack) -> None:
    batch = data_of(
        await stack.http.post("/api/v3/batches", json={"model": "m/x", "inputs": [{"prompt": "x"}]})
    )
    data_of(await stack.http.post("/api/v3/tenants", json={"name": "stranger"}))
    made = await stack.http.post(
        "/api/v3/keys", json={"name": "s", "tenant": "stranger", "scopes": ["admin", "submit", "read"]}
    )
    async with logged_in(stack, data_of(made)["key"]) as me:
        assert (await me.http.get(f"/batches/{batch['id']}")).status_code == 404
        assert (await me.http.get(f"/batches/{batch['id']}/results")).status_code == 404
        assert "no such batch" in notice_of(await me.act(f"/batches/{batch['id']}/cancel"))
        assert batch["id"] not in (await me.http.get("/batches")).text
        assert stack.key[:12] not in (await me.http.get("/keys")).text
    async with logged_in(stack) as operator:
        assert (await operator.http.get(f"/batches/{batch['id']}")).status_code == 200


async def test_the_cookie_of_plain_http_is_kept_from_scripts_and_from_other_sites(stack: Stack) -> None:
    async with anonymous(stack) as http:
        entered = await http.post("/login", data={"key": stack.key})

    assert kept(entered) == {"orchestrator_session": (True, "lax", "", "/", "")}


async def test_plain_http_from_another_machine_logs_nobody_in(stack: Stack) -> None:
    async with anonymous(stack, host="10.1.2.3:8080") as http:
        refused = await http.post("/login", data={"key": stack.key})

        assert (refused.status_code, kept(refused)) == (403, {})
        assert "pass the header Host on" in refused.text
        assert "ORCHESTRATOR_PLAIN_LOGIN" in refused.text


async def test_behind_https_the_cookie_is_bound_to_the_host_and_to_https() -> None:
    async with (
        up_stack(PUBLIC_URL="https://orchestrator.example") as stack,
        anonymous(stack, host="orchestrator.example") as http,
    ):
        entered = await http.post("/login", data={"key": stack.key})

        assert kept(entered) == {"__Host-orchestrator": (True, "lax", True, "/", "")}
        assert "Dashboard https://orchestrator.example/login/" in stack.up.said()


async def test_where_the_operator_allows_it_plain_http_logs_in_and_says_what_it_means() -> None:
    async with (
        up_stack(ORCHESTRATOR_PLAIN_LOGIN="true") as stack,
        anonymous(stack, host="10.1.2.3:8080") as http,
    ):
        assert (await http.post("/login", data={"key": stack.key})).status_code == 303

        assert "your session can be read on the way" in (await http.get("/")).text


async def test_a_stand_in_without_tls_may_show_its_pictures_by_its_name_here_too(stack: Stack) -> None:
    page = await stack.http.get("/login")
    rules = dict(one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";"))
    own = stack.sandbox_url
    assert rules["img-src"] == f"'self' data: https: {own} {own.replace('127.0.0.1', 'localhost')}"
