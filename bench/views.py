"""How long each view takes over a million jobs, on both databases, and the first page in a real browser."""

from __future__ import annotations

import os
import secrets
import tempfile
import time

import httpx

from bench.figures import Figure, quantile
from bench.first_look import first_look
from bench.generated import generate
from bench.stack import KEY, sandbox, up
from tests.services.postgres import create_database, start_postgres

JOBS = int(os.environ.get("BENCH_JOBS", "1000000"))
_LOOKS = 25
_MOST_MS = 100.0
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
    with (
        sandbox() as provider,
        up(provider.url, DATABASE_URL=url) as server,
        httpx.Client(
            base_url=server.url, headers=_KEY, cookies={"orchestrator_session": token}, timeout=30
        ) as client,
    ):
        paths = [*VIEWS, *_details(client)]
        figures = [_figure(client, name, path) for path in paths]
        return [*figures, *await first_look(name, server.url, token)]


def _details(client: httpx.Client) -> list[str]:
    """A job's page and a batch's page."""
    job = client.get("/api/v3/jobs?limit=1&status=completed").json()["data"]["items"][0]["id"]
    batch = client.get("/api/v3/batches?limit=1").json()["data"]["items"][0]["id"]
    return [f"/jobs/{job}", f"/batches/{batch}"]


def _figure(client: httpx.Client, name: str, path: str) -> Figure:
    took = []
    client.get(path)
    for _ in range(_LOOKS):
        began = time.perf_counter()
        response = client.get(path)
        took.append(1_000 * (time.perf_counter() - began))
        if response.status_code != 200:
            raise RuntimeError(f"{path} answered {response.status_code}: {response.text[:300]}")
    kind = path if "/jobs/" not in path and "/batches/" not in path else path.rpartition("/")[0] + "/ID"
    size = f"{len(response.content) / 1_000:.0f} kB"
    return Figure(
        f"{name} {kind}", quantile(took, 0.95), " ms", at_most=_MOST_MS, note=f"p95 of {_LOOKS}, {size}"
    )
