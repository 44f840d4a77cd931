"""One job and a batch sent from the dashboard's forms, through a real browser."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.async_api import FilePayload, Page, expect

from orchestrator.clock import from_rfc3339
from tests.e2e import bulk
from tests.e2e.browser import browser_page
from tests.e2e.stack import FLUX, Stack

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "demo.jpg"
WORDS = 'a <b>lighthouse</b> "by night"\nwith & without a moon'


def given(name: str, content: str) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": content.encode()}


async def choose(page: Page, file: FilePayload) -> None:
    await page.fill("#f-model", FLUX)
    await page.set_input_files("#f-file", files=[file])
    await page.get_by_role("button", name="Check").click()


async def input_of(stack: Stack, job_id: str) -> dict[str, object]:
    text = await stack.ledger.one("SELECT input FROM documents WHERE job_id = :id", id=job_id)
    found: dict[str, object] = json.loads(text)
    return found


async def test_a_job_with_an_uploaded_image_is_sent_as_it_was_typed(own_stack: Stack) -> None:
    async with browser_page(own_stack, is_calm=False) as page:
        await page.goto("/new?find=flux+dev")
        await page.get_by_role("link", name="Flux Dev").click()
        await page.get_by_label("Prompt").fill(WORDS)
        await page.get_by_label("Size").fill("9*9")
        await page.get_by_label("Seed").fill("7")
        await page.get_by_label("Output format").select_option("png")
        await page.set_input_files("input[name='file.image']", PICTURE)
        await page.get_by_role("button", name="Send the job").dblclick()

        await expect(page.locator(".is-wrong")).to_contain_text("each side must be 256 to 1536 pixels")
        assert await page.get_by_label("Size").get_attribute("aria-invalid") == "true"
        assert (await page.input_value("#f-prompt"), await page.input_value("#f-seed")) == (WORDS, "7")
        assert (await page.input_value("#f-image")).startswith(own_stack.sandbox_url)
        assert await own_stack.ledger.count_jobs() == 0

        await page.get_by_label("Size").fill("512*512")
        await page.get_by_text("When, and whom to tell").click()
        await page.get_by_label("Priority").select_option("1")
        await page.get_by_label("Not before").fill("2031-02-03T04:05")
        await page.get_by_role("button", name="Send the job").dblclick()
        await page.wait_for_url("**/jobs/*")
    assert await own_stack.ledger.count_jobs() == 1, "two clicks are one job"
    job_id = page.url.rpartition("/")[2]
    inputs = await input_of(own_stack, job_id)
    image = str(inputs.pop("image"))
    assert inputs == {"prompt": WORDS, "size": "512*512", "seed": 7, "output_format": "png"}
    async with own_stack.provider.stream("GET", image) as kept:
        assert await kept.aread() == PICTURE.read_bytes()
    (row,) = await own_stack.ledger.rows("SELECT priority, not_before FROM jobs")
    assert row == {"priority": 1, "not_before": from_rfc3339("2031-02-03T04:05:00Z")}
    audited = "SELECT count(*) FROM audit WHERE action = 'create job' AND object = :id"
    assert await own_stack.ledger.one(audited, id=job_id) == 1


async def test_a_job_of_a_model_that_nobody_knows_is_sent_as_json_and_sent_again(own_stack: Stack) -> None:
    async with browser_page(own_stack, is_calm=False) as page:
        await page.goto("/new?model=somebody/new-model")
        await page.get_by_label("Inputs as JSON").fill('{"prompt": ')
        await page.get_by_role("button", name="Send the job").click()
        await expect(page.locator(".is-wrong")).to_contain_text("not valid JSON")
        await page.get_by_label("Inputs as JSON").fill('{"prompt": "a boat", "deep": [1]}')
        await page.get_by_role("button", name="Send the job").click()
        await page.wait_for_url("**/jobs/*")
        job_id = page.url.rpartition("/")[2]

        await page.goto(f"/new?like={job_id}")
        assert json.loads(await page.input_value("#f-json")) == {"prompt": "a boat", "deep": [1]}
    assert await input_of(own_stack, job_id) == {"prompt": "a boat", "deep": [1]}


async def test_a_file_is_checked_and_its_good_lines_are_started(own_stack: Stack) -> None:
    table = 'custom_id,prompt,seed\na,"a boat\non two lines",4\nb,,5\nc,a fox,many\nd,</textarea><b>,\n'
    async with browser_page(own_stack, width=390, is_calm=False) as page:
        await page.goto("/new/batch")
        await choose(page, given("nothing.csv", "a lighthouse,4\n"))
        await expect(page.locator(".is-wrong")).to_contain_text("the first line must name the columns")

        await page.eval_on_selector("#f-name", "it => it.removeAttribute('maxlength')")
        await page.fill("#f-name", "x" * 201)
        await choose(page, given("prompts.csv", table))
        await expect(page.locator(".is-wrong")).to_contain_text("must have at most 200 characters")

        await page.fill("#f-name", "")
        await choose(page, given("prompts.csv", table))

        found = page.get_by_label("Table of wrong lines").locator("tbody tr")
        assert [" ".join((await row.inner_text()).split()) for row in await found.all()] == [
            "4 b prompt is required",
            '5 c seed must be a whole number from -1 to 2147483647; got "many"',
        ]
        assert await bulk.stored_batches(own_stack) == {}
        assert await page.locator("select[name=mode]").count() == 0  # the button below decides

        await page.get_by_role("button", name="Start the 2 good lines").dblclick()
        await page.wait_for_url("**/batches/*")
        await expect(page.get_by_role("heading", name="prompts", exact=True)).to_be_visible()
    (batch,) = (await own_stack.http.get("/api/v3/batches")).json()["data"]["items"]
    assert (batch["name"], batch["total"], batch["rejected_lines"]) == ("prompts", 2, 2)
    await bulk.finished(own_stack, batch["id"])
    rows = await bulk.rows_of(own_stack, batch["id"])
    assert [(await input_of(own_stack, row["id"]))["prompt"] for row in rows] == [
        "a boat\non two lines",
        "</textarea><b>",
    ]
