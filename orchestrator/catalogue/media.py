"""Tells media apart by their text alone: URL or embedded bytes, image or video. Reads no media."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

MediaClass = Literal["image", "video"]

# An embedded image may be many megabytes: its start tells what it is, the provider reads the rest.
_LOOKED_AT = 1_024
_LONG_TEXT = 4_096

_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f/][^\s\x00-\x1f\x7f]*", re.IGNORECASE)
_DATA_URI = re.compile(
    r"data:(?:(?:image|video|audio)/[^,;\s]+|application/octet-stream)?;[^,\s]*base64,.", re.IGNORECASE
)
# Both alphabets, with the padding and the line breaks that some encoders put in.
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]{12,}")  # shorter ones are words
_VIDEO_NAME = re.compile(r"video|(?<![a-z])[a-z]{1,3}2v(?![a-z])", re.IGNORECASE)


def is_media(text: str) -> bool:
    """Whether the text can be media at all: an http(s) URL, a data URI or base64."""
    return _URL.fullmatch(text) is not None or is_embedded(text)


def is_embedded(text: str) -> bool:
    """Whether the text, known to stand for media, carries the bytes themselves."""
    return _DATA_URI.match(text) is not None or _BASE64.fullmatch(text, 0, _LOOKED_AT) is not None


def holds_embedded(value: Any) -> bool:
    """Whether any string in the value, at any depth, is a data URI or long and looks like base64."""
    if isinstance(value, str):
        return _DATA_URI.match(value) is not None or (len(value) > _LONG_TEXT and is_embedded(value))
    if isinstance(value, dict):
        return any(holds_embedded(item) for item in value.values())
    return isinstance(value, list) and any(holds_embedded(item) for item in value)


@lru_cache(maxsize=1_000)
def class_of(model: str, provider_type: str | None) -> MediaClass:
    """By the provider's word (`text-to-image`, `image-to-video`) if there is one, else by the model's name.

    Where nothing says video it is an image: the shorter deadlines, and the faster first look.
    """
    if provider_type:
        return "video" if "video" in provider_type.lower() else "image"
    return "video" if _VIDEO_NAME.search(model) else "image"
