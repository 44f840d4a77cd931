"""What clients uploaded, kept in memory, and the reading of a task's input image from wherever it is."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import aiohttp
from PIL import Image

KEPT_BYTES = 512 * 2**20
BIGGEST_UPLOAD = 200 * 2**20
BIGGEST_INPUT = 20 * 2**20
MOST_PIXELS = 50_000_000
FETCH_TIMEOUT_S = 10.0
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class UnreadableError(Exception):
    """The input image cannot be had, or is no image."""


@dataclass(frozen=True)
class Upload:
    """A stored file. `type` is WaveSpeed's word for it: image, video or audio."""

    path: str
    filename: str
    content_type: str
    content: bytes

    @property
    def type(self) -> str:
        """The first half of the content type."""
        return type_of(self.content_type)


@dataclass(frozen=True)
class Ticket:
    """Leave to PUT one file, with exactly these headers."""

    path: str
    filename: str
    size: int
    headers: dict[str, str]


class Media:
    """Uploads by path and fetched images by URL; beyond 512 MB the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._size = 0
        self._tickets: dict[str, Ticket] = {}
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def issue_ticket(self, *, filename: str, size: int, content_type: str) -> tuple[str, Ticket]:
        """A ticket and its token."""
        token = os.urandom(16).hex()
        headers = {"Content-Type": content_type, "x-upload-token": os.urandom(8).hex()}
        self._tickets[token] = Ticket(path_for(filename, content_type), filename, size, headers)
        return token, self._tickets[token]

    def ticket(self, token: str) -> Ticket | None:
        """The ticket of this token; it stays good, as a PUT may be repeated."""
        return self._tickets.get(token)

    def keep(self, upload: Upload) -> None:
        """Store a file under its path, in place of what was there."""
        if (old := self._kept.pop(upload.path, None)) is not None:
            self._size -= len(old.content)
        self._kept[upload.path] = upload
        self._size += len(upload.content)
        while self._size > KEPT_BYTES and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1].content)

    def find(self, path: str) -> Upload | None:
        """The file of this path."""
        return self._kept.get(path)

    async def read_image(self, reference: str) -> bytes:
        """The bytes of an image given as URL, data URI or base64; known to be one that can be opened."""
        if not reference.startswith(("http://", "https://")):
            content = _decoded(reference)
        elif (kept := self._kept_of(reference)) is not None:
            content = kept.content
        else:
            content = await self._fetched(reference)
        _demand_image(content)
        return content

    def _kept_of(self, url: str) -> Upload | None:
        """What was uploaded here, or fetched before."""
        try:
            path = urlsplit(url).path
        except ValueError as error:
            raise UnreadableError(str(error)) from error
        return self.find(path) or self.find(url)

    async def _fetched(self, url: str) -> bytes:
        content = bytearray()
        try:
            async with self._session.get(url) as response:
                response.raise_for_status()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > BIGGEST_INPUT:
                        raise UnreadableError("too large")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise UnreadableError(type(error).__name__) from error
        self.keep(Upload(url, "", "image/*", bytes(content)))
        return bytes(content)


def path_for(filename: str, content_type: str) -> str:
    """Where a new file goes: unguessable, and with its name in it."""
    name = UNSAFE.sub("_", PurePosixPath(filename.replace("\\", "/")).name)[-80:] or "file"
    return f"/media/{type_of(content_type)}s/{os.urandom(12).hex()}_{name}"


def type_of(content_type: str) -> str:
    """image, video or audio; anything else counts as an image, as WaveSpeed has no fourth word."""
    major = content_type.partition("/")[0]
    return major if major in {"video", "audio"} else "image"


def _decoded(text: str) -> bytes:
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError("no URL and no base64") from error


def _demand_image(content: bytes) -> None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableError("no image") from error
    if width * height > MOST_PIXELS:
        raise UnreadableError("too many pixels")
