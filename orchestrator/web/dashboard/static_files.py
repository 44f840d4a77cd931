"""The dashboard's own files, kept in memory. Their URLs carry a hash: a browser asks once."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from orchestrator.web.dashboard.rendering import STATIC

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class File(msgspec.Struct, frozen=True):
    """`packed` is the same compressed."""

    kind: str
    content: bytes
    packed: bytes


async def serve(request: Request) -> Response:
    """GET /static/{path}"""
    file = _files().get(request.path_params["path"])
    if file is None:
        raise HTTPException(404)
    is_packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if request.url.query else "no-cache",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if is_packed:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if is_packed else file.content, headers=headers, media_type=file.kind)


@cache
def _files() -> Mapping[str, File]:
    """All of them by their paths: nothing else of the disk can be asked for."""
    return {path.relative_to(STATIC).as_posix(): _read(path) for path in STATIC.rglob("*") if path.is_file()}


def _read(path: Path) -> File:
    content = path.read_bytes()
    return File(_KINDS.get(path.suffix, "text/plain"), content, gzip.compress(content, mtime=0))


STATIC_FILES = [Mount("/static", routes=[Route("/{path:path}", serve, methods=["GET"])])]
