"""The painter's tools: gradients, noise, soft masks, ridges, glows, at Pillow's speed: no pixel loops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from orchestrator.sandbox.paint.theme import Colour

Size = tuple[int, int]
Point = tuple[float, float]


def gradient(size: Size, stops: Sequence[tuple[float, Colour]]) -> Image.Image:
    """A vertical gradient through colours at heights from 0 (top) to 1."""
    column = Image.new("RGB", (1, 256))
    column.putdata([_at(stops, y / 255) for y in range(256)])
    column = column.resize((1, size[1]), Image.Resampling.BICUBIC)
    return column.resize(size, Image.Resampling.NEAREST)


def _at(stops: Sequence[tuple[float, Colour]], height: float) -> Colour:
    before = stops[0]
    for stop in stops:
        if stop[0] >= height:
            span = stop[0] - before[0]
            share = (height - before[0]) / span if span else 1.0
            red, green, blue = (round(a + (b - a) * share) for a, b in zip(before[1], stop[1], strict=True))
            return red, green, blue
        before = stop
    return stops[-1][1]


def noise(size: Size, rng: random.Random, *, cells: Size, octaves: int = 4) -> Image.Image:
    """Soft fractal noise in grey, `cells` lumps across and down at the coarsest."""
    small = (max(size[0] // 4, 8), max(size[1] // 4, 8))
    total: Image.Image | None = None
    for octave in range(octaves):
        grid = (min(cells[0] << octave, small[0]), min(cells[1] << octave, small[1]))
        layer = Image.frombytes("L", grid, rng.randbytes(grid[0] * grid[1]))
        layer = layer.resize(small, Image.Resampling.BICUBIC)
        total = layer if total is None else Image.blend(total, layer, 1 / (1 + 1.7**octave))
    assert total is not None  # noqa: S101  there is at least one octave
    return total.resize(size, Image.Resampling.BILINEAR)


def threshold(grey: Image.Image, *, low: int, high: int, most: int = 255) -> Image.Image:
    """A mask: 0 below `low`, rising smoothly to `most` at `high`."""
    span = max(high - low, 1)
    return grey.point([round(most * _smooth((value - low) / span)) for value in range(256)])


def _smooth(share: float) -> float:
    share = max(0.0, min(1.0, share))
    return share * share * (3 - 2 * share)


def grain(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Film grain over the whole picture; a tile of noise repeated is not seen as one."""
    tile = Image.frombytes("L", (251, 241), rng.randbytes(251 * 241))
    sheet = Image.new("L", image.size)
    for left in range(0, image.width, tile.width):
        for top in range(0, image.height, tile.height):
            sheet.paste(tile, (left, top))
    return ImageChops.overlay(
        image, sheet.point([round(128 + (v - 128) * strength) for v in range(256)]).convert("RGB")
    )


def vignette(image: Image.Image, strength: float) -> Image.Image:
    """Darker towards the corners."""
    mask = Image.radial_gradient("L").point([round(strength * max(0, v - 110) * 1.5) for v in range(256)])
    mask = mask.resize(image.size, Image.Resampling.BILINEAR)
    image.paste((0, 0, 0), (0, 0), mask)
    return image


def glow(image: Image.Image, centre: Point, radius: float, colour: Colour, strength: float) -> None:
    """Add soft round light; it falls off with the square of the distance."""
    side = max(round(radius * 2), 2)
    light = Image.radial_gradient("L").point(
        [round(255 * strength * max(0.0, 1 - v / 181) ** 2.4) for v in range(256)]
    )
    light = light.resize((side, side), Image.Resampling.BICUBIC)
    left, top = round(centre[0] - radius), round(centre[1] - radius)
    box = (max(left, 0), max(top, 0), min(left + side, image.width), min(top + side, image.height))
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    light = light.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))
    shine = Image.composite(Image.new("RGB", light.size, colour), Image.new("RGB", light.size), light)
    image.paste(ImageChops.screen(image.crop(box), shine), box)


def ridge(rng: random.Random, *, width: float, base: float, height: float, rough: float) -> list[Point]:
    """A skyline from left to right by halving and shifting; `rough` 0.4 is a soft hill, 0.6 a rock face."""
    heights = [rng.random(), rng.random()]
    shift = 0.6
    while len(heights) < 130:
        finer = [heights[0]]
        for left, right in pairwise(heights):
            finer += [(left + right) / 2 + rng.uniform(-shift, shift), right]
        heights, shift = finer, shift * rough
    low, high = min(heights), max(heights)
    step = width / (len(heights) - 1)
    return [(i * step, base - height * (value - low) / (high - low or 1)) for i, value in enumerate(heights)]


def soft_polygons(size: Size, shapes: Sequence[Sequence[Point]], *, scale: int = 2) -> Image.Image:
    """An antialiased mask of filled shapes."""
    mask = Image.new("L", (size[0] * scale, size[1] * scale))
    draw = ImageDraw.Draw(mask)
    for shape in shapes:
        draw.polygon([(x * scale, y * scale) for x, y in shape], fill=255)
    return mask.reduce(scale)


def below(line: Sequence[Point], size: Size) -> list[Point]:
    """The closed shape under a line."""
    return [*line, (size[0], size[1]), (0.0, size[1])]


def shifted(mask: Image.Image, right: int, down: int) -> Image.Image:
    """The mask moved; what comes in from outside counts as covered, so that no edge shows at the frame."""
    moved = Image.new("L", mask.size, 255)
    moved.paste(mask, (right, down))
    return moved


def dots(size: Size, rng: random.Random, *, count: int, radius: Point, span: float) -> Image.Image:
    """A mask of random round dots of various brightness in the upper `span` of the picture."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for _ in range(count):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1] * span)
        r = rng.uniform(*radius) * rng.random() ** 2 + radius[0]
        draw.ellipse((x - r, y - r, x + r, y + r), fill=rng.randint(70, 255))
    return mask.filter(ImageFilter.BoxBlur(radius[0] * 0.8))
