"""Which of the batches made of one source is the newest: `--again` makes one more, and goes on with that one
until it is finished.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.disk import clear_away

_FINISHED = "finished"
_KEPT_S = 30 * 86_400.0


@dataclass(frozen=True)
class Newest:
    """`nonce` tells it from those made before it; the first has none."""

    path: Path
    nonce: str
    is_begun: bool

    def begin(self) -> None:
        """To be called before anything of it is sent."""
        if not self.is_begun:
            self._write(self.nonce)

    def finish(self) -> None:
        if self.nonce:
            self._write(f"{self.nonce} {_FINISHED}")

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text)


def newest_of(source: str, folder: Path, *, is_new: bool) -> Newest:
    """Of the source with this key; what is known of batches long over is cleared away."""
    clear_away(folder.glob("*.newest"), older_than_s=_KEPT_S)
    path = folder / f"{source}.newest"
    nonce, _, end = path.read_text().partition(" ") if path.exists() else ("", "", _FINISHED)
    # A memory that was cut off says nothing: it is like none.
    if is_new and (end == _FINISHED or not nonce):
        return Newest(path, secrets.token_hex(16), is_begun=False)
    return Newest(path, nonce, is_begun=True)
