"""Uploads by ticket and by form, and what becomes of an input image that cannot be read."""

from __future__ import annotations

import base64
import io

import httpx
import pytest
from PIL import Image

from tests.sandbox.conftest import Client


def png(colour: str = "teal", size: tuple[int, int] = (64, 48)) -> bytes:
    """A small image file."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "png")
    return out.getvalue()


def data_uri() -> str:
    return "data:image/png;base64," + base64.b64encode(png()).decode()


async def test_a_ticket_takes_exactly_its_headers_and_no_key(client: Client) -> None:
    content = png()
    ask = {"filename": "sea.png", "size": len(content), "content_type": "image/png"}
    ticket = (await client.http.post("/api/v3/media/uploads", json=ask)).json()["data"]
    url, headers = ticket["upload"]["url"], ticket["upload"]["headers"]
    async with httpx.AsyncClient() as bare:
        with_key = await bare.put(url, content=content, headers={**headers, "Authorization": "Bearer k"})
        without = await bare.put(url, content=content)
        short = await bare.put(url, content=content[:-1], headers=headers)
        good = await bare.put(url, content=content, headers=headers)
        fetched = await bare.get(ticket["download_url"])
    assert [with_key.status_code, without.status_code, short.status_code] == [400, 403, 400]
    assert good.is_success
    assert fetched.content == content
    assert fetched.headers["content-type"] == "image/png"


async def test_a_multipart_upload_can_be_used_as_input(client: Client) -> None:
    response = await client.http.post(
        "/api/v2/media/upload/binary", files={"file": ("../sea one.png", png(), "image/png")}
    )
    upload = response.json()["data"]
    assert (upload["type"], upload["size"]) == ("image", len(png()))
    task = await client.ended("/api/v3/wavespeed-ai/flux-redux-dev", image=upload["download_url"])
    assert task["status"] == "completed"


@pytest.mark.parametrize(
    "image", ["http://127.0.0.1:9/none.png", "http://[0/none.png", "not base64!", "aGVsbG8="]
)
async def test_an_input_that_cannot_be_read_fails_the_task(client: Client, image: str) -> None:
    task = await client.ended("/api/v3/wavespeed-ai/flux-redux-dev", image=image)
    assert (task["status"], task["code"], task["error"]) == ("failed", 1402, "media access failed")
