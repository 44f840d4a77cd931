"""What stands, sails, flies or falls in a scene: lighthouse, cabin, boat, balloons, birds, weather."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from orchestrator.sandbox.paint import brush
from orchestrator.sandbox.paint.theme import Palette, mix

CABIN_BELOW = 0.26


def paint_lighthouse(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """On a rock at one side, with its beam over the sea."""
    side = rng.choice([-1, 1])
    x = image.width * (0.5 + 0.3 * side)
    foot, high = image.height * (horizon + 0.015), image.height * 0.3
    rock = mix(palette.near, palette.top, 0.25)
    line = [
        (
            x + image.width * 0.24 * t,
            foot
            + image.height * 0.03
            - image.height * 0.075 * math.cos(t * 1.57) ** 0.7
            + rng.uniform(-1, 1) * image.height * 0.004,
        )
        for t in (i / 16 for i in range(-16, 17))
    ]
    foot -= image.height * 0.035
    wide = high * 0.085
    lamp = (x, foot - high * 1.04)
    reach = -side * image.width
    beam = brush.soft_polygons(
        image.size,
        [
            [
                lamp,
                (lamp[0] + reach, lamp[1] - image.height * 0.1),
                (lamp[0] + reach, lamp[1] + image.height * 0.06),
            ]
        ],
        scale=1,
    ).filter(ImageFilter.GaussianBlur(image.width / 140))
    fade = Image.linear_gradient("L").rotate(90 if side > 0 else -90).resize(image.size)
    strength = 0.75 if palette.is_dark else 0.35
    image.paste(
        palette.light,
        (0, 0),
        ImageChops.multiply(beam, fade.point([round((255 - v) * strength) for v in range(256)])),
    )
    image.paste(rock, (0, 0), brush.soft_polygons(image.size, [line]))
    white = mix((246, 242, 236), palette.top, 0.35 if palette.is_dark else 0.08)
    red = mix((196, 48, 52), palette.top, 0.35 if palette.is_dark else 0.05)
    for stripe in range(5):
        low, up = stripe / 5, (stripe + 1) / 5
        a, b = wide * (1 - 0.4 * low), wide * (1 - 0.4 * up)
        shape = [
            (x - a, foot - high * low),
            (x + a, foot - high * low),
            (x + b, foot - high * up),
            (x - b, foot - high * up),
        ]
        image.paste(red if stripe % 2 else white, (0, 0), brush.soft_polygons(image.size, [shape]))
    cap = [
        (x - wide * 0.6, foot - high * 1.09),
        (x, foot - high * 1.17),
        (x + wide * 0.6, foot - high * 1.09),
    ]
    room = [
        (x - wide * 0.45, foot - high),
        (x + wide * 0.45, foot - high),
        (x + wide * 0.45, foot - high * 1.09),
        (x - wide * 0.45, foot - high * 1.09),
    ]
    image.paste((255, 240, 190), (0, 0), brush.soft_polygons(image.size, [room]))
    image.paste(rock, (0, 0), brush.soft_polygons(image.size, [cap]))
    brush.glow(image, lamp, image.width * 0.1, (255, 240, 190), 0.95)


def paint_boat(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """A sailing boat and its dim reflection."""
    x, size = image.width * rng.uniform(0.3, 0.7), image.height * rng.uniform(0.12, 0.19)
    y = image.height * (horizon + 0.09)
    hull = [
        (x - size * 0.34, y - size * 0.1),
        (x + size * 0.4, y - size * 0.1),
        (x + size * 0.26, y),
        (x - size * 0.24, y),
    ]
    main = [(x, y - size), (x + size * 0.34, y - size * 0.15), (x, y - size * 0.15)]
    jib = [
        (x - size * 0.03, y - size * 0.88),
        (x - size * 0.03, y - size * 0.15),
        (x - size * 0.28, y - size * 0.15),
    ]
    sail = mix(palette.light, palette.near, 0.12)
    for colour, shape in (
        (sail, main),
        (mix(sail, palette.middle, 0.35), jib),
        (mix(palette.near, (90, 40, 30), 0.3), hull),
    ):
        mirrored = [(px, 2 * y - (y - (y - py) * 0.8)) for px, py in shape]
        shadow = brush.soft_polygons(image.size, [mirrored]).filter(ImageFilter.GaussianBlur(size / 60))
        image.paste(
            mix(colour, palette.near, 0.4), (0, 0), shadow.point([round(v * 0.35) for v in range(256)])
        )
        image.paste(colour, (0, 0), brush.soft_polygons(image.size, [shape]))


def paint_balloons(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """A few hot-air balloons, striped, of different distance."""
    count = rng.randint(3, 5)
    for place in range(count):
        r = image.width * rng.uniform(0.02, 0.06)
        x = image.width * (place + rng.uniform(0.35, 0.75)) / count
        y = image.height * horizon * rng.uniform(0.2, 0.75)
        first, second = rng.sample(
            [(222, 70, 60), (244, 180, 60), (60, 130, 200), (240, 236, 226), (90, 60, 140)], 2
        )
        haze = 0.45 * (1 - r / (image.width * 0.06))
        for part in range(5):
            outer, inner = 1 - part * 0.4, 1 - (part + 1) * 0.4
            shape = _gore(x, y, r, outer, inner)
            colour = mix(first if part % 2 else second, palette.low, haze)
            image.paste(
                mix(colour, palette.near, 0.07 * part), (0, 0), brush.soft_polygons(image.size, [shape])
            )
        ImageDraw.Draw(image).rectangle(
            (x - r * 0.14, y + r * 1.5, x + r * 0.14, y + r * 1.72), fill=mix((90, 56, 34), palette.low, haze)
        )


def _gore(x: float, y: float, r: float, outer: float, inner: float) -> list[tuple[float, float]]:
    """One stripe of a balloon, between two meridians."""
    turns = [i / 14 for i in range(15)]

    def profile(t: float) -> float:
        return float(math.sin(math.pi * (0.08 + 0.86 * t)) ** 0.8) * (1 - 0.35 * t**3)

    left = [(x + r * outer * profile(t), y - r + 2.3 * r * t) for t in turns]
    right = [(x + r * inner * profile(t), y - r + 2.3 * r * t) for t in turns]
    return left + right[::-1]


def paint_cabin(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """A small house with warm windows."""
    x, y = image.width * rng.uniform(0.25, 0.75), image.height * (horizon + CABIN_BELOW)
    s = image.height * 0.09
    wall = mix(palette.near, (110, 66, 40), 0.5)
    roof = mix(palette.near, (30, 22, 26), 0.5)
    image.paste(
        wall,
        (0, 0),
        brush.soft_polygons(
            image.size, [[(x - s, y), (x + s, y), (x + s, y - s * 0.8), (x - s, y - s * 0.8)]]
        ),
    )
    image.paste(
        roof,
        (0, 0),
        brush.soft_polygons(
            image.size, [[(x - s * 1.25, y - s * 0.75), (x, y - s * 1.6), (x + s * 1.25, y - s * 0.75)]]
        ),
    )
    draw = ImageDraw.Draw(image)
    for at in (-0.55, 0.2):
        draw.rectangle((x + s * at, y - s * 0.58, x + s * (at + 0.34), y - s * 0.24), fill=(255, 220, 140))
        brush.glow(image, (x + s * (at + 0.17), y - s * 0.4), s * 1.3, (255, 190, 90), 0.8)


def paint_birds(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """A loose flock, as pairs of curved strokes."""
    x, y = image.width * rng.uniform(0.2, 0.7), image.height * horizon * rng.uniform(0.3, 0.6)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(5, 9)):
        at = (x + rng.gauss(0, 0.07) * image.width, y + rng.gauss(0, 0.035) * image.height)
        span = image.width * rng.uniform(0.007, 0.014)
        wing = [
            (at[0] - span, at[1] - span * 0.35),
            (at[0] - span * 0.4, at[1] - span * 0.45),
            at,
            (at[0] + span * 0.4, at[1] - span * 0.45),
            (at[0] + span, at[1] - span * 0.35),
        ]
        draw.line(
            wing, fill=mix(palette.near, palette.middle, 0.2), width=max(1, image.width // 500), joint="curve"
        )


def paint_weather(image: Image.Image, things: frozenset[str], palette: Palette, rng: random.Random) -> None:
    """What falls or floats in front of everything."""
    unit = min(image.size)
    if "snow" in things:
        for radius in ((unit / 900, unit / 350), (unit / 350, unit / 150)):
            flakes = brush.dots(image.size, rng, count=170, radius=radius, span=1.0)
            image.paste((255, 255, 255), (0, 0), flakes.point([round(v * 0.8) for v in range(256)]))
    if "fireflies" in things:
        for _ in range(46):
            at = (rng.uniform(0, image.width), image.height * rng.uniform(0.5, 0.98))
            brush.glow(image, at, unit * rng.uniform(0.008, 0.028), (255, 226, 130), 1.0)
    if "rain" in things:
        sheet = Image.new("L", image.size)
        draw = ImageDraw.Draw(sheet)
        for _ in range(520):
            x, y, fall = (
                rng.uniform(-0.1, 1.1) * image.width,
                rng.uniform(-0.1, 1) * image.height,
                rng.uniform(0.02, 0.05),
            )
            draw.line(
                (x, y, x - image.width * fall * 0.25, y + image.height * fall), fill=rng.randint(30, 110)
            )
        image.paste(mix(palette.low, (255, 255, 255), 0.5), (0, 0), sheet)
