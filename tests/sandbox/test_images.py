"""Outputs are real images: of the asked size and format, the same for the same order, different otherwise."""

from __future__ import annotations

import asyncio
import base64
import io
import random
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from orchestrator.sandbox.paint.edits import EDITS
from orchestrator.sandbox.paint.picture import Order, paint
from orchestrator.sandbox.paint.scene import paint_scene
from orchestrator.sandbox.paint.theme import PLACES, read_theme
from tests.sandbox.conftest import FLUX, Client

SMALL = (256, 256)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures' colours, 0 to 255."""
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB").resize(one.size))
    return sum(ImageStat.Stat(difference).mean) / 3


def order(art: Any = "scene", **changes: Any) -> Order:
    plain: dict[str, Any] = {
        "prompt": "a lake",
        "seed": 1,
        "size": SMALL,
        "format": "png",
        "source": None,
        "strength": 1.0,
    }
    return Order(art=art, **{**plain, **changes})


@pytest.fixture(scope="module")
def source() -> bytes:
    return paint(order(prompt="mountains and a lake, day", size=(320, 240)))


async def outputs(client: Client, path: str = FLUX, **inputs: Any) -> list[bytes]:
    task = await client.ended(path, **inputs)
    return [(await client.http.get(url)).content for url in task["outputs"]]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
async def test_an_output_has_the_asked_size_and_format(client: Client, kind: str) -> None:
    task = await client.ended(size="320*256", output_format=kind)
    response = await client.http.get(task["outputs"][0])
    with Image.open(io.BytesIO(response.content)) as image:
        assert (image.size, image.format) == ((320, 256), kind.upper())
    assert response.headers["content-type"] == f"image/{kind}"
    assert task["outputs"][0].endswith(f".{kind}")


async def test_the_older_page_gives_jpeg_and_several_images_differ(client: Client) -> None:
    pictures = await outputs(client, "/api/v2/wavespeed-ai/flux-dev", size="512*512", num_images=3)
    assert len(set(pictures)) == 3
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)


async def test_the_same_seed_gives_the_same_picture_and_no_seed_another(client: Client) -> None:
    first, again = [await outputs(client, size="256*256", seed=5) for _ in range(2)]
    free, other = [await outputs(client, size="256*256") for _ in range(2)]
    assert first == again
    assert free != other


async def test_a_drawn_seed_holds_for_the_task(client: Client) -> None:
    task = await client.ended(size="256*256", seed=-1)
    reads = [(await client.http.get(task["outputs"][0])).content for _ in range(2)]
    assert reads[0] == reads[1]


async def test_base64_outputs_are_the_picture_itself(client: Client) -> None:
    (embedded,) = (
        await client.ended(size="256*256", seed=5, output_format="png", enable_base64_output=True)
    )["outputs"]
    (linked,) = await outputs(client, size="256*256", seed=5, output_format="png")
    kind, _, encoded = embedded.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(encoded) == linked


async def test_one_tasks_output_can_be_anothers_input(client: Client) -> None:
    scene = await client.ended(size="256*256")
    varied = await outputs(
        client, "/api/v3/wavespeed-ai/flux-redux-dev", image=scene["outputs"][0], size="256*256"
    )
    assert opened(varied[0]).size == SMALL


async def test_an_edit_keeps_the_size_of_its_source(client: Client, source: bytes) -> None:
    image = "data:image/png;base64," + base64.b64encode(source).decode()
    (edited,) = await outputs(client, "/api/v3/wavespeed-ai/flux-kontext-pro", image=image, prompt="night")
    assert opened(edited).size == (320, 240)


async def test_an_output_that_was_never_made_is_404(client: Client) -> None:
    task = await client.ended(size="256*256")
    good = task["outputs"][0]
    for wrong in ("2.jpeg", "1.png", "x.jpeg", "0.jpeg"):
        url = good.replace("1.jpeg", wrong)
        assert (await client.http.get(url)).status_code == 404


async def test_the_server_answers_while_it_paints(client: Client) -> None:
    task = await client.ended(size="1536*1536", num_images=4)
    async with httpx.AsyncClient() as bare:
        painting = [asyncio.create_task(bare.get(url, timeout=60)) for url in task["outputs"]]
        answered = 0
        while not all(one.done() for one in painting):
            await client.control("stats")
            answered += 1
        assert answered >= 4
        assert {(await one).status_code for one in painting} == {200}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_is_a_picture_of_its_own(place: str) -> None:
    word = PLACES[place].split()[0]
    assert read_theme(f"a {word} in peace", random.Random(1)).place == place
    picture = paint_scene(f"a {word} in peace", 1, SMALL)
    assert distance(picture, paint_scene(f"a {word} in peace", 2, SMALL)) > 2
    assert max(ImageStat.Stat(picture).stddev) > 15


def test_words_decide_the_colours() -> None:
    night, noon = (
        ImageStat.Stat(paint_scene(f"a lake at {time}", 1, SMALL)).mean for time in ("night", "noon")
    )
    assert sum(night) < sum(noon) - 100


def test_every_variation_comes_from_its_source_and_none_is_it(source: bytes) -> None:
    varied = [opened(paint(order("variation", source=source, seed=seed))) for seed in range(4)]
    reference = opened(source).resize(SMALL)
    assert all(2 < distance(reference, one) < 90 for one in varied)
    assert min(distance(varied[0], one) for one in varied[1:]) > 2


@pytest.mark.parametrize("words", EDITS)
def test_every_edit_word_changes_the_image_visibly(source: bytes, words: str) -> None:
    edited = opened(paint(order("edit", source=source, prompt=f"make it {words.split()[0]}", size=None)))
    assert edited.size == (320, 240)
    assert distance(opened(source), edited) > 4


def test_strength_leads_from_the_source_to_the_prompt(source: bytes) -> None:
    reference = opened(source).resize(SMALL)
    steps = [
        distance(reference, opened(paint(order(source=source, prompt="neon city", strength=share))))
        for share in (0.1, 0.5, 1.0)
    ]
    assert steps == sorted(steps)
    assert steps[0] < 20
