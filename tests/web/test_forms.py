"""Forms of the dashboard: what cannot be stored is refused before anybody tries to."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.types import Message

from orchestrator.errors import Refused
from orchestrator.web.dashboard.forms import read_form, text_of

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def sent(body: bytes, kind: str) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_a_form_is_read() -> None:
    async with read_form(sent(b"because=one%0D%0Atwo", URLENCODED), limit=1_000) as form:
        assert text_of(form, "because") == "one\ntwo"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"because=one%00two", URLENCODED),
        (b'--b\r\ncontent-disposition: form-data; name="because"\r\n\r\none\0two\r\n--b--\r\n', MULTIPART),
    ],
)
async def test_a_nul_which_postgresql_cannot_store_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(Refused, match="NUL"):
        async with read_form(sent(body, kind), limit=1_000):
            pass
