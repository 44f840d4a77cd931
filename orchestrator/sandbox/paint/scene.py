"""A picture from words alone: sky, ground, water and things, composed by the theme of the prompt."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageEnhance, ImageFilter

from orchestrator.sandbox.paint import brush, land, things
from orchestrator.sandbox.paint.brush import Point, Size
from orchestrator.sandbox.paint.city import paint_city
from orchestrator.sandbox.paint.sky import paint_sky
from orchestrator.sandbox.paint.theme import Theme, mix, read_theme
from orchestrator.sandbox.paint.water import paint_water

HORIZONS = {"sea": 0.6, "lake": 0.58, "city": 0.74, "forest": 0.52, "meadow": 0.56, "desert": 0.56}

WAVES = {"sea": 0.8, "lake": 0.25, "city": 0.4}


def paint_scene(prompt: str, seed: int, size: Size) -> Image.Image:
    """The scene; the same prompt, seed and size always give the same one."""
    rng = random.Random(f"{prompt}\n{seed}")  # noqa: S311  reproducible on purpose
    theme = read_theme(prompt, rng)
    horizon = HORIZONS.get(theme.place, 0.6) + rng.uniform(-0.05, 0.05)
    high = (0.25, 0.5) if theme.palette.is_dark else (0.42, 0.84)
    sun = (size[0] * rng.uniform(0.18, 0.82), size[1] * horizon * rng.uniform(*high))
    image = paint_sky(size, theme, rng, horizon=horizon, sun=sun)
    image = _paint_ground(image, theme, rng, horizon=horizon, sun=sun)
    _paint_things(image, theme, rng, horizon=horizon)
    return finish(image, rng)


def finish(image: Image.Image, rng: random.Random) -> Image.Image:
    """The last touch of every picture: a little bloom, a vignette, and film grain."""
    soft = image.reduce(4).filter(ImageFilter.GaussianBlur(3)).resize(image.size, Image.Resampling.BILINEAR)
    image = ImageEnhance.Color(Image.blend(image, soft, 0.14)).enhance(1.22)
    return brush.grain(brush.vignette(image, 0.24), rng, 0.06)


def _paint_ground(
    image: Image.Image, theme: Theme, rng: random.Random, *, horizon: float, sun: Point
) -> Image.Image:
    palette = theme.palette
    if theme.place == "space":
        _paint_planet(image, theme, rng)
        return image
    if "mountain" in theme.things or theme.place in {"mountain", "lake"}:
        land.paint_peaks(image, palette, rng, horizon=horizon)
    elif theme.place in {"forest", "meadow", "sea"}:
        far = 0.22 if theme.place == "sea" else 0.06
        land.paint_hills(image, palette, rng, horizon=horizon - far, layers=2, rough=0.42)
    if theme.place == "city" or "city" in theme.things:
        image = paint_city(image, palette, rng, horizon=horizon)
    if theme.place in WAVES:
        if "cabin" in theme.things:  # before the water, so that it is mirrored
            things.paint_cabin(image, palette, rng, horizon=horizon - things.CABIN_BELOW)
        paint_water(image, palette, rng, horizon=horizon, sun=sun, waves=WAVES[theme.place])
    _paint_front(image, theme, rng, horizon=horizon, sun=sun)
    return image


def _paint_front(image: Image.Image, theme: Theme, rng: random.Random, *, horizon: float, sun: Point) -> None:
    palette = theme.palette
    if theme.place == "desert":
        land.paint_dunes(image, palette, rng, horizon=horizon, sun=sun)
    elif theme.place == "meadow":
        land.paint_meadow(image, palette, rng, horizon=horizon)
    elif theme.place == "forest" or (theme.place == "mountain" and "forest" in theme.things):
        land.paint_forest(image, palette, rng, horizon=horizon, has_snow="snow" in theme.things)
    elif theme.place == "mountain":
        land.paint_hills(image, palette, rng, horizon=horizon + 0.06, layers=3, rough=0.45)


def _paint_things(image: Image.Image, theme: Theme, rng: random.Random, *, horizon: float) -> None:
    for name, painter in PAINTERS.items():
        if name in theme.things and not (name == "cabin" and theme.place in WAVES):
            painter(image, theme.palette, rng, horizon=horizon)
    things.paint_weather(image, theme.things, theme.palette, rng)


PAINTERS = {
    "balloon": things.paint_balloons,
    "birds": things.paint_birds,
    "lighthouse": things.paint_lighthouse,
    "boat": things.paint_boat,
    "cabin": things.paint_cabin,
}


def _paint_planet(image: Image.Image, theme: Theme, rng: random.Random) -> None:
    """A banded globe, lit from one side."""
    radius = min(image.size) * rng.uniform(0.2, 0.32)
    x, y = image.width * rng.uniform(0.35, 0.65), image.height * rng.uniform(0.5, 0.68)
    side = round(radius * 2)
    tint = rng.choice([(226, 150, 96), (90, 150, 220), (180, 110, 200), (110, 200, 170)])
    bands = brush.noise((side, side), rng, cells=(1, 7), octaves=5)
    surface = Image.composite(
        Image.new("RGB", (side, side), mix(tint, (255, 255, 255), 0.45)),
        Image.new("RGB", (side, side), mix(tint, (20, 10, 40), 0.45)),
        brush.threshold(bands, low=80, high=180),
    ).rotate(rng.uniform(-25, 25), Image.Resampling.BICUBIC, fillcolor=tint)
    far = Image.radial_gradient("L").resize((side * 2, side * 2))
    lit = round(side * 0.72)
    far = far.crop((lit, lit, lit + side, lit + side))
    surface.paste((4, 3, 14), (0, 0), brush.threshold(far, low=85, high=195, most=250))
    disc = brush.soft_polygons((side, side), [_circle(radius)])
    brush.glow(image, (x, y), radius * 1.9, tint, 0.55)
    image.paste(surface, (round(x - radius), round(y - radius)), disc)


def _circle(radius: float) -> list[Point]:
    return [
        (radius + radius * math.cos(t * math.tau / 180), radius + radius * math.sin(t * math.tau / 180))
        for t in range(180)
    ]
