"""The routes for bulk work."""

from __future__ import annotations

from typing import Any

from orchestrator.errors import BadLines, BeingSent, Conflict, TooMany
from orchestrator.web import batches, results
from orchestrator.web.query import BEFORE, IDEMPOTENCY_KEY
from orchestrator.web.reference import bodies
from orchestrator.web.reference.endpoint import Body, Either, Endpoint, Group, Lines, Plain
from orchestrator.web.reference.shapes import batches as shapes
from orchestrator.web.reference.shapes.problems import ProblemOfLines

_NDJSON = "application/x-ndjson"
_ORDERS = (
    ("pause", "Pause a batch", "Nothing more is sent; what is at the provider goes on."),
    ("resume", "Resume a batch", ""),
    (
        "cancel",
        "Cancel a batch",
        "What was not sent ends now; what is at the provider ends as it ends, and is not tried again.",
    ),
)

GROUP = Group(
    "Batches",
    "Up to 100,000 jobs in one request: checked line by line, stored as a whole, watched and steered as one.",
    (
        Endpoint(
            name="create_batch",
            method="POST",
            path="/api/v3/batches",
            handler=batches.create,
            scope="submit",
            summary="Send a batch",
            about="""JSONL, which is read as a stream, or one JSON document, which may hold the parameters
as well. A body with any other `Content-Type` than `application/json` is read as JSONL. With `dry_run` every
line is checked and nothing is stored. Sent again under the same `Idempotency-Key`, an upload that broke off
is gone on with, and a complete one answers with itself and `Idempotent-Replayed: true`.""",
            query=batches.PARAMETERS,
            headers=(IDEMPOTENCY_KEY,),
            body=Body(
                {
                    _NDJSON: Lines(bodies.BatchLine),
                    "application/json": bodies.BatchDocument | list[dict[str, Any]],
                },
                example={"model": "wavespeed-ai/flux-dev", "inputs": [{"prompt": "A lighthouse"}]},
                is_required=False,
            ),
            gives=Either((shapes.NewBatch, shapes.DryRun)),
            refuses=(BadLines, Conflict, BeingSent, TooMany),
            problem=ProblemOfLines,
            leads_to=(
                "batch",
                "batch_jobs",
                "batch_results",
                *(f"{verb}_batch" for verb, *_ in _ORDERS),
                "retry_batch",
            ),
        ),
        Endpoint(
            name="list_batches",
            method="GET",
            path="/api/v3/batches",
            handler=batches.list_batches,
            scope="read",
            summary="List batches, newest first",
            query=(batches.LIMIT, BEFORE),
            gives=shapes.Batches,
        ),
        Endpoint(
            name="batch",
            method="GET",
            path="/api/v3/batches/{id}",
            handler=batches.read_batch,
            scope="read",
            summary="Read a batch with its progress and its failures",
            gives=shapes.Batch,
        ),
        Endpoint(
            name="batch_jobs",
            method="GET",
            path="/api/v3/batches/{id}/jobs",
            handler=batches.list_jobs,
            scope="read",
            summary="List the jobs of a batch, in the order of its lines",
            query=batches.OF_JOBS,
            gives=shapes.BatchJobs,
        ),
        Endpoint(
            name="batch_results",
            method="GET",
            path="/api/v3/batches/{id}/results",
            handler=results.results,
            scope="read",
            summary="Read the results of a batch as one stream",
            about="One line per job in their order, also while the batch runs.",
            query=(results.FORMAT, batches.STATUS, batches.AFTER, results.INCLUDE_INPUTS),
            gives={_NDJSON: Lines(shapes.ResultLine), "text/csv": Plain({"type": "string"})},
        ),
        *(
            Endpoint(
                name=f"{verb}_batch",
                method="POST",
                path=f"/api/v3/batches/{{id}}/{verb}",
                handler=batches.order,
                scope="submit",
                summary=summary,
                about=about,
                gives=shapes.Batch,
                refuses=(Conflict,),
            )
            for verb, summary, about in _ORDERS
        ),
        Endpoint(
            name="retry_batch",
            method="POST",
            path="/api/v3/batches/{id}/retry-failed",
            handler=batches.retry_failed,
            scope="submit",
            summary="Give failed jobs of a batch another life",
            about="All that were not cancelled, or those of one kind of failure.",
            query=(batches.FINGERPRINT,),
            headers=(IDEMPOTENCY_KEY,),
            gives=shapes.RetriedBatch,
            refuses=(Conflict,),
        ),
    ),
)
