"""A whole installation for end-to-end tests: sandbox and orchestrator, as real processes over real HTTP.

`up_stack` is the embedded default, one process on SQLite; `split_stack` is `serve` and workers on PostgreSQL.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from orchestrator.ids import new_api_key
from orchestrator.sandbox.signing import secret_of
from tests.e2e.ledger import Ledger
from tests.e2e.program import Program, answers_at, free_port, until
from tests.services.process import temporary_folder

FLUX = "wavespeed-ai/flux-dev"
PROVIDER_KEY = "provider-key-of-the-tests"
SECRET = "the-secret-of-the-end-to-end-tests"
UNTOLD = (PROVIDER_KEY, secret_of(PROVIDER_KEY), SECRET)
ENDED = ("completed", "failed")
WITHIN_S = 20.0

Json = dict[str, Any]


class Client(httpx.AsyncClient):
    """Reads every answer that is not a stream, and finds none of the server's secrets in it."""

    async def request(self, *args: Any, **kwargs: Any) -> httpx.Response:
        response = await super().request(*args, **kwargs)
        said = f"{response.headers}{response.text}"
        assert not [secret for secret in UNTOLD if secret in said], f"{response.url} tells a secret"
        return response


@dataclass
class Stack:
    """`http` speaks to the orchestrator with the first key, `provider` to the sandbox and its back door."""

    folder: Path
    url: str
    key: str
    sandbox: Program
    sandbox_url: str
    ledger: Ledger
    http: httpx.AsyncClient
    provider: httpx.AsyncClient
    servers: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)

    @property
    def up(self) -> Program:
        """The one process of the embedded default."""
        (program,) = self.servers
        return program

    @property
    def programs(self) -> list[Program]:
        return [*self.servers, *self.workers]

    # What a client does

    async def submit(
        self,
        prompt: str = "a lighthouse",
        *,
        path: str = f"/api/v3/{FLUX}",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> httpx.Response:
        return await self.http.post(
            path, json={"prompt": prompt, **inputs}, headers=headers or {}, params=params or {}
        )

    async def created(self, prompt: str = "a lighthouse", **arguments: Any) -> str:
        """The id of a job that must be taken."""
        return str(data_of(await self.submit(prompt, **arguments))["id"])

    async def job(self, job_id: str) -> Json:
        """The job with its timeline."""
        found: Json = data_of(await self.http.get(f"/api/v3/jobs/{job_id}"))
        return found

    async def act(self, job_id: str, verb: str) -> httpx.Response:
        return await self.http.post(f"/api/v3/jobs/{job_id}/{verb}")

    async def ended(self, job_id: str, *, within: float = WITHIN_S) -> Json:
        """The job once it has ended."""
        return await self._job_in(job_id, ENDED, within=within)

    async def in_phase(self, job_id: str, phase: str, *, within: float = WITHIN_S) -> Json:
        return await self._job_in(job_id, (phase,), within=within)

    async def after_verb(self, job_id: str, verb: str, *, within: float = WITHIN_S) -> Json:
        """The job once this move stands in its timeline: a phase may be over before anybody looks."""

        async def has_moved(job: Json) -> bool:
            return any(event["verb"] == verb for event in job["events"])

        return await self.job_when(job_id, has_moved, within=within, what=f"a {verb}")

    async def _job_in(self, job_id: str, phases: tuple[str, ...], *, within: float) -> Json:
        async def is_there(job: Json) -> bool:
            return job["phase"] in phases

        return await self.job_when(job_id, is_there, within=within, what=" or ".join(phases))

    async def job_when(
        self,
        job_id: str,
        is_so: Callable[[Json], Awaitable[bool]],
        *,
        within: float = WITHIN_S,
        what: str = "it",
    ) -> Json:
        last: Json = {}

        async def look() -> Json | None:
            nonlocal last
            last = await self.job(job_id)
            return last if await is_so(last) else None

        try:
            found = await until(look, within=within, what=f"{what} of job {job_id}")
        except AssertionError as late:
            raise AssertionError(f"{late}: it is {last['phase']}, {story(last)}") from None
        assert found is not None
        return found

    async def hurried(self, job_id: str, *, within: float = WITHIN_S) -> Json:
        """The job once it has ended, with every pause between its steps cut short."""

        async def hurry(job: Json) -> bool:
            if job["phase"] in ENDED:
                return True
            await self.ledger.calm_lanes()
            await self.ledger.end_backoff(job_id)
            await self.ledger.make_check_due(job_id)
            return False

        return await self.job_when(job_id, hurry, within=within, what="the end")

    # What the provider says

    async def tasks(self, job_id: str | None = None) -> list[Json]:
        """The sandbox's bill, of one job or whole; our callback URL tells whose a task is."""
        bill: list[Json] = (await self.provider.get("/control/tasks")).json()["tasks"]
        return [task for task in bill if job_id is None or f"/{job_id}/" in task["webhook"]]

    async def control(self, name: str, **body: Any) -> Json:
        response = await self.provider.post(f"/control/{name}", json=body)
        assert response.status_code == 200, response.text
        told: Json = response.json()
        return told

    async def mend(self) -> None:
        """No scripted fault any more."""
        await self.provider.delete("/control/faults")


def data_of(response: httpx.Response) -> Any:
    """`data` of an answer that must be good."""
    assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
    envelope = response.json()
    assert (envelope["code"], envelope["message"]) == (200, "success")
    return envelope["data"]


def marked(*faults: str) -> str:
    """A prompt of its own with these faults."""
    return f"a lighthouse {uuid.uuid4().hex} [fault: {', '.join(faults)}]"


def story(job: Json) -> str:
    """What happened to a job, in one line."""
    return ", ".join(f"{event['verb']} ({event['because']})" for event in job["events"])


@asynccontextmanager
async def up_stack(*, sandbox: tuple[str, ...] = (), **env: str) -> AsyncIterator[Stack]:
    """`orchestrator up` in its own data directory, beside a sandbox."""
    folder = temporary_folder("e2e")
    async with _opened(folder, f"sqlite:///{folder / 'data' / 'orchestrator.db'}", sandbox, env) as stack:
        port = stack.url.rpartition(":")[2]
        words = ["orchestrator.cli", "up", "--port", port]
        stack.servers.append(_program(stack, "up", words, env))
        await stack.up.start()
        yield stack


@asynccontextmanager
async def split_stack(
    *, database_url: str, redis_url: str, workers: int = 2, sandbox: tuple[str, ...] = (), **env: str
) -> AsyncIterator[Stack]:
    """`orchestrator migrate`, `serve` and some workers."""
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, **env}
    async with _opened(temporary_folder("e2e"), database_url, sandbox, env) as stack:
        await migrate(stack, env)
        port = stack.url.rpartition(":")[2]
        env = {"PUBLIC_URL": stack.url, "ORCHESTRATOR_SECRET": SECRET, **env}
        stack.servers.append(_program(stack, "serve", ["orchestrator.cli", "serve", "--port", port], env))
        stack.workers.extend(_worker(stack, f"worker-{number}", env) for number in range(1, workers + 1))
        for program in stack.programs:
            program.spawn()
        for program in stack.programs:
            await until(program.is_ready, within=30, what=f"{program.name} to start")
        yield stack


