"""What a job made, as something to look at: a picture, a film, a sound, or the beginning of a text.

Outputs come from the provider: only what starts with http:// or https:// becomes an address on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

Kind = Literal["image", "video", "audio", "file", "text"]
_ENDINGS: dict[Kind, tuple[str, ...]] = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif"),
    "video": (".mp4", ".webm", ".mov"),
    "audio": (".mp3", ".wav", ".ogg", ".flac", ".m4a"),
}
_SHOWN = 200


class Picture(msgspec.Struct, frozen=True):
    """One output; `url` is "" for a text, which `text` has the beginning of."""

    kind: Kind
    url: str = ""
    text: str = ""


def pictures(outputs: Sequence[Any]) -> list[Picture]:
    """One for each output."""
    return [_picture(output) for output in outputs]


def is_web_address(text: str) -> bool:
    """Whether a link may lead there."""
    return text.startswith(("http://", "https://"))


def _picture(output: Any) -> Picture:
    if not isinstance(output, str):
        return Picture("text", text=msgspec.json.encode(output).decode()[:_SHOWN])
    if not is_web_address(output):
        return Picture("text", text=output[:_SHOWN])
    try:
        path = urlsplit(output).path.lower()
    except ValueError:  # such as a bracket where only an IPv6 address may have one
        return Picture("text", text=output[:_SHOWN])
    kinds = [kind for kind, endings in _ENDINGS.items() if path.endswith(endings)]
    return Picture(kinds[0] if kinds else "file", url=output)
