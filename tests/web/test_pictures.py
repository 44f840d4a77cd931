"""Outputs as something to look at: nothing but a web address becomes an address on a page."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.web.dashboard.pictures import Picture, pictures


@pytest.mark.parametrize(
    ("output", "picture"),
    [
        ("https://x/a.JPG?sig=1", Picture("image", url="https://x/a.JPG?sig=1")),
        ("http://x/a.mp4", Picture("video", url="http://x/a.mp4")),
        ("https://x/a.glb", Picture("file", url="https://x/a.glb")),
        ("javascript:alert(1)//.png", Picture("text", text="javascript:alert(1)//.png")),
        ("data:text/html,<b>", Picture("text", text="data:text/html,<b>")),
        ("http://[bad/a.png", Picture("text", text="http://[bad/a.png")),
        ({"a": 1}, Picture("text", text='{"a":1}')),
    ],
)
def test_an_output_is_shown_as_what_it_is(output: Any, picture: Picture) -> None:
    assert pictures([output]) == [picture]
