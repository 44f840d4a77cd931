"""Makes the outputs, and only when somebody looks: a picture is painted from the task's stored input at the
first GET of its URL, and painted again, alike, if the cache has lost it."""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict

from orchestrator.sandbox.media import Media
from orchestrator.sandbox.models import SIZE, Model
from orchestrator.sandbox.pages import MODELS, inputs_of
from orchestrator.sandbox.paint.picture import Order, paint
from orchestrator.sandbox.tasks import Task

CACHE_BYTES = 128 * 2**20
PAINTERS = 2


class Studio:
    """Paints in threads, a few at a time, so that the server stays responsive."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._painters = asyncio.Semaphore(PAINTERS)
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0

    async def picture(self, task: Task, number: int) -> bytes:
        """The encoded picture of this number, counted from 1. Raises UnreadableError if its input is gone."""
        key = (task.id, number)
        async with self._painters:
            if key not in self._cache:
                self._remember(key, await asyncio.to_thread(paint, await self._order(task, number)))
            self._cache.move_to_end(key)
            return self._cache[key]

    async def data_uris(self, task: Task, count: int) -> list[str]:
        """All pictures of a task, embedded."""
        kind = format_of(task)
        return [
            f"data:image/{kind};base64,{base64.b64encode(await self.picture(task, number)).decode()}"
            for number in range(1, count + 1)
        ]

    def _remember(self, key: tuple[str, int], picture: bytes) -> None:
        self._cache[key] = picture
        self._size += len(picture)
        while self._size > CACHE_BYTES and len(self._cache) > 1:
            self._size -= len(self._cache.popitem(last=False)[1])

    async def _order(self, task: Task, number: int) -> Order:
        inputs = inputs_of(task)
        image = inputs.get("image")
        size = SIZE.match(str(inputs.get("size") or ""))
        model = MODELS[task.version, task.model]
        return Order(
            art=model.art,
            prompt=str(inputs.get("prompt") or ""),
            seed=task.seed + number - 1,
            size=(int(size[1]), int(size[2])) if size else None,
            format=format_of(task),
            source=await self._media.read_image(image) if image else None,
            strength=_strength(model, inputs.get("strength")),
        )


def _strength(model: Model, given: float | None) -> float:
    """The input's own, or the page's default; a model without the field changes all it can."""
    defaults = [float(field.default) for field in model.fields if field.name == "strength"]
    return given if given is not None else next(iter(defaults), 1.0)


def format_of(task: Task) -> str:
    """The pictures' format; pages without `output_format` mean jpeg."""
    return inputs_of(task).get("output_format") or "jpeg"
