"""The templates, and what each of them may use: filters, charts, the navigation, addresses of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2

from orchestrator.web.dashboard import charts, words
from orchestrator.web.dashboard.navigation import NAVIGATION

_FOLDER = Path(__file__).resolve().parent.parent
STATIC = _FOLDER / "static"


@cache
def templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": words.duration,
        "count": words.count,
        "percent": words.percent,
        "clock_time": words.clock_time,
        "short_id": words.short_id,
        "words": words.words,
        "plain": words.plain,
    }
    environment.globals |= {
        "static": static_url,
        "linked": linked,
        "charts": charts,
        "navigation": NAVIGATION,
    }
    return environment


def linked(path: str, asked: Mapping[str, Any], **changed: Any) -> str:
    """The URL of a view with these parameters, those that are empty left out."""
    wanted = {name: value for name, value in (dict(asked) | changed).items() if value not in ("", None)}
    return f"{path}?{urlencode(wanted)}" if wanted else path


def static_url(name: str) -> str:
    """A file under /static with its content's hash, so that browsers keep it until it changes."""
    return f"/static/{name}?{_hash(name)}"


@cache
def _hash(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
