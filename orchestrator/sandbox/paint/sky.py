"""The upper part of a scene: colours, stars, sun or moon, clouds, aurora."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from orchestrator.sandbox.paint import brush
from orchestrator.sandbox.paint.brush import Point, Size
from orchestrator.sandbox.paint.theme import Palette, Theme, mix

WHITE = (255, 255, 255)


def paint_sky(size: Size, theme: Theme, rng: random.Random, *, horizon: float, sun: Point) -> Image.Image:
    """The whole sheet filled with sky; the ground is painted over it."""
    palette = theme.palette
    image = brush.gradient(
        size,
        [(0.0, palette.top), (horizon * 0.55, palette.middle), (horizon, palette.low), (1.0, palette.low)],
    )
    unit = min(size)
    if theme.place == "space":
        _nebula(image, palette, rng)
    if palette.is_dark:
        _stars(image, rng, unit)
    if "aurora" in theme.things:
        image = _aurora(image, rng, horizon)
    elif theme.place != "space":
        _clouds(image, palette, rng, horizon)
    _sun(image, palette, rng, sun, unit)
    return image


def _stars(image: Image.Image, rng: random.Random, unit: int) -> None:
    small = brush.dots(image.size, rng, count=420, radius=(unit / 1600, unit / 700), span=1.0)
    image.paste(WHITE, (0, 0), small)
    for _ in range(9):
        at = (rng.uniform(0, image.width), rng.uniform(0, image.height * 0.6))
        brush.glow(image, at, unit / 40, (210, 225, 255), 0.8)


def _nebula(image: Image.Image, palette: Palette, rng: random.Random) -> None:
    tints = rng.sample([(255, 80, 140), (90, 120, 255), (60, 210, 200), (190, 90, 255), (255, 160, 80)], 3)
    for tint in tints:
        cloud = brush.noise(image.size, rng, cells=(2, 2), octaves=6)
        mask = brush.threshold(cloud, low=118, high=205, most=175)
        image.paste(mix(tint, palette.middle, 0.15), (0, 0), mask)


def _clouds(image: Image.Image, palette: Palette, rng: random.Random, horizon: float) -> None:
    """Lit from below: the lower half of each cloud takes the horizon's colour, the upper one the light's."""
    lumps = brush.noise(image.size, rng, cells=(2, 9), octaves=5)
    fade = brush.gradient(
        image.size, [(0.0, (120,) * 3), (horizon * 0.6, (255,) * 3), (horizon, (60,) * 3), (1.0, (0,) * 3)]
    ).convert("L")
    start = rng.randint(122, 150)
    mask = ImageChops.multiply(brush.threshold(lumps, low=start, high=start + 66, most=215), fade)
    lit = mix(palette.low, WHITE, 0.35) if not palette.is_dark else mix(palette.middle, palette.low, 0.5)
    image.paste(mix(palette.middle, palette.top, 0.35), (0, round(image.height * 0.006)), mask)
    image.paste(lit, (0, 0), ImageChops.multiply(mask, mask))


def _sun(image: Image.Image, palette: Palette, rng: random.Random, sun: Point, unit: int) -> None:
    radius = unit * rng.uniform(0.038, 0.062)
    brush.glow(image, sun, unit * 0.75, mix(palette.low, palette.light, 0.4), 0.55)
    brush.glow(image, sun, unit * 0.26, palette.light, 0.9)
    side = round(radius * 2) + 4
    disc = Image.new("L", (side * 4, side * 4))
    ImageDraw.Draw(disc).ellipse((8, 8, side * 4 - 9, side * 4 - 9), fill=255)
    disc = disc.reduce(4)
    corner = (round(sun[0] - side / 2), round(sun[1] - side / 2))
    image.paste(mix(palette.light, WHITE, 0.75), corner, disc)
    if palette.is_dark:
        spots = brush.noise(disc.size, rng, cells=(3, 3), octaves=3)
        image.paste(
            mix(palette.light, palette.middle, 0.35),
            corner,
            ImageChops.multiply(brush.threshold(spots, low=130, high=180, most=120), disc),
        )


def _aurora(image: Image.Image, rng: random.Random, horizon: float) -> Image.Image:
    """Curtains of light: columns that hang from a waving line, blurred and added to the sky."""
    small = Image.new("RGB", (320, 240))
    for colour in ((40, 230, 150), (60, 200, 220), (150, 80, 230)):
        sheet = Image.new("L", small.size)
        phase, swing = rng.uniform(0, math.tau), rng.uniform(12, 26)
        shine = brush.noise((small.width, 1), rng, cells=(10, 1), octaves=4)
        curtain = Image.linear_gradient("L").resize((1, rng.randint(70, 120)))
        foot = 240 * horizon * rng.uniform(0.5, 0.85)
        for x in range(small.width):
            light = shine.getpixel((x, 0))
            assert isinstance(light, int)  # noqa: S101  one band, one number
            y = foot + swing * math.sin(phase + x / 46) + 9 * math.sin(phase * 2 + x / 17)
            sheet.paste(
                curtain.point([round(v * light / 200) for v in range(256)]), (x, round(y) - curtain.height)
            )
        layer = Image.new("RGB", small.size, colour)
        small = ImageChops.screen(small, Image.composite(layer, Image.new("RGB", small.size), sheet))
    soft = small.filter(ImageFilter.GaussianBlur(2.2)).resize(image.size, Image.Resampling.BICUBIC)
    return ImageChops.screen(image, soft)
