"""Files of a form on their way to the provider's storage, through the same upload as the API's."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator

import msgspec
from starlette.datastructures import UploadFile

from orchestrator.errors import ProviderTrouble
from orchestrator.runtime import Runtime

_AT_A_TIME = 64 * 1024
_NAME = re.compile(r"[^A-Za-z0-9._-]")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")
_LONGEST_NAME = 100


class _Stored(msgspec.Struct):
    download_url: str


class _Answer(msgspec.Struct):
    data: _Stored


async def upload(runtime: Runtime, file: UploadFile, *, version: str, tenant_id: str) -> str:
    """The URL under which the provider keeps the file. Raises ProviderTrouble and TooManyUploads."""
    boundary = secrets.token_hex(16)
    head = _head(file, boundary)
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "content-type": f"multipart/form-data; boundary={boundary}",
        "content-length": str(len(head) + (file.size or 0) + len(tail)),
    }
    path = f"/api/{version}/media/upload/binary"
    with runtime.uploads.seat(tenant_id):
        passed = await runtime.provider.upload(path, headers=headers, body=_body(file, head, tail))
    try:
        return msgspec.json.decode(passed.body, type=_Answer).data.download_url
    except msgspec.DecodeError as problem:
        told = f"HTTP {passed.status}: {problem}"
        raise ProviderTrouble("The provider did not take the file.", cause=told) from None


def _head(file: UploadFile, boundary: str) -> bytes:
    """The name and type are the browser's words: only what is harmless in a header of ours is kept."""
    name = _NAME.sub("_", file.filename or "")[-_LONGEST_NAME:] or "file"
    given = file.content_type or ""
    kind = given if _TYPE.fullmatch(given) else "application/octet-stream"
    return (
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
        f"content-type: {kind}\r\n\r\n"
    ).encode()


async def _body(file: UploadFile, head: bytes, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    while chunk := await file.read(_AT_A_TIME):
        yield chunk
    yield tail
