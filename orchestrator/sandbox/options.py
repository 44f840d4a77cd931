"""How one sandbox behaves: everything that is decided at its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`api_key` empty: any key is good that does not contain the word "wrong".

    `duration_s` overrides each model's own running time; a fault marker in a prompt overrides both.
    `public_url` is where clients reach this sandbox; empty: where each request says that it did.
    """

    tier: str = "ultra"
    duration_s: float | None = None
    api_key: str = ""
    sync_timeout_s: float = 90.0
    callback_backoff_s: float = 1.0
    callback_timeout_s: float = 10.0
    public_url: str = ""
