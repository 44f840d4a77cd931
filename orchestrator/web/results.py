"""The results of a batch as one long answer, JSONL or CSV, in the order of its lines, also while it runs."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from orchestrator.errors import InvalidInput
from orchestrator.flow import batch as flow
from orchestrator.runtime import Runtime
from orchestrator.store import batch_lines
from orchestrator.store.batch_lines import Wanted
from orchestrator.store.views import Found
from orchestrator.web.batches import AFTER, STATUS
from orchestrator.web.context import Context
from orchestrator.web.query import Choice, Switch

FORMAT = Choice("format", "JSONL, or CSV for a spreadsheet.", ("jsonl", "csv"), default="jsonl")
INCLUDE_INPUTS = Switch("include_inputs", "With the `input` of each line, in JSONL.")
_AT_A_TIME = 200
# An input may have 10 MB.
_FEW_AT_A_TIME = 10
_COLUMNS = ("line", "custom_id", "id", "model", "status", "outputs", "error", "reason", "seconds")
_encoder = msgspec.json.Encoder()


async def results(request: Request) -> Response:
    """GET /api/v3/batches/{id}/results?format=&status=&after=&include_inputs=."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    return await results_of(request, key.tenant_id)


async def results_of(
    request: Request, tenant_id: str | None, *, headers: Mapping[str, str] | None = None
) -> Response:
    """For whoever may see this tenant's batches; all of them, with None. Raises NotFound and InvalidInput."""
    here = Context.of(request)
    batch = await flow.find(here.runtime, tenant_id, request.path_params["id"])
    form = FORMAT.read(request) or "jsonl"
    with_input = INCLUDE_INPUTS.read(request)
    if with_input and form != "jsonl":
        raise InvalidInput("include_inputs", "goes with format=jsonl")
    wanted = Wanted(
        batch_id=batch.id,
        after=AFTER.read(request),
        most=_FEW_AT_A_TIME if with_input else _AT_A_TIME,
        state=STATUS.read(request),
        with_input=with_input,
    )
    media_type, head, write = _FORMS[form]
    return StreamingResponse(
        _stream(here.runtime, wanted, head, write), media_type=media_type, headers=headers
    )


async def _stream(
    runtime: Runtime, wanted: Wanted, head: bytes, write: Callable[[Sequence[dict[str, Any]]], bytes]
) -> AsyncIterator[bytes]:
    """Short pages, each a question of its own: nothing is held open while the client reads."""
    if head:
        yield head
    while True:
        found = await runtime.store.read(batch_lines.read, wanted=wanted)
        if found:
            yield write([_line(one, with_input=wanted.with_input) for one in found])
        if len(found) < wanted.most:
            return
        await asyncio.sleep(0)  # on SQLite nothing here waits: let the others have their turn
        wanted = msgspec.structs.replace(wanted, after=found[-1].job.line or 0)


def _line(found: Found, *, with_input: bool) -> dict[str, Any]:
    job, ending = found.job, found.ending
    result = ending.result if ending else None
    error = ending.error if ending else None
    told = {
        "line": job.line,
        "custom_id": job.custom_id or "",
        "id": job.id,
        "model": job.model,
        "status": job.public_state,
        "outputs": result.outputs if result else [],
        "error": error.message if error and job.reason else "",
        "reason": str(job.reason or ""),
        "seconds": None if job.finished_at is None else (job.finished_at - job.created_at) / 1_000,
    }
    return told | {"input": msgspec.Raw(found.input.encode())} if with_input else told


def _jsonl(lines: Sequence[dict[str, Any]]) -> bytes:
    return _encoder.encode_lines(lines)


def _csv(lines: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for line in lines:
        outputs = " ".join(_plain(output) for output in line["outputs"])
        writer.writerow([_cell(outputs if name == "outputs" else line[name]) for name in _COLUMNS])
    return text.getvalue().encode()


def _plain(output: Any) -> str:
    return output if isinstance(output, str) else _encoder.encode(output).decode()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


_FORMS = {
    "jsonl": ("application/x-ndjson", b"", _jsonl),
    "csv": ("text/csv", (",".join(_COLUMNS) + "\r\n").encode(), _csv),
}
