"""Names of saved files: safe on every disk, one line's never another's, and the same in every run."""

from __future__ import annotations

import fcntl
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.cli.bulk.answers import Batch
from orchestrator.cli.bulk.folder import IMAGES
from orchestrator.cli.failures import CommandFailed

RESULTS = "results.jsonl"

_UNSAFE = re.compile(r"[^\w.-]+")
_MOST_BYTES = 120
_LEAST_DIGITS = 4
_MARK = ".batch"


class Names:
    """Gives each line its name; to be asked in the order of lines, whether they have outputs or not."""

    def __init__(self, lines: int) -> None:
        self._digits = max(_LEAST_DIGITS, len(str(lines)))
        self._taken = {RESULTS, Path(RESULTS).stem}
        self._numbered: set[str] = set()

    def stem(self, line: int, custom_id: str | None) -> str:
        """The custom_id where there is one, else the line number."""
        stem = safe(_without_image_ending(custom_id or "")) or f"{line:0{self._digits}d}"
        while not self._take(stem.casefold()):
            stem = f"{stem}-line{line}"
        return stem

    def _take(self, stem: str) -> bool:
        """`boat-1` may also be what the first of several outputs of `boat` is called: not both are given."""
        start, _, number = stem.rpartition("-")
        is_numbered = number.isdecimal()
        if stem in self._taken or stem in self._numbered or (is_numbered and start in self._taken):
            return False
        self._taken.add(stem)
        if is_numbered:
            self._numbered.add(start)
        return True


def output_names(stem: str, outputs: Sequence[object]) -> list[str]:
    """Without their endings, which the outputs themselves decide."""
    return [stem] if len(outputs) == 1 else [f"{stem}-{number}" for number in range(1, len(outputs) + 1)]


def safe(text: str) -> str:
    """Letters of all languages, digits, dots, dashes; no path, not hidden, and not too long for a disk."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip("._")
    return name.encode()[:_MOST_BYTES].decode(errors="ignore")


def place_of(batch: Batch, out: Path | None) -> Path:
    """The folder for this batch's outputs alone, so that whatever is in it is known to be from it.

    Where the wanted one holds something else already, it is a folder within.
    """
    own = f"{safe(batch.name) or 'batch'}-{batch.id[-8:]}"
    if out is None:
        return Path(own)
    is_its_own = _marked(out) == batch.id or not out.exists() or not any(out.iterdir())
    return out if is_its_own else out / own


@contextmanager
def claimed(place: Path, batch: Batch) -> Iterator[None]:
    """Makes the folder, writes down in it whose it is, and keeps another command that saves there waiting.

    Raises CommandFailed for somebody else's.
    """
    place.mkdir(parents=True, exist_ok=True)
    with (place / _MARK).open("a") as mark:
        with suppress(OSError):  # there are disks that know no locks
            fcntl.flock(mark, fcntl.LOCK_EX)
        if _marked(place) not in ("", batch.id):
            raise CommandFailed(f"{place} holds the outputs of another batch.")
        if not _marked(place):
            mark.write(batch.id)
            mark.flush()
        yield


def _marked(place: Path) -> str:
    mark = place / _MARK
    return mark.read_text() if mark.is_file() else ""


def _without_image_ending(custom_id: str) -> str:
    """`cat.png` is named for the image it was made from; what is made has its own ending."""
    path = Path(custom_id)
    return custom_id[: -len(path.suffix)] if path.suffix.lower() in IMAGES else custom_id
