"""How soon the dashboard's first page can be used in a real browser, cold and with its files cached."""

from __future__ import annotations

import shutil

from playwright.async_api import Browser, Page, async_playwright

from bench.figures import Figure, median, quantile

_LOOKS = 20
_MOST_MS = 300.0
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
# Scripts that are deferred have run when the document is ready: from then on it answers to keys and clicks.
_USABLE = """() => Math.max(
    performance.getEntriesByName("first-contentful-paint")[0].startTime,
    performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd)"""


async def first_look(name: str, url: str, token: str) -> list[Figure]:
    """From the beginning of the navigation until it is painted and its scripts have run."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        await _cold(browser, url, token)  # the browser itself is not what is measured
        cold = [await _cold(browser, url, token) for _ in range(_LOOKS)]
        page = await _page(browser, url, token)
        await _look(page)
        warm = [await _look(page) for _ in range(_LOOKS)]
        await browser.close()
    return [_figure(f"{name} first page, {kind}", took) for kind, took in (("cold", cold), ("warm", warm))]


async def _cold(browser: Browser, url: str, token: str) -> float:
    page = await _page(browser, url, token)
    took = await _look(page)
    await page.context.close()
    return took


async def _page(browser: Browser, url: str, token: str) -> Page:
    """A page of its own cache."""
    context = await browser.new_context(base_url=url)
    await context.add_cookies([{"name": "orchestrator_session", "value": token, "url": url}])
    return await context.new_page()


async def _look(page: Page) -> float:
    await page.goto("/")
    await page.locator("main h1").wait_for()
    await page.locator("section.strip").wait_for()
    await page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    return float(await page.evaluate(_USABLE))


def _figure(what: str, took: list[float]) -> Figure:
    note = f"p95 of {_LOOKS} in Chromium, half within {median(took):.0f} ms"
    return Figure(what, quantile(took, 0.95), " ms", at_most=_MOST_MS, note=note)
