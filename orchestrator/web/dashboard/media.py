"""What goes into a job and comes out of it, as things to look at: every URL that leaves here is safe to show.

Whatever a provider or a user wrote is a picture or a link only if it begins as one; else it is text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import msgspec

_KINDS = {
    "image": ("png", "jpg", "jpeg", "webp", "gif", "avif"),
    "video": ("mp4", "webm", "mov", "m4v"),
    "audio": ("mp3", "wav", "ogg", "flac", "m4a", "aac"),
    "file": (
        "glb",
        "gltf",
        "obj",
        "fbx",
        "stl",
        "ply",
        "usdz",
        "zip",
        "json",
        "txt",
        "srt",
        "vtt",
        "pdf",
        "svg",
    ),
}
_KIND_OF = {ending: kind for kind, endings in _KINDS.items() for ending in endings}
_INLINE = re.compile(r"data:(image/(?:png|jpeg|webp|gif|avif)|video/(?:mp4|webm)|audio/[a-z0-9.+-]+);base64,")
_TEXT = r'"((?:[^"\\]|\\.)*)"'
# Where the JSON is cut off, the end of the text is its end; half an escape there is left out.
_PROMPT = re.compile(r'"(prompt|text)"\s*:\s*"((?:[^"\\]|\\.)*)(?:"|\\?\Z)')
_HALF = re.compile(r"(?:\\ud[89ab][0-9a-f]{2})?(?:\\u[0-9a-f]{0,3})?\Z", re.IGNORECASE)
_OUTPUT = re.compile(rf'"outputs"\s*:\s*\[\s*{_TEXT}')
_INLINE_OUTPUT = re.compile(r'"outputs"\s*:\s*\[\s*"data:(image|video|audio)/')
_SHOWN_CHARS = 300
_LONGEST_LINE = 4 * _SHOWN_CHARS
_LONGEST_READ = 100_000
_LONGEST_INLINE = 2_000_000


class Media(msgspec.Struct, frozen=True):
    """`kind` is image, video, audio, file or text; `url` is safe as an address, and empty for text."""

    kind: str
    url: str = ""
    text: str = ""

    @property
    def is_inline(self) -> bool:
        """Its bytes are in the URL itself."""
        return self.url.startswith("data:")


def web_url(text: Any) -> str:
    """The text if it is an address on the web, else empty: nothing that could run as a script."""
    if not isinstance(text, str) or not text.lower().startswith(("http://", "https://")):
        return ""
    try:
        urlsplit(text)
    except ValueError:  # such as a bracket where only an IPv6 address may have one
        return ""
    return text if text.isprintable() and " " not in text else ""


def media_of(output: Any, usual: str) -> Media:
    """One output; `usual` is what the model makes, for an address that does not tell."""
    if not isinstance(output, str):
        return Media("text", text=json.dumps(output, indent=2, ensure_ascii=False)[:_LONGEST_INLINE])
    if url := web_url(output):
        ending = PurePosixPath(urlsplit(url).path).suffix.lower().removeprefix(".")
        return Media(_KIND_OF.get(ending, usual if usual in _KINDS else "file"), url)
    if inline := _INLINE.match(output):
        kind = inline[1].partition("/")[0]
        return Media(kind, output if len(output) <= _LONGEST_INLINE else "")
    return Media("text", text=output)


def first_output(ending: str, usual: str) -> Media | None:
    """Of the beginning of an ending's JSON; None where there is no output."""
    if inline := _INLINE_OUTPUT.search(ending):
        return Media(inline[1])
    if found := _OUTPUT.search(ending):
        return media_of(_unescaped(found[1]), usual)
    return Media("text", text="…") if '"outputs"' in ending else None


def prompt_of(inputs: str) -> str:
    """The beginning of the words in the beginning of an input's JSON."""
    found = _PROMPT.search(inputs)
    if found is None:
        return ""
    is_whole = found[0].endswith('"')
    return _unescaped(found[2] if is_whole else _HALF.sub("", found[2]))[:_SHOWN_CHARS]


def title_of(inputs: Mapping[str, Any]) -> str:
    """The beginning of the words of an input; empty where it has none."""
    given = (inputs.get(name) for name in ("prompt", "text"))
    return next((words for words in given if isinstance(words, str) and words), "")[:_SHOWN_CHARS]


def long_texts(inputs: Mapping[str, Any]) -> dict[str, str]:
    """By their names, what `shortened` cuts off and people may want to read."""
    return {
        name: value
        for name, value in inputs.items()
        if isinstance(value, str) and _LONGEST_LINE < len(value) <= _LONGEST_READ and not _INLINE.match(value)
    }


def inputs_of(inputs: Mapping[str, Any]) -> list[Media]:
    """The pictures, videos and sounds that a job was given."""
    return [one for name, value in inputs.items() for one in _given(name, value)]


def shortened(value: Any) -> Any:
    """The same with long texts cut: what people read of an input."""
    if isinstance(value, dict):
        return {name: shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shortened(one) for one in value]
    if isinstance(value, str) and len(value) > _LONGEST_LINE:
        return f"{value[:_SHOWN_CHARS]}… ({len(value):,} characters)"
    return value


def _given(name: str, value: Any) -> Iterator[Media]:
    for one in value if isinstance(value, list) else [value]:
        usual = next((kind for kind in ("image", "video", "audio") if kind in name), "")
        if isinstance(one, str) and (web_url(one) or _INLINE.match(one)):
            media = media_of(one, usual)
            if media.kind in ("image", "video", "audio"):
                yield media


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
