"""Which failures are of one kind: the same reason and the same words, whatever id or number they name."""

from __future__ import annotations

import hashlib
import re

# What differs between two failures of one kind: addresses, ids, numbers, and what somebody has quoted.
_PARTICULAR = re.compile(
    r"""https?://\S+|\b[0-9a-fA-F][0-9a-fA-F-]{7,}\b|\d+(?:\.\d+)?|"[^"]*"|'[^']*'|`[^`]*`"""
)
_LENGTH = 16


def fingerprint(reason: str, message: str) -> str:
    """16 hex characters, equal for failures that one action would mend."""
    plain = " ".join(_PARTICULAR.sub("#", message.lower()).split())
    return hashlib.blake2b(f"{reason}\n{plain}".encode(errors="replace")).hexdigest()[:_LENGTH]