async def migrate(stack: Stack, env: Mapping[str, str]) -> None:
    program = _program(stack, "migrate", ["orchestrator.cli", "migrate"], env)
    program.spawn()
    status = await program.ends(within=30)
    assert status == 0, program.said()


def _worker(stack: Stack, name: str, env: Mapping[str, str]) -> Program:
    program = _program(stack, name, ["orchestrator.cli", "worker"], env)

    async def is_ready() -> bool:
        assert program.running is None or program.running.poll() is None, program.said()
        return "worker.started" in program.said()[program.read_from :]

    program.is_ready = is_ready
    return program


def _program(stack: Stack, name: str, words: list[str], env: Mapping[str, str]) -> Program:
    settings = {
        "ORCHESTRATOR_DATA_DIR": str(stack.folder / "data"),
        "ORCHESTRATOR_API_KEY": stack.key,
        "WAVESPEED_BASE_URL": stack.sandbox_url,
        "WAVESPEED_API_KEY": PROVIDER_KEY,
        "WAVESPEED_TIER": "ultra",
        **env,
    }
    return Program(name, words, stack.folder, answers_at(f"{stack.url}/health"), settings)


@asynccontextmanager
async def _opened(
    folder: Path, database_url: str, options: tuple[str, ...], env: Mapping[str, str]
) -> AsyncIterator[Stack]:
    port, sandbox_port = free_port(), free_port()
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    words = ["orchestrator.sandbox", "--port", str(sandbox_port), "--backoff", "0.2"]
    words += options or ("--tier", "none", "--duration", "0.02")
    sandbox = Program("sandbox", words, folder, answers_at(f"{sandbox_url}/control/stats"))
    key, ledger = new_api_key(), Ledger(database_url)
    headers = {"authorization": f"Bearer {key}"}
    async with (
        Client(base_url=url, headers=headers, timeout=100) as http,
        httpx.AsyncClient(base_url=sandbox_url, timeout=30) as provider,
    ):
        stack = Stack(folder, url, key, sandbox, sandbox_url, ledger, http, provider)
        try:
            await sandbox.start()
            yield stack
        finally:
            for program in [*stack.programs, sandbox]:
                program.discard()
            await ledger.close()
