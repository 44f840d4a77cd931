"""The ground of a scene in layers, far to near: each has more of the near colour and less of the haze."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from orchestrator.sandbox.paint import brush
from orchestrator.sandbox.paint.brush import Point, Size
from orchestrator.sandbox.paint.theme import Colour, Palette, mix

SNOW = (240, 246, 252)


def paint_hills(
    image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float, layers: int, rough: float
) -> None:
    """Layered hills, or mountains when rough, that rise above the horizon and fill what is below it."""
    height = image.height
    for layer in range(layers):
        depth = (layer + 1) / layers
        base = height * (horizon + 0.03 + 0.32 * depth**1.6)
        rise = height * (0.34 - 0.18 * depth) * (1.25 if rough > 0.5 else 0.8)
        line = brush.ridge(rng, width=image.width, base=base, height=rise, rough=rough)
        fill_under(
            image,
            line,
            top=mix(palette.middle, palette.near, 0.25 + 0.75 * depth),
            palette=palette,
            depth=depth,
        )


def fill_under(
    image: Image.Image, line: Sequence[Point], *, top: Colour, palette: Palette, depth: float
) -> Image.Image:
    """Fill below a line; mist gathers at the foot of far layers. Gives the mask."""
    mask = brush.soft_polygons(image.size, [brush.below(line, image.size)])
    crest = min(y for _, y in line) / image.height
    foot = mix(top, palette.low, 0.55 * (1 - depth))
    image.paste(
        brush.gradient(image.size, [(0, top), (crest, top), (min(crest + 0.3, 1.0), foot), (1.0, foot)]),
        (0, 0),
        mask,
    )
    return mask


def paint_peaks(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """Two ranges of rock with snow on the upper part, lit from one side."""
    for depth, rise in ((0.25, 0.46), (0.6, 0.3)):
        line = brush.ridge(
            rng,
            width=image.width,
            base=image.height * (horizon + 0.05),
            height=image.height * rise,
            rough=0.56,
        )
        rock = mix(palette.middle, palette.near, 0.3 + 0.55 * depth)
        mask = fill_under(image, line, top=rock, palette=palette, depth=depth)
        _snow_caps(image, line, mask, palette, rng, rise=image.height * rise)


def _snow_caps(
    image: Image.Image,
    line: list[Point],
    mask: Image.Image,
    palette: Palette,
    rng: random.Random,
    *,
    rise: float,
) -> None:
    crest = min(y for _, y in line)
    rocky = brush.noise(image.size, rng, cells=(14, 18), octaves=4)
    reach = brush.gradient(
        image.size,
        [
            (0, (235,) * 3),
            (crest / image.height, (235,) * 3),
            ((crest + rise * 0.95) / image.height, (0,) * 3),
            (1, (0,) * 3),
        ],
    ).convert("L")
    caps = brush.threshold(
        ImageChops.add(ImageChops.multiply(rocky, reach), reach, 1.6), low=104, high=132, most=235
    )
    lit = mix(palette.low, SNOW, 0.25 if palette.is_dark else 0.6)
    image.paste(lit, (0, 0), ImageChops.multiply(caps, mask))
    shadow = ImageChops.subtract(
        mask, brush.shifted(mask, round(image.width * 0.012), round(-image.height * 0.01))
    )
    image.paste(mix(palette.top, palette.near, 0.4), (0, 0), shadow.point([v // 2 for v in range(256)]))


def paint_forest(
    image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float, has_snow: bool
) -> None:
    """Rows of conifers with mist between them."""
    for depth, size, count in ((0.35, 0.16, 46), (0.62, 0.25, 30), (1.0, 0.44, 15)):
        foot = image.height * (horizon + 0.04 + 0.3 * depth)
        line = brush.ridge(rng, width=image.width, base=foot, height=image.height * 0.05, rough=0.45)
        colour = mix(palette.middle, palette.near, 0.2 + 0.8 * depth)
        trees = [
            _conifer(rng, rng.choice(line), image.height * size * rng.uniform(0.55, 1.1))
            for _ in range(count)
        ]
        mask = brush.soft_polygons(image.size, trees)
        fill_under(image, line, top=colour, palette=palette, depth=depth)
        image.paste(colour, (0, 0), mask)
        if has_snow:
            lifted = ImageChops.subtract(mask, brush.shifted(mask, 0, round(image.height * 0.006)))
            image.paste(
                mix(palette.low, SNOW, 0.7), (0, 0), lifted.point([round(v * 0.8) for v in range(256)])
            )
        if depth < 1:
            _mist(image, palette, rng, y=foot, strength=0.5)


def _conifer(rng: random.Random, root: Point, height: float) -> list[Point]:
    x, y = root[0], root[1] + height * 0.07
    half = height * rng.uniform(0.15, 0.21)
    tiers = 7
    left: list[Point] = []
    right: list[Point] = []
    for tier in range(1, tiers + 1):
        share = tier / tiers
        at = y - height * (1 - share * 0.94)
        reach = half * share * rng.uniform(0.85, 1.1)
        left += [(x - reach, at), (x - reach * 0.5, at - height * 0.015)]
        right += [(x + reach * rng.uniform(0.9, 1.05), at), (x + reach * 0.5, at - height * 0.015)]
    return [(x, y - height), *right, (x + half * 0.1, y + 2), (x - half * 0.1, y + 2), *reversed(left)]


def _mist(image: Image.Image, palette: Palette, rng: random.Random, *, y: float, strength: float) -> None:
    veil = brush.noise(image.size, rng, cells=(3, 10), octaves=3)
    reach = brush.gradient(
        image.size,
        [
            (0.0, (0,) * 3),
            (max(y / image.height - 0.16, 0.01), (0,) * 3),
            (y / image.height, (255,) * 3),
            (min(y / image.height + 0.1, 0.99), (0,) * 3),
            (1.0, (0,) * 3),
        ],
    ).convert("L")
    mask = ImageChops.multiply(brush.threshold(veil, low=70, high=190, most=round(255 * strength)), reach)
    image.paste(palette.low, (0, 0), mask)


def paint_dunes(
    image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float, sun: Point
) -> None:
    """Sand in long curves: behind each crest lies the shadow of its far side."""
    sand = mix((224, 148, 78), palette.middle, 0.2 if not palette.is_dark else 0.75)
    for layer in range(5):
        depth = (layer + 1) / 5
        base = image.height * (horizon + 0.04 + 0.46 * depth**1.4)
        line = brush.ridge(
            rng, width=image.width, base=base, height=image.height * (0.1 + 0.1 * depth), rough=0.26
        )
        lit = mix(mix(palette.low, sand, 0.4 + 0.6 * depth), palette.near, 0.1 * depth)
        mask = fill_under(image, line, top=lit, palette=palette, depth=0.5 + 0.5 * depth)
        side = 1 if sun[0] < image.width / 2 else -1
        slope = [(x + side * 0.1 * image.width, y + 0.04 * image.height + 0.3 * (base - y)) for x, y in line]
        slip = brush.soft_polygons(image.size, [[*line, *reversed(slope)]])
        fade = slip.filter(ImageFilter.BoxBlur(image.width / 80))
        dark = mix(mix(lit, palette.near, 0.55), palette.top, 0.15)
        image.paste(
            dark,
            (0, 0),
            ImageChops.multiply(ImageChops.multiply(fade, slip), mask).point(
                [round(v * 0.7) for v in range(256)]
            ),
        )


def paint_meadow(image: Image.Image, palette: Palette, rng: random.Random, *, horizon: float) -> None:
    """Grass blades and flowers in front, larger the nearer they stand."""
    size: Size = image.size
    line = brush.ridge(rng, width=size[0], base=size[1] * (horizon + 0.2), height=size[1] * 0.07, rough=0.35)
    grass = mix(palette.near, (96, 150, 70), 0.0 if palette.is_dark else 0.35)
    fill_under(image, line, top=mix(grass, palette.low, 0.22), palette=palette, depth=1.0)
    draw = ImageDraw.Draw(image)
    bloom = rng.choice([(236, 92, 110), (250, 205, 80), (168, 120, 226), (250, 250, 244), (240, 140, 190)])
    for step in range(1100):
        near = step / 1100
        x = rng.uniform(0, size[0])
        y = size[1] * (horizon + 0.17 + (0.86 - horizon) * near**1.2) + rng.uniform(-6, 6)
        blade = size[1] * (0.008 + 0.06 * near) * rng.uniform(0.6, 1.2)
        lean = rng.uniform(-0.35, 0.35) * blade
        colour = mix(mix(grass, palette.low, 0.3 * (1 - near)), palette.near, rng.uniform(0, 0.5))
        draw.line(
            (x, y, x + lean, y - blade), fill=colour, width=max(1, round(size[0] / 900 * (0.6 + 2 * near)))
        )
        if rng.random() < 0.3:
            r = size[0] * (0.0012 + 0.006 * near) * rng.uniform(0.7, 1.3)
            petal = mix(
                mix(bloom, (255, 255, 255), rng.uniform(0, 0.35)),
                palette.near,
                0.45 if palette.is_dark else 0.05,
            )
            draw.ellipse((x + lean - r, y - blade - r * 0.8, x + lean + r, y - blade + r * 0.8), fill=petal)
