"""The questions about batches that the server answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from orchestrator.cli.bulk.answers import Batch, DryRun, Page, Retrying
from orchestrator.cli.client import Client

_ALL = "/api/v3/batches"
# The server stores lines while it reads them, and answers when the last one is stored.
_SEND_TIMEOUT = httpx.Timeout(300.0, connect=5.0)
_CHUNK = 64 * 1024

Params = Mapping[str, str]


@dataclass(frozen=True)
class Created:
    """A batch with all of its lines; `is_replayed` when it was there before."""

    batch: Batch
    is_replayed: bool


class Batches:
    """One method for each question; raises what `failures` lists."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, lines: Iterable[bytes], params: Params, *, key: str) -> Created:
        """All lines stored when this returns; the same again is the same batch."""
        response = self._send(lines, params, {"idempotency-key": key})
        is_replayed = response.headers.get("idempotent-replayed") == "true"
        return Created(self._client.data_of(response, Batch), is_replayed)

    def try_out(self, lines: Iterable[bytes], params: Params) -> DryRun:
        """What is wrong with the lines; nothing is stored."""
        return self._client.data_of(self._send(lines, {**params, "dry_run": "true"}, {}), DryRun)

    def read(self, batch_id: str) -> Batch:
        return self._client.ask(Batch, "GET", f"{_ALL}/{batch_id}")

    def newest(self, *, limit: int) -> list[Batch]:
        return self._client.ask(Page, "GET", _ALL, params={"limit": limit}).items

    def act(self, batch_id: str, verb: str) -> Batch:
        """`cancel`, `pause` or `resume`."""
        return self._client.ask(Batch, "POST", f"{_ALL}/{batch_id}/{verb}")

    def retry_failed(self, batch_id: str, *, fingerprint: str) -> Retrying:
        """All failed jobs, or those that failed alike."""
        params = {"fingerprint": fingerprint} if fingerprint else {}
        return self._client.ask(Retrying, "POST", f"{_ALL}/{batch_id}/retry-failed", params=params)

    def results(self, batch_id: str, *, form: str, after: int = 0) -> Iterator[bytes]:
        """`jsonl` or `csv`, a line at a time, from the one behind this place on."""
        params = {"format": form, **({"after": after} if after else {})}
        return self._client.stream(f"{_ALL}/{batch_id}/results", params=params)

    def _send(self, lines: Iterable[bytes], params: Params, headers: Mapping[str, str]) -> httpx.Response:
        return self._client.respond(
            "POST",
            _ALL,
            params=params,
            content=_chunks(lines),
            headers={"content-type": "application/x-ndjson", **headers},
            timeout=_SEND_TIMEOUT,
        )


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Many short lines at a time: each chunk costs a system call here and there."""
    chunk = bytearray()
    for line in lines:
        chunk += line + b"\n"
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
