"""A stand-in for the server, for what a real one cannot be made to do on request: break off, be busy, forget.

It keeps batches as the contract says, ends every job at once, and records what it was sent.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from orchestrator.ids import new_id

Json = dict[str, Any]
CREATED_AT = "2026-01-02T03:04:00.000Z"


@dataclass
class BatchServer:
    """`faults` are used up from the front, one a request that sends lines.

    An int is an answer with this status, 0 a connection that breaks off. `bodies` and `keys` are those of
    every request that sent lines and was read to its end.
    """

    url: str = ""
    faults: list[int] = field(default_factory=list)
    troubles: dict[str, list[int]] = field(default_factory=dict)
    """By `look`, `results` and `upload`, the statuses that the next of them are answered with."""
    bodies: list[list[bytes]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    uploading: threading.Event = field(default_factory=threading.Event)
    may_upload: threading.Event = field(default_factory=threading.Event)
    """Set unless a test keeps uploads waiting for their answer."""
    params: Json = field(default_factory=dict)
    batches: dict[str, Json] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    results_cut_at: int = 0
    """The stream of results breaks off behind this line, once."""
    downloads: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    """What a batch's next looks say before it has ended."""
    looked_at: threading.Event = field(default_factory=threading.Event)

    async def create(self, request: Request) -> Response:
        body = await request.body()
        self.params = dict(request.query_params)
        if self.faults:
            return fault(self.faults.pop(0))
        lines = body.splitlines()
        self.bodies.append(lines)
        bad = [problem for number, line in enumerate(lines, 1) if (problem := wrong(number, line))]
        if self.params.get("dry_run"):
            total = sum(map(bool, lines))
            report = {"total": total, "accepted": total - len(bad), "rejected": bad, "dry_run": True}
            return good(report)
        if bad and self.params.get("mode") != "partial":
            message = f"{len(bad)} of {len(lines)} lines are wrong; nothing was stored."
            return JSONResponse({"code": 400, "message": message, "errors": bad}, 400)
        return self._stored(request.headers["idempotency-key"], lines, bad)

    def _stored(self, key: str, lines: list[bytes], bad: list[Json]) -> Response:
        self.keys.append(key)
        if key in self.by_key:
            return good(self.batches[self.by_key[key]], {"idempotent-replayed": "true"})
        batch_id = new_id(1_767_323_040_000)
        wrong_lines = {problem["line"] for problem in bad}
        jobs = [
            ended(number, json.loads(line), self.url)
            for number, line in enumerate(lines, 1)
            if line and number not in wrong_lines
        ]
        failed = sum(job["status"] == "failed" for job in jobs)
        self.batches[batch_id] = {
            "id": batch_id,
            "name": self.params.get("name", ""),
            "state": "completed",
            "created_at": CREATED_AT,
            "finished_at": CREATED_AT,
            "total": len(jobs),
            "rejected_lines": len(bad),
            "rejected": bad,
            "counts": {"created": 0, "processing": 0, "completed": len(jobs) - failed, "failed": failed},
            "progress": 1.0,
            "failures": [failure(failed)] if failed else [],
            "jobs": jobs,
        }
        self.by_key[key] = batch_id
        return good(self.batches[batch_id])

    async def listed(self, _request: Request) -> Response:
        return good({"items": list(self.batches.values())[::-1]})

    async def one(self, request: Request) -> Response:
        if status := self._trouble("look"):
            return fault(status)
        found = self.batches[request.path_params["id"]]
        state = self.states.pop(0) if self.states else found["state"]
        self.looked_at.set()
        return good({**found, "state": state})

    async def act(self, request: Request) -> Response:
        found = self.batches[request.path_params["id"]]
        verb = request.path_params["verb"]
        self.params = {"verb": verb, **request.query_params}
        return good({**found, "retrying": 1} if verb == "retry-failed" else found)

    async def results(self, request: Request) -> Response:
        if status := self._trouble("results"):
            return fault(status)
        found = self.batches[request.path_params["id"]]
        after = int(request.query_params.get("after", "0"))

        async def stream() -> AsyncIterator[bytes]:
            for job in found["jobs"]:
                if job["line"] > after:
                    yield json.dumps(job).encode() + b"\n"
                if self.results_cut_at and job["line"] == self.results_cut_at:
                    self.results_cut_at = 0
                    raise ConnectionError

        return StreamingResponse(stream(), media_type="application/x-ndjson")

    async def upload(self, request: Request) -> Response:
        async with request.form() as form:
            content = await form["file"].read()  # type: ignore[union-attr]  # a file, not a text
        if status := self._trouble("upload"):
            return fault(status)
        self.uploads.append(content)
        url = f"{self.url}/uploaded/{len(self.uploads)}.png"
        self.uploading.set()
        await asyncio.to_thread(self.may_upload.wait)
        return good({"download_url": url})

    def _trouble(self, what: str) -> int:
        statuses = self.troubles.get(what)
        return statuses.pop(0) if statuses else 0

    async def output(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.downloads.append(name)
        return Response(status_code=404) if "lost" in name else Response(name.encode())


def wrong(number: int, line: bytes) -> Json | None:
    if not line:
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return {"line": number, "custom_id": None, "field": None, "message": "is not valid JSON"}
    if value.get("input", {}).get("seed") == "many":
        return {
            "line": number,
            "custom_id": value.get("custom_id"),
            "field": "input.seed",
            "message": "must be an integer",
        }
    return None


def ended(number: int, line: Json, url: str) -> Json:
    """By its prompt: `fail` fails, `two` has two outputs, and that of `lost` is gone."""
    prompt = str(line["input"].get("prompt", ""))
    name = "lost" if prompt == "lost" else f"{number}"
    outputs = [f"{url}/outputs/{name}-{part}.png" for part in range(2 if prompt == "two" else 1)]
    is_failed = prompt == "fail"
    return {
        "line": number,
        "custom_id": line.get("custom_id"),
        "id": f"job-{number}",
        "status": "failed" if is_failed else "completed",
        "outputs": [] if is_failed else outputs,
    }


def failure(count: int) -> Json:
    return {
        "fingerprint": "0f3a",
        "reason": "rejected",
        "message": "The content was flagged.",
        "count": count,
    }


def fault(status: int) -> Response:
    if status:
        return JSONResponse({"code": status, "message": "Not now."}, status, {"retry-after": "1"})

    async def breaking_off() -> AsyncIterator[bytes]:
        yield b"{"
        raise ConnectionError

    return StreamingResponse(breaking_off())


def good(data: Any, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"code": 200, "message": "success", "data": data}, headers=headers)


@contextmanager
def running_batch_server() -> Iterator[BatchServer]:
    server = BatchServer()
    server.may_upload.set()
    routes = [
        Route("/api/v3/batches", server.create, methods=["POST"]),
        Route("/api/v3/batches", server.listed),
        Route("/api/v3/batches/{id}", server.one),
        Route("/api/v3/batches/{id}/results", server.results),
        Route("/api/v3/batches/{id}/{verb}", server.act, methods=["POST"]),
        Route("/api/v3/media/upload/binary", server.upload, methods=["POST"]),
        Route("/outputs/{name}", server.output),
    ]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="critical", lifespan="off")
    runner = uvicorn.Server(config)
    listener = config.bind_socket()
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=runner.run, args=([listener],))
    thread.start()
    try:
        yield server
    finally:
        server.may_upload.set()
        runner.should_exit = True
        thread.join()
