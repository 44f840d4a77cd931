"""Serves the API description: as JSON, and as a page that needs no script."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from orchestrator.web.context import Context
from orchestrator.web.reference.document import Reference
from orchestrator.web.reference.reading import sections
from orchestrator.web.reference.schemas import Json

_WEB = Path(__file__).parent.parent
_STYLE = _WEB / "static" / "reference.css"
_CODE = re.compile("`([^`]*)`")
_BRIEFLY = "public, max-age=60"
# The page asks for the file by its content's hash: it never changes under one URL.
_FOR_EVER = "public, max-age=31536000, immutable"
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


async def document(request: Request) -> Response:
    """GET /openapi.json."""
    body = msgspec.json.format(msgspec.json.encode(_description(request)), indent=1)
    return Response(body, media_type="application/json", headers={"cache-control": _BRIEFLY})


async def page(request: Request) -> Response:
    """GET /docs."""
    headers = {"cache-control": _BRIEFLY, "content-security-policy": _POLICY}
    return HTMLResponse(rendered(_description(request)), headers=headers)


def rendered(description: Json) -> str:
    """The page of this description."""
    template = _environment().get_template("reference.html")
    return template.render(document=description, sections=sections(description), style=_style_hash())


async def style(_request: Request) -> Response:
    """GET /docs.css."""
    return Response(_STYLE.read_bytes(), media_type="text/css", headers={"cache-control": _FOR_EVER})


def _description(request: Request) -> Json:
    here = Context.of(request)
    reference: Reference = request.app.state.reference
    return reference.document(here.runtime.catalogue, server=here.base_url)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = _marked
    return environment


def _marked(text: str) -> Markup:
    """The one mark that our descriptions use: words between backticks are code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


@cache
def _style_hash() -> str:
    return hashlib.sha256(_STYLE.read_bytes()).hexdigest()[:12]
