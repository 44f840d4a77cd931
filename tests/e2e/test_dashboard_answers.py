"""What the dashboard's pages say, read without a browser."""

from __future__ import annotations

import re

from tests.e2e.logged_in import logged_in
from tests.e2e.stack import FLUX, Stack


async def test_a_refused_form_says_so_in_its_title_and_first_and_leads_to_the_field(stack: Stack) -> None:
    async with logged_in(stack) as me:
        answer = await me.act(
            "/new", **{"model": FLUX, "version": "v3", "in.prompt": "a boat", "webhook": "nowhere"}
        )
    assert answer.status_code == 422
    assert "<title>Not sent: new job" in answer.text
    banner = re.search(r'<p class="banner trouble".*?</p>', answer.text)
    assert banner
    assert "The job was not sent. Webhook" in banner[0]
    assert re.search(r'<input id="f-webhook"[^>]* autofocus', answer.text)
    assert answer.text.count(" autofocus") == 1
