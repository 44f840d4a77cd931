"""Reads the forms of the dashboard's pages, files and all, up to a length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from orchestrator.errors import Refused, TooLarge

_MOST_FIELDS = 2_000
_MOST_FILES = 20


@asynccontextmanager
async def read_form(request: Request, *, limit: int) -> AsyncIterator[FormData]:
    """The form of this request; its files are closed at the end. Raises Refused.

    It is cut off where it becomes too long, however little its Content-Length has told.
    """
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        message = await request.receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise TooLarge(f"This form takes {limit // (1024 * 1024)} MB at most; the API takes more.")
        return message

    capped = Request(request.scope, receive)
    try:
        async with capped.form(max_fields=_MOST_FIELDS, max_files=_MOST_FILES, max_part_size=limit) as form:
            if any("\0" in _said(value) for _, value in form.multi_items()):
                raise Refused("This form holds a NUL character, which cannot be stored.")
            yield form
    except HTTPException as problem:
        raise Refused(f"This form cannot be read: {problem.detail}") from None


def _said(value: str | UploadFile) -> str:
    """The words of a field; of a file that is its name."""
    return value if isinstance(value, str) else value.filename or ""


def text_of(form: FormData, name: str) -> str:
    """What was typed there; "" for a field that is not there. Browsers end its lines with CR LF."""
    given = form.get(name, "")
    return given.replace("\r\n", "\n") if isinstance(given, str) else ""


def file_of(form: FormData, name: str) -> UploadFile | None:
    """The file that was chosen there; browsers send an empty one without a name where none was."""
    given = form.get(name)
    return given if isinstance(given, UploadFile) and given.filename else None
