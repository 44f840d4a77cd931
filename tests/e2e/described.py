"""The API description as the fuzzer gets it: as served, but strict where clients are told to be lenient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.web.reference import provider_shapes

Json = dict[str, Any]
# What requests are made of, and what the provider may say more of.
OPEN = {"HistoryQuestion", "Deletion", *(name for name in dir(provider_shapes) if name[0].isupper())}
# Bodies with a time or a URL that a schema cannot tell.
NARROWED = ("BatchDocument", "BatchLine", "WantedKey", "WantedEndpoint", "EndpointChange", "ActionFilter")
TIMES = {
    "not_before": "2026-01-02T03:04:05Z",
    "since": "2026-01-02T03:04:05Z",
    "until": "2031-01-02T03:04:05Z",
    "expires_at": "2031-01-02T03:04:05Z",
    "start_by": "2031-01-02T03:04:05Z",
    "finish_by": "2032-01-02T03:04:05Z",
}


def strict(document: Json, *, webhook: str) -> Json:
    """An answer has no field that is not described; a job is told of at `webhook` only.

    The times are narrowed: a schema cannot say that one must be later than another, and all than 1970.
    """
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema and name not in OPEN:
            schema["additionalProperties"] = False
    words = TIMES | {"webhook": webhook, "job_webhook": webhook, "url": webhook}
    for name, schema in [*_parameters(document), *_fields(document)]:
        if name in words:
            _narrow(schema, words[name], is_needed=name in TIMES or name == "url")
    _let_lines_be_wrong(document)
    _store_batches(document)
    _leave_limits(document)
    return document


def _parameters(document: Json) -> Iterator[tuple[str, Json]]:
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                yield parameter["name"], parameter["schema"]


def _fields(document: Json) -> Iterator[tuple[str, Json]]:
    for name in NARROWED:
        yield from document["components"]["schemas"][name]["properties"].items()


def _let_lines_be_wrong(document: Json) -> None:
    """A batch with wrong lines is no wrong request where it only asks which of them are."""
    document["components"]["schemas"]["BatchDocument"]["properties"]["inputs"]["items"] = {}
    contents = document["paths"]["/api/v3/batches"]["post"]["requestBody"]["content"]
    (lines,) = (one for one in contents["application/json"]["schema"]["anyOf"] if one.get("type") == "array")
    lines["items"] = {}


def _store_batches(document: Json) -> None:
    """What is stored has an id, which leads on; a dry run has none."""
    del document["components"]["schemas"]["BatchDocument"]["properties"]["dry_run"]
    operation = document["paths"]["/api/v3/batches"]["post"]
    operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "dry_run"]


def _leave_limits(document: Json) -> None:
    """The fuzzer's own tenant must not be kept from sending anything, or its questions find no answer."""
    for name in ("max_in_flight", "max_queued"):
        del document["components"]["schemas"]["TenantChange"]["properties"][name]


def _narrow(schema: Json, word: str, *, is_needed: bool) -> None:
    """No time is given by leaving it out or by null, no webhook by an empty text as well."""
    nothing = [None] if {"type": "null"} in schema.get("anyOf", []) else []
    schema.clear()
    schema |= {"enum": [word, *nothing] if is_needed else [word, "", *nothing]}
