"""Water: the scene above it upside down, broken by ripples, with the sun's glitter on it."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw, ImageFilter

from orchestrator.sandbox.paint import brush
from orchestrator.sandbox.paint.brush import Point
from orchestrator.sandbox.paint.theme import Palette, mix


def paint_water(
    image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float, sun: Point, waves: float
) -> None:
    """Cover everything below the horizon; `waves` from 0 (a mirror) to 1 (the open sea)."""
    top = round(image.height * horizon)
    width, depth = image.width, image.height - top
    above = image.crop((0, max(0, top - depth), width, top)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirror = above.resize((width, depth)).filter(ImageFilter.BoxBlur(image.width / 700))
    shade = brush.gradient(
        mirror.size,
        [(0.0, mix(palette.middle, palette.near, 0.2)), (1.0, mix(palette.top, palette.near, 0.75))],
    )
    mirror = Image.blend(mirror, shade, 0.28 + 0.34 * waves)
    _ripple(mirror, rng, waves)
    image.paste(mirror, (0, top))
    _waves(image, palette, rng, top=top, waves=waves)
    _glitter(image, palette, rng, top=top, x=sun[0])


def _ripple(mirror: Image.Image, rng: random.Random, waves: float) -> None:
    """Shift bands of rows sideways; bands grow and swing more towards the viewer."""
    y, source = 0, mirror.copy()
    while y < mirror.height:
        near = y / mirror.height
        band = max(2, round(mirror.height * (0.004 + 0.012 * near)))
        shift = round(mirror.width * (0.002 + 0.014 * waves) * (0.3 + near) * rng.uniform(-1, 1))
        strip = source.crop((0, y, mirror.width, min(y + band, mirror.height)))
        mirror.paste(strip, (shift, y))
        y += band


def _waves(image: Image.Image, palette: Palette, rng: random.Random, *, top: int, waves: float) -> None:
    """Short strokes of the sky's colours, thin and dense far off, longer near by."""
    layer = Image.new("L", image.size)
    draw = ImageDraw.Draw(layer)
    dark = Image.new("L", image.size)
    dark_draw = ImageDraw.Draw(dark)
    depth = image.height - top
    for step in range(420):
        near = (step / 420) ** 1.7
        x, y = rng.uniform(-0.05, 1) * image.width, top + depth * near + rng.uniform(0, 4)
        long = image.width * (0.01 + 0.09 * near) * rng.uniform(0.4, 1.3)
        thick = image.height * (0.0008 + 0.004 * near) * (0.5 + waves)
        pen = draw if step % 2 else dark_draw
        pen.ellipse(
            (x, y - thick, x + long, y + thick), fill=round(rng.uniform(30, 120) * (0.4 + 0.6 * waves))
        )
    blur = ImageFilter.BoxBlur(image.width / 900)
    image.paste(mix(palette.top, palette.near, 0.5), (0, 0), dark.filter(blur))
    image.paste(mix(palette.low, palette.light, 0.3), (0, 0), layer.filter(blur))


def _glitter(image: Image.Image, palette: Palette, rng: random.Random, *, top: int, x: float) -> None:
    layer = Image.new("L", image.size)
    draw = ImageDraw.Draw(layer)
    depth = image.height - top
    for step in range(300):
        near = step / 300
        y = top + depth * near**1.3
        spread = image.width * (0.012 + 0.075 * near)
        at = x + rng.gauss(0, 1) * spread
        long = image.width * (0.004 + 0.022 * near) * rng.uniform(0.3, 1.2)
        thick = image.height * (0.0006 + 0.0024 * near)
        draw.ellipse(
            (at - long, y - thick, at + long, y + thick), fill=round(rng.uniform(90, 240) * (1 - 0.55 * near))
        )
    image.paste(palette.light, (0, 0), layer.filter(ImageFilter.BoxBlur(image.width / 1100)))
