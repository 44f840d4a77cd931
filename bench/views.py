"""How long each view takes over a million jobs, on both databases, and the first page in a real browser.

A backlog of 4,800 jobs stands behind a lane of one a second; the first page is looked at again while the
backlog is sent as fast as it can be, which takes all of the machine.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time

import httpx

from bench.figures import Figure, median, quantile
from bench.first_look import first_look
from bench.generated import generate
from bench.stack import KEY, sandbox, up
from tests.services.postgres import create_database, start_postgres

JOBS = int(os.environ.get("BENCH_JOBS", "1000000"))
_LOOKS = 25
_MOST_MS = 100.0
_RESTING = {"WAVESPEED_PER_MINUTE": "60"}
VIEWS = (
    *(
        "/",
        "/?period=7d",
        "/lanes",
        "/callbacks",
        "/fairness",
        "/system",
        "/deliveries",
        "/deliveries?state=dead",
    ),
    *("/jobs", "/jobs?phase=failed", "/jobs?phase=ready", "/jobs?phase=completed", "/jobs?q=lighthouse"),
    *("/jobs?model=wavespeed-ai/flux-dev", "/jobs?fingerprint=kind-3", "/dead-letters", "/batches"),
    *("/keys", "/endpoints", "/new", "/actions", "/metrics"),
)
_KEY = {"authorization": f"Bearer {KEY}"}


async def views() -> list[Figure]:
    """The slowest twentieth of each view's looks."""
    with tempfile.TemporaryDirectory() as folder:
        figures = await _measured("SQLite", f"sqlite:///{folder}/orchestrator.db")
    server = start_postgres()
    try:
        figures += await _measured("PostgreSQL", create_database(server.url))
    finally:
        server.stop()
    return figures


async def _measured(name: str, url: str) -> list[Figure]:
    token = secrets.token_urlsafe(32)
    await generate(url, jobs=JOBS, api_key=KEY, token=token)
    with sandbox() as provider:
        with up(provider.url, DATABASE_URL=url, **_RESTING) as server, _client(server.url, token) as client:
            figures = [_figure(client, name, path) for path in (*VIEWS, *_details(client))]
            figures += await first_look(name, server.url, token)
        with up(provider.url, DATABASE_URL=url) as server, _client(server.url, token) as client:
            figures.append(_while_sending(client, name))
    return figures


def _client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=_KEY, cookies={"orchestrator_session": token}, timeout=30)


def _details(client: httpx.Client) -> list[str]:
    """A job's page and a batch's page."""
    job = client.get("/api/v3/jobs?limit=1&status=completed").json()["data"]["items"][0]["id"]
    batch = client.get("/api/v3/batches?limit=1").json()["data"]["items"][0]["id"]
    return [f"/jobs/{job}", f"/batches/{batch}"]


def _figure(client: httpx.Client, name: str, path: str) -> Figure:
    client.get(path)
    took, size = _looks(client, path)
    kind = path if "/jobs/" not in path and "/batches/" not in path else path.rpartition("/")[0] + "/ID"
    note = f"p95 of {_LOOKS}, {size / 1_000:.0f} kB"
    return Figure(f"{name} {kind}", quantile(took, 0.95), " ms", at_most=_MOST_MS, note=note)


def _while_sending(client: httpx.Client, name: str) -> Figure:
    took, _ = _looks(client, "/")
    if not client.get("/api/v3/lanes").json()["data"]["phases"]["ready"]:
        raise RuntimeError("the backlog was sent before the last look")
    note = f"p95 of {_LOOKS}, half within {median(took):.0f} ms"
    return Figure(f"{name} / while the backlog is sent", quantile(took, 0.95), " ms", note=note)


def _looks(client: httpx.Client, path: str) -> tuple[list[float], int]:
    """How long each took in ms, and the bytes of the last."""
    took = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        response = client.get(path)
        took.append(1_000 * (time.perf_counter() - began))
        if response.status_code != 200:
            raise RuntimeError(f"{path} answered {response.status_code}: {response.text[:300]}")
    return took, len(response.content)
