"""One order, one encoded picture: the same order always gives the same bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image, ImageOps

from orchestrator.sandbox.paint.brush import Size
from orchestrator.sandbox.paint.edits import blend, edit, vary
from orchestrator.sandbox.paint.scene import paint_scene

DEFAULT_SIZE: Size = (1024, 1024)
LONGEST_SIDE = 1536
SAVING: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 90},
    "png": {"compress_level": 3},
    "webp": {"quality": 88, "method": 2},
}


@dataclass(frozen=True)
class Order:
    """What to paint. `size` None: an edit takes that of its source. `strength` 0 to 1: how far from it."""

    art: Literal["scene", "variation", "edit"]
    prompt: str
    seed: int
    size: Size | None
    format: str
    source: bytes | None
    strength: float


def paint(order: Order) -> bytes:
    """The encoded picture."""
    picture = io.BytesIO()
    _compose(order).save(picture, order.format, **SAVING[order.format])
    return picture.getvalue()


def _compose(order: Order) -> Image.Image:
    if order.source is None:
        return paint_scene(order.prompt, order.seed, order.size or DEFAULT_SIZE)
    source = _opened(order.source)
    if order.art == "edit":
        return edit(source, order.seed, order.size or source.size, order.prompt)
    size = order.size or DEFAULT_SIZE
    if order.art == "variation":
        return vary(source, order.seed, size, order.prompt)
    return blend(source, paint_scene(order.prompt, order.seed, size), order.strength)


def _opened(content: bytes) -> Image.Image:
    """The source upright, in plain colours, and no larger than WaveSpeed makes pictures."""
    with Image.open(io.BytesIO(content)) as opened:
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return image
