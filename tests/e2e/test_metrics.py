"""What Prometheus scrapes: read with its own parser, beside what the API says of the same jobs."""

from __future__ import annotations

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.program import PROJECT, until
from tests.e2e.stack import Stack, marked
from tests.e2e.test_tenants import key_of_another

IMAGE = "wavespeed/image"


class Scrape:
    """Values by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {one.name: one for one in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self._values.get((f"orchestrator_{name}", frozenset(labels.items())))


async def scraped(stack: Stack) -> Scrape:
    answer = await stack.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)


async def scraped_when(stack: Stack, has: Any, *, what: str) -> Scrape:
    found: list[Scrape] = []

    async def look() -> bool:
        found.append(await scraped(stack))
        return bool(has(found[-1]))

    await until(look, what=what)
    return found[-1]


async def test_jobs_are_told_by_how_they_end_and_how_long_they_took(own_stack: Stack) -> None:
    for _ in range(2):
        await own_stack.ended(await own_stack.created())
    await own_stack.ended(await own_stack.created(marked("reject")))
    told = await scraped_when(
        own_stack,
        # The callbacks are written down by the process that took them, every few seconds.
        lambda one: one.value("callbacks_total", result="applied") == 2,
        what="the figures to be counted",
    )
    assert told.value("job_failures_total", lane=IMAGE, reason="rejected") == 1
    assert told.value("jobs_ended_total", lane=IMAGE, state="completed") == 2
    assert told.value("jobs_ended_total", lane=IMAGE, state="failed") == 1
    assert told.value("attempts_total", lane=IMAGE) == 3
    assert told.value("ends_found_total", lane=IMAGE, by="callback") == 2
    assert told.value("dead_letters") == 1
    assert told.value("job_seconds_count", lane=IMAGE, stage="total") == 3
    assert told.value("job_seconds_bucket", lane=IMAGE, stage="total", le="+Inf") == 3
    assert 0 < (told.value("job_seconds_sum", lane=IMAGE, stage="total") or 0) < 60


async def test_what_is_there_now_is_told(own_stack: Stack) -> None:
    job_id = await own_stack.created(marked("hold"))
    await own_stack.in_phase(job_id, "accepted")
    told = await scraped_when(
        own_stack, lambda one: one.value("jobs", lane=IMAGE, phase="accepted") == 1, what="the job"
    )
    assert told.value("account_in_flight", account="wavespeed") == 1
    assert told.value("oldest_seconds", phase="accepted") is not None
    assert told.value("lane_paused", lane=IMAGE) == 0
    assert told.value("lane_speed", lane=IMAGE) == 1
    assert told.value("account_trouble", account="wavespeed") == 0
    assert told.value("processes", kind="up") == 1
    assert told.value("workers") == 1
    assert told.value("bell_up") == 1
    assert (told.value("database_size_bytes") or 0) > 0
    await own_stack.http.post(f"/api/v3/lanes/{IMAGE}/pause")
    assert (await scraped(own_stack)).value("lane_paused", lane=IMAGE) == 1


async def test_every_metric_has_its_words_and_no_unknown_kind(stack: Stack) -> None:
    told = await scraped(stack)
    assert told.families
    for name, family in told.families.items():
        assert name.startswith("orchestrator_")
        assert family.documentation.endswith("."), name
        assert family.type in ("gauge", "counter", "histogram"), name


async def test_the_documentation_names_each_metric(stack: Stack) -> None:
    documented = (PROJECT / "docs" / "metrics.md").read_text()
    for family in (await scraped(stack)).families.values():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name.removeprefix('orchestrator_')}" in documented, name


async def test_a_tenant_is_told_of_its_own_jobs_alone(stack: Stack) -> None:
    await stack.ended(await stack.created())
    completed = {"lane": IMAGE, "state": "completed"}
    await scraped_when(stack, lambda one: one.value("jobs_ended_total", **completed), what="its end")
    other = await key_of_another(stack)
    told = Scrape((await stack.http.get("/metrics", headers=other)).text)
    assert told.value("lane_per_minute", lane=IMAGE) is not None
    assert told.value("jobs_ended_total", **completed) is None
    assert told.value("workers") is None
    async with httpx.AsyncClient(base_url=str(stack.http.base_url)) as nobody:
        assert (await nobody.get("/metrics")).status_code == 401
