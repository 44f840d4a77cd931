"""Reads a prompt: which colours, which place, and which things its words ask for.

A prompt that says nothing about one of them gets a choice that is its own, and the same every time.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import TypeVar

Colour = tuple[int, int, int]
T = TypeVar("T")
WORD = re.compile(r"[a-z]+")
MARKER = re.compile(r"\[fault:[^\]]*\]", re.IGNORECASE)


@dataclass(frozen=True)
class Palette:
    """The sky from top to horizon, the light in it, and the ground that is nearest."""

    top: Colour
    middle: Colour
    low: Colour
    light: Colour
    near: Colour
    is_dark: bool = False


@dataclass(frozen=True)
class Theme:
    """What a prompt asks for. `place` is one of PLACES, `things` are some of THINGS."""

    palette: Palette
    place: str
    things: frozenset[str]


PALETTES = {
    "day": Palette((44, 112, 196), (126, 184, 232), (229, 240, 240), (255, 251, 232), (28, 70, 58)),
    "sunset": Palette((44, 36, 96), (200, 78, 104), (255, 190, 110), (255, 238, 196), (34, 20, 46)),
    "dawn": Palette((84, 112, 176), (238, 166, 170), (255, 226, 190), (255, 246, 224), (48, 52, 86)),
    "night": Palette((5, 9, 32), (18, 34, 82), (70, 100, 152), (244, 246, 255), (5, 9, 22), is_dark=True),
    "golden": Palette((104, 138, 180), (246, 192, 118), (255, 230, 166), (255, 248, 214), (86, 52, 28)),
    "storm": Palette((30, 36, 50), (82, 94, 112), (176, 184, 186), (226, 232, 236), (20, 28, 36)),
    "neon": Palette((8, 4, 36), (86, 14, 122), (255, 70, 160), (255, 214, 250), (10, 5, 32), is_dark=True),
    "winter": Palette((98, 144, 198), (184, 210, 234), (250, 242, 240), (255, 253, 246), (76, 104, 138)),
    "autumn": Palette((98, 142, 186), (232, 206, 170), (255, 228, 178), (255, 246, 220), (122, 50, 22)),
    "spring": Palette((84, 160, 224), (170, 216, 238), (250, 240, 228), (255, 252, 236), (58, 112, 60)),
    "mist": Palette((136, 158, 172), (186, 200, 204), (228, 232, 226), (250, 250, 240), (54, 78, 84)),
    "space": Palette((3, 3, 14), (16, 10, 44), (52, 24, 84), (236, 238, 255), (6, 5, 18), is_dark=True),
}
# Both tables are read from the top: the first row with a word of the prompt wins.
MOODS = {
    "neon": "neon cyberpunk futuristic synthwave vapor retrowave tokyo hologra",
    "space": "space galaxy nebula planet cosmos cosmic universe alien astronaut",
    "sunset": "sunset dusk evening twilight romantic warm",
    "dawn": "dawn sunrise morning pastel dream",
    "night": "night midnight moon star dark aurora northern firefl lantern",
    "storm": "storm rain thunder dramatic moody grey gray tempest",
    "golden": "golden desert dune sahara savanna safari wheat honey",
    "winter": "winter snow ice icy frozen arctic glacier christmas frost",
    "autumn": "autumn fall october maple harvest",
    "spring": "spring blossom flower bloom meadow garden",
    "mist": "mist fog haze hazy zen",
    "day": "day noon summer sunny bright sky beach",
}
PLACES = {
    "city": "city skyline street town urban building skyscraper tokyo york downtown cityscape",
    "space": "space galaxy nebula planet cosmos cosmic universe alien astronaut",
    "desert": "desert dune sahara canyon sand pyramid camel",
    "sea": "sea ocean beach coast harbo lighthouse boat sail ship island wave fjord whale",
    "lake": "lake river pond reflection water swan",
    "mountain": "mountain alp peak summit himalaya glacier volcano cliff",
    "forest": "forest wood tree jungle pine grove cabin deer fox wolf bear owl",
    "meadow": "meadow field flower garden grass lavender wheat farm bloom spring savanna",
}
THINGS = {
    "aurora": "aurora northern",
    "balloon": "balloon",
    "birds": "bird gull swallow",
    "boat": "boat sail ship yacht",
    "cabin": "cabin cottage hut house farm",
    "city": PLACES["city"],
    "fireflies": "firefl lantern spark magic fairy",
    "forest": "forest pine grove",
    "lighthouse": "lighthouse",
    "mountain": PLACES["mountain"],
    "rain": "rain storm thunder tempest",
    "snow": "snow winter blizzard christmas",
}
TINTS: dict[str, Colour] = {
    "red": (214, 48, 49),
    "crimson": (200, 30, 60),
    "orange": (245, 130, 40),
    "yellow": (250, 205, 60),
    "gold": (240, 190, 80),
    "green": (50, 160, 90),
    "emerald": (20, 150, 110),
    "teal": (20, 150, 160),
    "turquoise": (40, 190, 190),
    "blue": (40, 100, 220),
    "purple": (130, 60, 200),
    "violet": (140, 70, 210),
    "lavender": (170, 140, 220),
    "pink": (245, 130, 180),
    "magenta": (220, 40, 160),
}


def read_theme(prompt: str, rng: random.Random) -> Theme:
    """The theme of a prompt; `rng` decides what the prompt leaves open and shades the colours a little."""
    words = WORD.findall(MARKER.sub("", prompt).lower())
    own = random.Random(" ".join(words))  # noqa: S311  a prompt's own choice, not a secret
    mood = _first_match(words, MOODS) or own.choice(["sunset", "dawn", "day", "golden", "night", "spring"])
    place = _first_match(words, PLACES) or own.choice(["sea", "lake", "mountain", "meadow", "forest"])
    palette = _shaded(PALETTES[mood], rng)
    for word in words:
        if word in TINTS:
            palette = _tinted(palette, TINTS[word])
    return Theme(palette, place, frozenset(_all_matches(words, THINGS)))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` 0 is the one colour, 1 the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _first_match(words: list[str], table: dict[str, str]) -> str | None:
    return next(iter(_all_matches(words, table)), None)


def _all_matches(words: list[str], table: dict[str, str]) -> list[str]:
    return [name for name, stems in table.items() if any(_is_meant(word, stems.split()) for word in words)]


def _is_meant(word: str, stems: list[str]) -> bool:
    """`mountains` and `misty` mean mountain and mist; `skyline` does not mean sky, nor `farmland` farm."""
    return any(word.startswith(stem) and len(word) <= len(stem) + 3 for stem in stems)


def _shaded(palette: Palette, rng: random.Random) -> Palette:
    warmth = rng.uniform(-14, 14)

    def shade(colour: Colour) -> Colour:
        red, green, blue = colour
        return _clip(red + warmth), _clip(green + rng.uniform(-4, 4)), _clip(blue - warmth)

    return replace(palette, top=shade(palette.top), middle=shade(palette.middle), low=shade(palette.low))


def _tinted(palette: Palette, tint: Colour) -> Palette:
    return replace(
        palette,
        top=mix(palette.top, mix(tint, (0, 0, 0), 0.35), 0.35),
        middle=mix(palette.middle, tint, 0.45),
        low=mix(palette.low, tint, 0.2),
        near=mix(palette.near, mix(tint, (0, 0, 0), 0.6), 0.35),
    )


def _clip(value: float) -> int:
    return max(0, min(255, round(value)))
