"""What people type about tenants, keys and more, checked; typer says at which option it is wrong."""

from __future__ import annotations

import re

import typer

from orchestrator.clock import DAY, HOUR

_LONGEST_NAME = 100
# Outside of these a job would count for so much or so little that turns are lost in the rounding.
_LEAST_WEIGHT, _MOST_WEIGHT = 0.001, 1_000.0
NO_LIMIT = -1
"""What `none` stands for, as nothing at all leaves the limit as it is."""
USUAL = -2
"""What `usual` stands for: the limit of the settings."""
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
_LIFETIME = re.compile(r"([0-9]{1,5})([hd])")
_UNITS = {"h": HOUR, "d": DAY}
_LONGEST_LIFETIME = 3_650 * DAY
_PAUSE = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def checked_name(name: str) -> str:
    """Raises BadParameter for one that cannot be told apart on a screen."""
    if not name.isprintable() or not name or name != name.strip():
        raise typer.BadParameter("must be printable, and neither begin nor end with a space")
    if len(name) > _LONGEST_NAME:
        raise typer.BadParameter(f"must have at most {_LONGEST_NAME} characters")
    return name


def checked_model(model: str) -> str:
    """Raises BadParameter for a path that leads elsewhere."""
    if {"", ".", ".."} & set(model.split("/")):
        raise typer.BadParameter(f"{model!r} is no model, such as wavespeed-ai/flux-dev")
    return model


def checked_key(key: str) -> str:
    """An API key that can be sent, as the settings check it. Raises BadParameter."""
    if not all("!" <= sign <= "~" for sign in key):
        raise typer.BadParameter("must have only letters, digits and signs of ASCII, and no spaces")
    return key


def checked_idempotency_key(key: str) -> str:
    """Raises BadParameter for one that cannot be sent in a header."""
    if not (key.isascii() and key.isprintable()):
        raise typer.BadParameter("must have only letters, digits, signs and spaces of ASCII")
    return key


def checked_weight(weight: float | None) -> float | None:
    """Raises BadParameter; NaN is no weight either. None was not given."""
    if weight is not None and not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT:
        raise typer.BadParameter(f"must be from {_LEAST_WEIGHT:g} to {_MOST_WEIGHT:g}")
    return weight


def parse_limit(text: str) -> int:
    """`20` → 20, `none` → NO_LIMIT. Raises BadParameter."""
    if text == "none":
        return NO_LIMIT
    if not _LIMIT.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is neither a whole number of at most nine digits nor none")
    return int(text)


def parse_lifetime(text: str) -> int:
    """`12h`, `90d` → milliseconds. Raises BadParameter."""
    found = _LIFETIME.fullmatch(text)
    lifetime_ms = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < lifetime_ms <= _LONGEST_LIFETIME:
        raise typer.BadParameter(f"{text!r} is no time such as 12h or 90d, of at most 3650d")
    return lifetime_ms


def parse_order(text: str) -> int:
    """`20` → 20, `usual` → USUAL. Raises BadParameter."""
    if text == "usual":
        return USUAL
    if not _LIMIT.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is neither a whole number of at most nine digits nor usual")
    return int(text)


def parse_pause(text: str) -> int:
    """`90s`, `30m`, `2h`, `1d` → seconds. Raises BadParameter."""
    found = _PAUSE.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time such as 90s, 30m or 2h")
    return int(found[1]) * _SECONDS[found[2]]
