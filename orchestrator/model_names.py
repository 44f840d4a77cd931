"""What a model may be called: one rule for the door, the catalogue and the adapter.

What the door takes and the adapter would not send is a job that fails after it was stored.
"""

from __future__ import annotations

import re

_SEGMENT = "[A-Za-z0-9][A-Za-z0-9._-]*"
# Submitting is WaveSpeed's catch-all route: a model of such a name would be another endpoint, and
# `predictions/delete` one that deletes other people's tasks.
_TAKEN = "balance|media|model|models|predictions|webhook"

PATTERN = f"(?!(?:{_TAKEN})/){_SEGMENT}(?:/{_SEGMENT}){{1,3}}"
"""Two to four segments, as in the paths of the API."""
_NAME = re.compile(PATTERN)


def is_model_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None
