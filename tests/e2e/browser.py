"""A real headless Chromium that is logged in to a stack's dashboard."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.e2e.stack import Stack

Theme = Literal["light", "dark"]
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parent.parent / "js" / "node_modules" / "axe-core" / "axe.min.js"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's own."""
    path = shutil.which("chromium")
    assert path, "Debian's package chromium is needed: `make test` installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def browser_page(
    stack: Stack,
    *,
    width: int = 1440,
    theme: Theme = "light",
    key: str | None = None,
    has_script: bool = True,
    is_calm: bool = True,
) -> AsyncIterator[Page]:
    """A page on which somebody with this key has logged in; fails at the end on what its console told.

    `is_calm` False is for a test that provokes refusals on purpose.
    """
    async with chromium() as browser:
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            java_script_enabled=has_script,
            base_url=stack.url,
        )
        page = await context.new_page()
        told: list[str] = []
        page.on("console", lambda message: _note(told, message))
        page.on("pageerror", lambda error: told.append(str(error)))
        await log_in(page, key or stack.key)
        yield page
        await context.close()
        assert not (is_calm and told), told


async def log_in(page: Page, key: str) -> None:
    await page.goto("/login")
    await page.fill("#key", key)
    await page.click("button[type=submit]")
    await page.wait_for_selector("nav.side")


async def faults_of(page: Page) -> list[dict[str, Any]]:
    """What axe-core calls serious or critical on this page."""
    # The page's own policy forbids scripts from elsewhere; Playwright's evaluation is not the page's.
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        {"id": one["id"], "help": one["help"], "at": [node["target"] for node in one["nodes"]][:5]}
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def overflow_of(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))


async def cut_tables_of(page: Page) -> list[str]:
    """The tables of which a part cannot be seen without scrolling sideways."""
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel || 'a table')"
    found: list[str] = await page.locator(".scroll").evaluate_all(cut)
    return found


def _note(told: list[str], message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        told.append(message.text)
