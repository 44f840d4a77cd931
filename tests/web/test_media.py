"""What a provider or a user wrote becomes a link or a picture only if it is one; all else stays text."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.web.dashboard.media import (
    Media,
    first_output,
    inputs_of,
    long_texts,
    media_of,
    prompt_of,
    shortened,
    title_of,
)

PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("output", "kind", "url"),
    [
        ("https://cdn.example/a.png", "image", "https://cdn.example/a.png"),
        ("https://cdn.example/a.MP4?x=1", "video", "https://cdn.example/a.MP4?x=1"),
        ("http://cdn.example/a.wav", "audio", "http://cdn.example/a.wav"),
        ("https://cdn.example/model.glb", "file", "https://cdn.example/model.glb"),
        ("https://cdn.example/without-an-ending", "image", "https://cdn.example/without-an-ending"),
        (PNG, "image", PNG),
        ("data:image/svg+xml;base64,PHN2Zz4=", "text", ""),
        ("data:text/html;base64,PHNjcmlwdD4=", "text", ""),
        ("javascript:alert(1)", "text", ""),
        ("http://[bad/a.png", "text", ""),
        ("  https://cdn.example/a.png", "text", ""),
        ("https://cdn.example/a.png\njavascript:alert(1)", "text", ""),
        ("a poem", "text", ""),
        ({"text": "a poem"}, "text", ""),
    ],
)
def test_an_output_is_what_it_shows_itself_to_be(output: Any, kind: str, url: str) -> None:
    media = media_of(output, "image")
    assert (media.kind, media.url) == (kind, url)


def test_the_first_output_is_found_in_the_beginning_of_an_ending() -> None:
    whole = '{"result":{"outputs":["https://cdn.example/a\\u002fb.png","https://cdn.example/2.png"]}}'
    assert first_output(whole, "image") == Media("image", "https://cdn.example/a/b.png")
    cut_off = '{"result":{"outputs":["data:video/mp4;base64,AAAA'
    assert first_output(cut_off, "image") == Media("video")
    assert first_output('{"error":{"kind":"rejected","message":"no"}}', "image") is None


def test_a_prompt_is_read_from_a_beginning_and_unescaped() -> None:
    assert (
        prompt_of('{"seed":1,"prompt":"a \\"red\\" f\\u00f8x","image":"data:image/png;base64,AAA')
        == 'a "red" føx'
    )
    assert prompt_of('{"text": "say this"}') == "say this"
    assert prompt_of('{"image":"x"}') == ""
    assert prompt_of(r'{"prompt":"C:\\u12"}') == r"C:\u12"


@pytest.mark.parametrize("cut", ["", "\\", "\\u", "\\u00f", "\\ud83d", "\\ud83d\\", "\\ud83d\\ude0"])
def test_a_prompt_that_is_cut_off_is_read_up_to_there(cut: str) -> None:
    assert prompt_of('{"seed":1,"prompt":"a \\"red\\" fox' + cut) == 'a "red" fox'
    assert prompt_of('{"prompt":"' + "word " * 500) == ("word " * 500)[:300]


def test_the_title_of_a_job_is_read_from_its_whole_input() -> None:
    assert title_of({"image": "x" * 5_000, "prompt": "a fox"}) == "a fox"
    assert title_of({"prompt": "", "text": "say " * 1_000}) == ("say " * 1_000)[:300]
    assert title_of({"prompt": 5}) == ""


def test_long_words_of_an_input_can_be_read_whole_and_a_files_bytes_are_none() -> None:
    prompt = "word " * 500
    assert long_texts({"prompt": prompt, "seed": 1, "size": "a", "image": PNG + "A" * 5_000}) == {
        "prompt": prompt
    }


def test_pictures_that_went_in_are_found_by_what_they_are() -> None:
    inputs = {
        "prompt": "https://cdn.example/a.png is nice",
        "image": PNG,
        "images": ["https://cdn.example/b"],
    }
    found = inputs_of(inputs | {"seed": 3, "mask_image": "no address", "page": "https://example.com/"})
    assert found == [Media("image", PNG), Media("image", "https://cdn.example/b")]


def test_long_texts_of_an_input_are_cut_and_say_so() -> None:
    shown = shortened({"image": "x" * 5_000, "more": ["y" * 5_000, 1]})
    assert shown["image"].endswith("… (5,000 characters)")
    assert len(shown["more"][0]) < 400
    assert shown["more"][1] == 1
