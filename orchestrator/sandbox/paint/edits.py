"""Pictures that come visibly from an input image: variations of it, and edits as a prompt asks for them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from orchestrator.sandbox.paint import brush
from orchestrator.sandbox.paint.brush import Size
from orchestrator.sandbox.paint.theme import MARKER, TINTS, Colour, mix

Edit = Callable[[Image.Image, random.Random], Image.Image]
WORD = re.compile(r"[a-z]+")


def vary(source: Image.Image, seed: int, size: Size, prompt: str) -> Image.Image:
    """A variation: another crop and turn of the image, other colours, another surface."""
    rng = random.Random(seed)  # noqa: S311  reproducible on purpose
    image = _cropped(source, rng, size)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    image = _graded(image, rng)
    image = rng.choice((_keep, _painted, _soft, _clear))(image, rng)
    for edit in _wanted(prompt):
        image = edit(image, rng)
    return brush.grain(image, rng, 0.05)


def edit(source: Image.Image, seed: int, size: Size, prompt: str) -> Image.Image:
    """The image as the prompt wants it; a prompt without a known word gets a grade of its own."""
    rng = random.Random(f"{prompt}\n{seed}")  # noqa: S311  reproducible on purpose
    image = ImageOps.fit(source, size, Image.Resampling.BICUBIC)
    wanted = _wanted(prompt)
    for change in wanted:
        image = change(image, rng)
    return image if wanted else _clear(_graded(image, rng), rng)


def blend(source: Image.Image, scene: Image.Image, strength: float) -> Image.Image:
    """Image to image: strength 0 gives the source, 1 the scene that the prompt alone would give."""
    return Image.blend(ImageOps.fit(source, scene.size, Image.Resampling.BICUBIC), scene, strength)


def _wanted(prompt: str) -> list[Edit]:
    words = WORD.findall(MARKER.sub("", prompt).lower())
    edits = [
        change for stems, change in EDITS.items() if any(w.startswith(tuple(stems.split())) for w in words)
    ]
    return edits + [_tint(TINTS[word]) for word in words if word in TINTS]


def _cropped(source: Image.Image, rng: random.Random, size: Size) -> Image.Image:
    """A part of the image, up to a fifth smaller, from a place of its own."""
    share = rng.uniform(0.8, 0.97)
    wide, high = round(source.width * share), round(source.height * share)
    left, top = rng.randint(0, source.width - wide), rng.randint(0, source.height - high)
    return ImageOps.fit(source.crop((left, top, left + wide, top + high)), size, Image.Resampling.BICUBIC)


def _graded(image: Image.Image, rng: random.Random) -> Image.Image:
    """Turn the hues a little, and lay a light of some colour over it."""
    hue, saturation, value = image.convert("HSV").split()
    turn = rng.randint(-22, 22)
    hue = hue.point([(v + turn) % 256 for v in range(256)])
    image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    light = rng.choice([(255, 196, 140), (150, 190, 255), (255, 170, 190), (190, 235, 200)])
    image = Image.blend(image, ImageChops.soft_light(image, Image.new("RGB", image.size, light)), 0.7)
    return ImageEnhance.Color(image).enhance(rng.uniform(0.9, 1.35))


def _keep(image: Image.Image, rng: random.Random) -> Image.Image:
    return image


def _clear(image: Image.Image, rng: random.Random) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1.15)


def _soft(image: Image.Image, rng: random.Random) -> Image.Image:
    """A soft-focus lens in haze: the lights bleed, the darks are milky."""
    bled = ImageChops.lighter(image, image.filter(ImageFilter.GaussianBlur(image.width / 80)))
    return Image.blend(bled, Image.new("RGB", image.size, (250, 240, 236)), 0.16)


def _painted(image: Image.Image, rng: random.Random) -> Image.Image:
    """Flat strokes on paper: detail smoothed at a third of the size, few tones, darker rims."""
    small = image.reduce(3).filter(ImageFilter.MedianFilter(5))
    flat = ImageOps.posterize(small.filter(ImageFilter.SMOOTH_MORE), 4).filter(ImageFilter.SMOOTH_MORE)
    rims = _edges(flat.convert("L")).filter(ImageFilter.BoxBlur(1))
    flat.paste((70, 60, 90), (0, 0), brush.threshold(rims, low=6, high=60, most=110))
    flat = ImageEnhance.Color(flat.resize(image.size, Image.Resampling.BICUBIC)).enhance(1.35)
    paper = brush.noise(image.size, rng, cells=(180, 180), octaves=1)
    sheet = paper.point([round(128 + (v - 128) * 0.12) for v in range(256)]).convert("RGB")
    return ImageChops.overlay(Image.blend(flat, Image.new("RGB", image.size, (252, 248, 238)), 0.14), sheet)


def _edges(grey: Image.Image) -> Image.Image:
    """Where brightness changes; the frame of the picture is no edge."""
    return ImageOps.expand(ImageOps.crop(grey.filter(ImageFilter.FIND_EDGES), 2), 2, fill=0)


def _at_night(image: Image.Image, rng: random.Random) -> Image.Image:
    """Dark and blue, with the bright parts still glowing, and stars in the upper half."""
    grey = image.convert("L")
    dark = ImageChops.multiply(image, Image.new("RGB", image.size, (52, 76, 150)))
    lights = brush.threshold(grey, low=175, high=250, most=150)
    dark.paste(
        (255, 222, 160),
        (0, 0),
        lights.filter(ImageFilter.BoxBlur(image.width / 90)).point([v // 3 for v in range(256)]),
    )
    stars = brush.dots(image.size, rng, count=170, radius=(image.width / 1500, image.width / 600), span=0.42)
    dark.paste((255, 255, 255), (0, 0), stars)
    moon = (image.width * rng.uniform(0.65, 0.85), image.height * 0.15)
    brush.glow(dark, moon, image.width * 0.3, (180, 200, 255), 0.7)
    brush.glow(dark, moon, image.width * 0.05, (255, 255, 255), 1.0)
    return dark


def _at_sunset(image: Image.Image, rng: random.Random) -> Image.Image:
    """Light from low at one side: orange below, violet above."""
    sky = brush.gradient(
        image.size,
        [(0.0, (96, 66, 150)), (0.5, (250, 130, 96)), (0.75, (255, 196, 120)), (1.0, (120, 60, 90))],
    )
    image = Image.blend(image, ImageChops.soft_light(image, sky), 0.85)
    image = ImageChops.multiply(image, Image.blend(sky, Image.new("RGB", sky.size, (255, 255, 255)), 0.5))
    sun = (image.width * rng.choice((0.2, 0.8)), image.height * 0.5)
    brush.glow(image, sun, image.width * 0.6, (255, 190, 110), 0.8)
    return ImageEnhance.Color(image).enhance(1.2)


def _in_grey(image: Image.Image, rng: random.Random) -> Image.Image:
    grey = ImageOps.autocontrast(image.convert("L"), cutoff=1).convert("RGB")
    return brush.grain(ImageEnhance.Contrast(grey).enhance(1.15), rng, 0.16)


def _in_sepia(image: Image.Image, rng: random.Random) -> Image.Image:
    toned = ImageOps.colorize(image.convert("L"), (38, 22, 12), (255, 240, 206), (176, 128, 84))
    return brush.grain(brush.vignette(toned, 0.6), rng, 0.16)


def _in_snow(image: Image.Image, rng: random.Random) -> Image.Image:
    """Colder and paler, snow on what is bright, flakes in the air."""
    pale = ImageEnhance.Color(image).enhance(0.45)
    pale = Image.blend(pale, Image.new("RGB", image.size, (226, 236, 248)), 0.22)
    lying = brush.threshold(
        brush.noise(image.size, rng, cells=(6, 14), octaves=4), low=120, high=190, most=200
    )
    ground = Image.linear_gradient("L").resize(image.size)
    pale.paste((248, 251, 255), (0, 0), ImageChops.multiply(lying, ground))
    for radius in ((image.width / 800, image.width / 300), (image.width / 300, image.width / 130)):
        flakes = brush.dots(image.size, rng, count=260, radius=radius, span=1.0)
        pale.paste((255, 255, 255), (0, 0), flakes)
    return pale


def _in_neon(image: Image.Image, rng: random.Random) -> Image.Image:
    """Dark, in two colours, with every edge a glowing tube."""
    grey = ImageOps.autocontrast(image.convert("L"))
    base = ImageOps.colorize(grey, (8, 4, 30), (255, 120, 220), (70, 20, 120))
    edges = _edges(grey.reduce(2).filter(ImageFilter.GaussianBlur(1)))
    edges = brush.threshold(edges, low=10, high=60).resize(image.size, Image.Resampling.BILINEAR)
    tube = Image.new("RGB", image.size)
    tube.paste((60, 230, 255), (0, 0), edges)
    light = ImageChops.add(tube, tube.reduce(4).filter(ImageFilter.GaussianBlur(4)).resize(image.size))
    return ImageChops.screen(base.point([round(v * 0.75) for v in range(256)] * 3), light)


def _in_rain(image: Image.Image, rng: random.Random) -> Image.Image:
    dull = ImageEnhance.Color(image).enhance(0.5)
    dull = ImageChops.multiply(dull, Image.new("RGB", image.size, (150, 166, 190)))
    drops = Image.frombytes(
        "L", (image.width, image.height // 24), rng.randbytes(image.width * (image.height // 24))
    )
    streaks = brush.threshold(drops.resize(image.size, Image.Resampling.BICUBIC), low=238, high=255, most=120)
    streaks = streaks.transform(image.size, Image.Transform.AFFINE, (1, 0.22, 0, 0, 1, 0))
    dull.paste((226, 234, 244), (0, 0), streaks)
    return dull


def _in_autumn(image: Image.Image, rng: random.Random) -> Image.Image:
    """Greens turn to orange, the rest grows warmer."""
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([20 + (v - 40) // 6 if 40 <= v <= 115 else v for v in range(256)])
    turned = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    warm = ImageChops.soft_light(turned, Image.new("RGB", image.size, (226, 150, 90)))
    return ImageEnhance.Color(Image.blend(turned, warm, 0.6)).enhance(1.3)


def _as_sketch(image: Image.Image, rng: random.Random) -> Image.Image:
    """Pencil: the picture divided by its own blurred negative, on warm paper."""
    grey = image.convert("L")
    lines = ImageChops.add(grey, ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(image.width / 60)))
    lines = lines.point([round(255 * (v / 255) ** 5) for v in range(256)])
    return ImageOps.colorize(lines, (46, 44, 50), (250, 245, 232))


def _as_mosaic(image: Image.Image, rng: random.Random) -> Image.Image:
    cell = max(image.width // 96, 4)
    return image.reduce(cell).quantize(32).convert("RGB").resize(image.size, Image.Resampling.NEAREST)


def _tint(colour: Colour) -> Edit:
    def tinted(image: Image.Image, rng: random.Random) -> Image.Image:
        toned = ImageOps.colorize(
            image.convert("L"), mix(colour, (0, 0, 0), 0.85), mix(colour, (255, 255, 255), 0.9), colour
        )
        return Image.blend(image, toned, 0.55)

    return tinted


EDITS: dict[str, Edit] = {
    "watercolo paint oil impression gogh monet brush": _painted,
    "night midnight moon star dark": _at_night,
    "sunset dusk evening golden warm dawn sunrise": _at_sunset,
    "snow winter frozen ice icy": _in_snow,
    "autumn fall october": _in_autumn,
    "rain storm": _in_rain,
    "neon cyberpunk futuristic synthwave": _in_neon,
    "pencil sketch drawing charcoal": _as_sketch,
    "pixel mosaic lego retro": _as_mosaic,
    "vintage sepia antique": _in_sepia,
    "monochrom black noir grayscale greyscale": _in_grey,
    "dream soft haze foggy misty": _soft,
}
