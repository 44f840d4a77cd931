"""A skyline: three rows of towers with lit windows."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from orchestrator.sandbox.paint.theme import Colour, Palette, mix

NEON: list[Colour] = [(255, 60, 170), (60, 220, 255), (170, 90, 255), (255, 190, 60), (90, 255, 190)]
WARM: list[Colour] = [(255, 214, 140), (255, 190, 110), (255, 236, 190), (210, 230, 255)]


def paint_city(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> Image.Image:
    """Three rows of towers; in the dark most windows are lit, and they glow."""
    foot = image.height * horizon
    is_neon = palette.middle[0] > palette.middle[1] * 2 and palette.is_dark
    lights = Image.new("RGB", image.size)
    for depth, tall in ((0.3, 0.5), (0.6, 0.38), (1.0, 0.27)):
        colour = mix(palette.middle, palette.near, 0.25 + 0.72 * depth)
        x = -rng.uniform(0, 0.05) * image.width
        while x < image.width:
            wide = image.width * rng.uniform(0.028, 0.075) * (0.7 + 0.5 * depth)
            high = image.height * tall * rng.uniform(0.3, 1.0) ** 1.3
            box = (round(x), round(foot - high), round(x + wide), round(foot))
            _tower(
                image, lights, box, colour=colour, palette=palette, rng=rng, colours=NEON if is_neon else WARM
            )
            x += wide * rng.uniform(0.85, 1.3)
    bloom = lights.reduce(4).filter(ImageFilter.GaussianBlur(image.width / 300))
    lit = ImageChops.add(lights, bloom.resize(image.size, Image.Resampling.BILINEAR))
    return ImageChops.screen(image, lit)


def _tower(
    image: Image.Image,
    lights: Image.Image,
    box: tuple[int, int, int, int],
    *,
    colour: Colour,
    palette: Palette,
    rng: random.Random,
    colours: list[Colour],
) -> None:
    left, top, right, bottom = box
    draw, lamp = ImageDraw.Draw(image), ImageDraw.Draw(lights)
    draw.rectangle(box, fill=colour)
    lamp.rectangle(box, fill=(0, 0, 0))  # a nearer tower hides the lights behind it
    edge = mix(colour, palette.low, 0.16)
    draw.rectangle((left, top, left + max(1, (right - left) // 9), bottom), fill=edge)
    if rng.random() < 0.35:
        mast = round((bottom - top) * rng.uniform(0.1, 0.25))
        middle = (left + right) // 2
        draw.line((middle, top - mast, middle, top), fill=colour, width=max(1, image.width // 500))
        lamp.point((middle, top - mast), fill=(255, 60, 60))
    cell = max(4, image.width // 110)
    share = 0.5 if palette.is_dark else 0.16
    tint = rng.choice(colours)
    for y in range(top + cell, bottom - cell // 2, cell):
        for x in range(left + cell // 2, right - cell // 2, cell):
            if rng.random() < share:
                glow = mix(
                    rng.choice(colours) if rng.random() < 0.2 else tint, (0, 0, 0), rng.uniform(0, 0.6)
                )
                lamp.rectangle((x, y, x + cell * 0.42, y + cell * 0.5), fill=glow)
