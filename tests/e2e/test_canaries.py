"""Secrets that were planted for it are in no log, no answer and no table, whatever happened to the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from orchestrator.ids import new_api_key
from orchestrator.tables import metadata
from tests.e2e.canaries import ITS_OWN_COLUMNS, check_logs_and_tables, found_in, secrets_of
from tests.e2e.hooked import path_of
from tests.e2e.logged_in import logged_in
from tests.e2e.program import free_port, until
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.stack import FLUX, Stack, data_of, marked, split_stack, up_stack

PROVIDER_KEY = "canary-provider-key-0b8f4c1d"
SECRET = "canary-secret-of-the-orchestrator-5e7a9d30"
QUERY_TOKEN = "canary-query-token-77c2"
PASSWORD = "canary-password-19fe"
WRONG_KEY = new_api_key()


class Heard:
    """Every answer of the server, as it came; `given` are the secrets that some others may have told."""

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.answers: list[str] = []

    async def note(self, response: httpx.Response) -> None:
        await response.aread()
        self.answers.append(f"{response.status_code}, {response.headers}: {response.text}")


@asynccontextmanager
async def planted(
    port: int, open_stack: Callable[..., Any], **where: Any
) -> AsyncIterator[tuple[Stack, Receiver, Heard]]:
    env = {
        "WAVESPEED_API_KEY": PROVIDER_KEY,
        "ORCHESTRATOR_SECRET": SECRET,
        "ORCHESTRATOR_ALLOW_NETWORKS": "127.0.0.1/32",
        "ORCHESTRATOR_ALLOW_HTTP": "true",
        "ORCHESTRATOR_ALLOW_PORTS": str(port),
    }
    async with receiving(port) as receiver, open_stack(**where, **env) as stack:
        heard = Heard(await given(stack, receiver))
        stack.http.event_hooks = {"response": [heard.note]}
        yield stack, receiver, heard


async def given(stack: Stack, receiver: Receiver) -> dict[str, str]:
    """What signs webhooks, before and after a rotation, and what one is logged in with."""
    wanted = {"url": receiver.url + path_of("404,200"), "events": ["job.completed", "batch.completed"]}
    made = data_of(await stack.http.post("/api/v3/endpoints", json=wanted))
    again = data_of(await stack.http.post(f"/api/v3/endpoints/{made['id']}/rotate-secret"))
    of_jobs = data_of(await stack.http.get("/api/v3/webhook/secret"))
    signing = {
        name: told["secret"].removeprefix("whsec_")
        for name, told in {"an old secret": made, "a secret": again, "the secret of jobs": of_jobs}.items()
    }
    async with logged_in(stack) as person:
        (session,) = person.http.cookies.values()
        return signing | {"a session": session, "the token of its forms": person.csrf}


async def live(stack: Stack, receiver: Receiver) -> list[str]:
    """A day in the life of a server; answers the jobs."""
    paths = [path_of("200"), path_of("500,200"), path_of("410"), path_of("302")]
    hooks = [f"{receiver.url}{path}?token={QUERY_TOKEN}" for path in paths]
    ids = [await stack.created(webhook=hook) for hook in hooks]
    dead = f"http://127.0.0.1:{free_port()}/?token={QUERY_TOKEN}"
    ids += [await stack.created(marked(fault), webhook=hooks[0]) for fault in TROUBLES]
    refused = [
        f"http://user:{PASSWORD}@127.0.0.1/",
        f"https://:{PASSWORD}/?token={QUERY_TOKEN}",
        f"http://[{PASSWORD}]/",
        dead,
    ]
    for url in refused:
        assert (await stack.submit(webhook=url)).status_code == 400
    await stack.http.post(
        "/api/v3/batches",
        json={"model": FLUX, "inputs": [{"prompt": "a"}], "webhook": hooks[0], "job_webhook": hooks[1]},
    )
    ended = await asyncio.gather(*(stack.hurried(job_id) for job_id in ids))
    await receiver.wait_for(paths[1], 1)
    await ask_around(stack, [job["id"] for job in ended])
    return ids


TROUBLES = ["answer=drop", "callback=forged", "callback=unsigned", "busy=1", "fail=1200", "answer=garbage"]


async def ask_around(stack: Stack, ids: list[str]) -> None:
    """What can be read, and what is refused."""
    for path in ("jobs", "dead-letters", "deliveries", "lanes", "batches", "keys", "tenants", "balance"):
        await stack.http.get(f"/api/v3/{path}")
    for job_id in ids:
        await stack.http.get(f"/api/v3/predictions/{job_id}/result")
    (delivery, *_) = data_of(await stack.http.get("/api/v3/deliveries"))["items"]
    await stack.http.get(f"/api/v3/deliveries/{delivery['id']}")
    wrong = {"authorization": f"Bearer {WRONG_KEY}"}
    assert (await stack.http.get("/api/v3/jobs", headers=wrong)).status_code == 401
    (task, *_) = await stack.tasks(ids[0])
    callback = task["webhook"].removeprefix(stack.url)
    assert (await stack.http.post(callback, content=b"{}")).status_code == 200
    assert (await stack.http.post(f"{callback}x", content=b"{}")).status_code == 401


async def canaries(stack: Stack) -> dict[str, str]:
    """By what they are."""
    return await secrets_of(stack, provider_key=PROVIDER_KEY, secret=SECRET) | {
        "another's API key": WRONG_KEY,
        "the token in a webhook's query": QUERY_TOKEN,
        "the password in a webhook": PASSWORD,
    }


async def check(stack: Stack, heard: Heard) -> None:
    secrets = await canaries(stack) | heard.given
    assert len(secrets) > len(TROUBLES) + len(heard.given)
    await check_logs_and_tables(stack, secrets)
    assert [(answer[:300], bad) for answer in heard.answers if (bad := found_in(answer, secrets))] == []


async def test_nothing_gives_a_secret_away_in_processes_that_log_json(
    new_postgres_database: Callable[[], str], new_valkey_url: Callable[[], str]
) -> None:
    where = {"database_url": new_postgres_database(), "redis_url": new_valkey_url()}
    async with planted(free_port(), split_stack, **where) as (stack, receiver, heard):
        await live(stack, receiver)
        await check(stack, heard)
        assert '"level": "info"' in "".join(program.said() for program in stack.programs)


async def test_nothing_gives_a_secret_away_on_a_terminal() -> None:
    async with planted(free_port(), up_stack) as (stack, receiver, heard):
        await stack.up.stop()
        stack.up.words = ["tests.e2e.on_terminal", *stack.up.words]
        await stack.up.start()
        await live(stack, receiver)
        await check(stack, heard)

        async def has_spoken_to_people() -> bool:
            return "\x1b[" in stack.up.said()

        await until(has_spoken_to_people, what="colours")


def test_a_secret_would_be_found() -> None:
    assert found_in(f"… {SECRET} …", {"our secret": SECRET, "another": "x-x-x"}) == ["our secret"]


@pytest.mark.parametrize("where", sorted(ITS_OWN_COLUMNS))
def test_the_columns_that_are_left_out_exist(where: tuple[str, str]) -> None:
    table, column = where
    assert column in metadata.tables[table].columns
