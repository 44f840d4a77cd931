"""How soon the dashboard's first page can be used in a real browser, with its files cached and without."""

from __future__ import annotations

import shutil

from playwright.async_api import Page, async_playwright

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
_USABLE = """async () => {
    const painted = () => performance.getEntriesByName("first-contentful-paint")[0];
    while (!painted()) await new Promise(requestAnimationFrame);
    const ready = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
    return Math.max(painted().startTime, ready);
}"""


async def first_look(name: str, url: str, token: str) -> list[Figure]:
    """From the beginning of the navigation until it is painted and its scripts have run."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        context = await browser.new_context(base_url=url)
        await context.add_cookies([{"name": "orchestrator_session", "value": token, "url": url}])
        page = await context.new_page()
        tools = await context.new_cdp_session(page)
        await tools.send("Network.enable")
        await _look(page)  # the browser itself is not what is measured
        figures = []
        for kind, is_cold in (("nothing cached", True), ("files cached", False)):
            await tools.send("Network.setCacheDisabled", {"cacheDisabled": is_cold})
            took = [await _look(page) for _ in range(_LOOKS)]
            figures.append(_figure(f"{name} first page, {kind}", took))
        await browser.close()
    return figures


async def _look(page: Page) -> float:
    await page.goto("/")
    await page.locator("main h1").wait_for()
    await page.locator("section.strip").wait_for()
    return float(await page.evaluate(_USABLE))


def _figure(what: str, took: list[float]) -> Figure:
    note = f"p95 of {_LOOKS} in Chromium, half within {median(took):.0f} ms"
    return Figure(what, quantile(took, 0.95), " ms", at_most=_MOST_MS, note=note)
