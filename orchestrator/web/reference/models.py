"""The models of the catalogue as operations of their own, with their inputs as their pages print them."""

from __future__ import annotations

from typing import Any

from orchestrator.catalogue.page import Kind, Page, Parameter
from orchestrator.web.reference.schemas import Json

TAG = "Models"
_PATTERNS = {
    Kind.SIZE: r"^[1-9][0-9]{0,4}\*[1-9][0-9]{0,4}$",
    Kind.MEDIA: r"^([hH][tT][tT][pP][sS]?://[^\s\x00-\x1f\x7f/][^\s\x00-\x1f\x7f]*|[dD][aA][tT][aA]:[^,\s]*,.[\s\S]*|[A-Za-z0-9+/_=\r\n-]*)$",
}
_EXAMPLES: dict[Kind, Any] = {Kind.MEDIA: "https://example.com/cat.png", Kind.LIST: []}


def path_of(page: Page) -> str:
    return f"/api/{page.version}/{page.model}"


def model_operation(page: Page, submit: Json) -> Json:
    """`submit` is the operation for any model; what it says of its path is said by this one's path."""
    body = {"application/json": {"schema": inputs_of(page), "example": example_of(page)}}
    return submit | {
        "operationId": f"submit_{page.version}_{page.model.replace('/', '_').replace('-', '_')}",
        "tags": [TAG],
        "summary": f"{page.name}, {page.version}",
        "description": f"{page.description} ({page.type})",
        "parameters": [one for one in submit["parameters"] if one["in"] != "path"],
        "requestBody": {"required": True, "content": body},
    }


def inputs_of(page: Page) -> Json:
    """What the catalogue takes: null is the same as left out, and unknown fields pass."""
    return {
        "type": "object",
        "properties": {row.name: _input(row) for row in page.parameters} | _ours(page),
        "required": [row.name for row in page.parameters if row.required],
    }


def example_of(page: Page) -> Json:
    required = {
        row.name: _EXAMPLES.get(row.kind, "A lighthouse in a storm")
        for row in page.parameters
        if row.required
    }
    return required or {"prompt": "A lighthouse in a storm"}


def _ours(page: Page) -> Json:
    """What is no input of a model, but is read from the body of every one."""
    known = {row.name for row in page.parameters}
    sync = {"type": ["boolean", "null"], "default": False, "description": "Answer at the end, 90 s at most."}
    return {} if "enable_sync_mode" in known else {"enable_sync_mode": sync}


def _input(row: Parameter) -> Json:
    schema = row.schema()
    if pattern := _PATTERNS.get(row.kind):
        schema |= {"pattern": pattern}
    if row.kind is Kind.SIZE:
        # The limits are those of each side, which a schema of a text cannot say.
        low, high = schema.pop("minimum", None), schema.pop("maximum", None)
        schema["description"] = f"{row.description} Each side: {low} to {high}."
    if not row.required and "type" in schema:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema
