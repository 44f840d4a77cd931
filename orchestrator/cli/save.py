"""Turns a job's outputs into files: downloads URLs, decodes data URIs and base64, writes down texts."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from orchestrator.cli.failures import BadPlace, CommandFailed

UNFINISHED = ".part"
"""What a file's name ends with until the file is whole."""

_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w.=+-]+)*;base64,", re.ASCII)
_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_BEGINNINGS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpeg"),
    (b"GIF8", ".gif"),
    (b"RIFF", ".webp"),
    (b"\0\0\0", ".mp4"),
)
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


def try_folder(folder: Path) -> None:
    """Makes it and writes in it, before anything is paid whose outputs go there. Raises BadPlace."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadPlace(folder, error) from error


def save_outputs(outputs: Sequence[Any], *, folder: Path, stem: str) -> list[Path]:
    """One file for each output, named `{stem}-{n}.{ext}`. Raises CommandFailed."""
    stem = _UNSAFE.sub("_", stem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as http:
            return [
                save_output(output, folder / f"{stem}-{number}", http)
                for number, output in enumerate(outputs, start=1)
            ]
    except OSError as error:
        raise CommandFailed(f"{folder}: {error.strerror}.") from error


def save_output(output: Any, path: Path, http: httpx.Client) -> Path:
    """The file that was written: the path with the ending of its kind. Raises CommandFailed and OSError."""
    if isinstance(output, dict) and isinstance(output.get("url"), str):
        output = output["url"]
    if not isinstance(output, str):
        return _write(path, ".json", msgspec.json.encode(output))
    if output.startswith(("http://", "https://")):
        return _download(output, path, http)
    if embedded := _decode_data_uri(output) or _decode_base64(output):
        return _write(path, *embedded)
    return _write(path, ".txt", output.encode())


def _download(url: str, path: Path, http: httpx.Client) -> Path:
    part = path.with_name(path.name + UNFINISHED)
    try:
        with http.stream("GET", url) as response:
            response.raise_for_status()
            with part.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
            target = path.with_name(path.name + _extension_of(url, response.headers.get("content-type", "")))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        part.unlink(missing_ok=True)
        raise CommandFailed(f"The output {url} could not be downloaded: {_why(error)}") from error
    return part.replace(target)


def _why(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}."  # its own words name the URL once more
    return f"{error or type(error).__name__}."


def _extension_of(url: str, content_type: str) -> str:
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return suffix if _EXTENSION.fullmatch(suffix) else _extension_for(content_type)


def _extension_for(content_type: str) -> str:
    return mimetypes.guess_extension(content_type.partition(";")[0].strip()) or ".bin"


def _decode_data_uri(text: str) -> tuple[str, bytes] | None:
    found = _DATA_URI.match(text)
    content = _decode(text[found.end() :]) if found else None
    return (_extension_for(found["type"] or ""), content) if found and content is not None else None


def _decode_base64(text: str) -> tuple[str, bytes] | None:
    """Some models answer base64 without saying what it is; its first bytes tell it from a text."""
    content = _decode(text) or b""
    return next(((suffix, content) for start, suffix in _BEGINNINGS if content.startswith(start)), None)


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _write(path: Path, suffix: str, content: bytes) -> Path:
    part = path.with_name(path.name + UNFINISHED)
    part.write_bytes(content)
    return part.replace(path.with_name(path.name + suffix))
