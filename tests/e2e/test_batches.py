"""Batches from their first line to their results, in every form that they may be sent in."""

from __future__ import annotations

import csv
import io

import pytest

from tests.e2e import bulk
from tests.e2e.bulk import BATCHES, batch_of, finished, line, lines_of, results, send, sent
from tests.e2e.stack import FLUX, Json, Stack, data_of, marked


async def test_a_batch_completes_and_gives_its_results_in_line_order(stack: Stack) -> None:
    lines = lines_of(60)
    taken = await sent(stack, lines, name="sixty lighthouses")
    assert (taken["state"], taken["total"], taken["rejected"]) == ("running", 60, [])
    ended = await finished(stack, taken["id"])
    assert ended["counts"] == {"created": 0, "processing": 0, "completed": 60, "failed": 0}
    assert (ended["name"], ended["model"], ended["mode"]) == ("sixty lighthouses", FLUX, "atomic")
    assert (ended["state"], ended["progress"], ended["eta_seconds"]) == ("completed", 1.0, 0.0)
    assert ended["cost"] is None, "the provider tells none"
    assert ended["finished_at"] > ended["created_at"]
    told = await results(stack, taken["id"], include_inputs="true")
    assert [one["line"] for one in told] == list(range(1, 61))
    assert [one["custom_id"] for one in told] == [one["custom_id"] for one in lines]
    assert [one["input"] for one in told] == [one["input"] for one in lines]
    # Other tests have tasks there as well, with no outputs or with strange ones.
    bill = [task["outputs"] for task in await stack.tasks()]
    assert all(one["outputs"] in bill for one in told)
    assert len({one["outputs"][0] for one in told}) == 60


async def test_results_as_csv_have_a_head_and_a_row_for_each_line(stack: Stack) -> None:
    batch = await sent(stack, [line(custom_id="=1+1"), line(marked("refuse=400"), custom_id="bad")])
    await finished(stack, batch["id"])
    answer = await stack.http.get(f"{BATCHES}/{batch['id']}/results", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    good, bad = csv.DictReader(io.StringIO(answer.text))
    assert (good["line"], good["custom_id"], good["status"], good["reason"]) == (
        "1",
        "'=1+1",
        "completed",
        "",
    )
    assert good["outputs"].startswith("http")
    assert (bad["line"], bad["status"], bad["outputs"]) == ("2", "failed", "")
    assert bad["reason"]
    assert bad["error"]


async def test_results_as_csv_have_no_inputs_to_include(stack: Stack) -> None:
    batch = await sent(stack, [line()])
    asked = {"format": "csv", "include_inputs": "true"}
    answer = await stack.http.get(f"{BATCHES}/{batch['id']}/results", params=asked)
    assert (answer.status_code, answer.json()["field"]) == (400, "include_inputs")
    await finished(stack, batch["id"])


async def test_results_are_there_while_it_runs_and_go_on_after_a_line(stack: Stack) -> None:
    batch = await sent(stack, [line(), line(marked("hold")), line()])
    await bulk.batch_when(stack, batch["id"], lambda now: now["counts"]["completed"] == 2)
    told = await results(stack, batch["id"])
    assert [one["status"] for one in told] == ["completed", "processing", "completed"]
    assert (told[1]["outputs"], told[1]["seconds"]) == ([], None)
    assert [one["line"] for one in await results(stack, batch["id"], after=1)] == [2, 3]
    assert [one["line"] for one in await results(stack, batch["id"], status="processing")] == [2]
    await bulk.batch_when(stack, batch["id"], lambda now: now["counts"]["processing"] == 1)
    await until_accepted(stack, batch["id"])
    await bulk.finish_tasks(stack, batch["id"])
    await finished(stack, batch["id"])


async def until_accepted(stack: Stack, batch_id: str) -> None:
    for job in await bulk.rows_of(stack, batch_id):
        if job["phase"] not in ("completed", "failed"):
            await stack.in_phase(job["id"], "accepted")


async def test_a_json_array_may_hold_lines_and_no_line_loses_what_it_says_among_the_inputs(
    stack: Stack,
) -> None:
    lines = [{"custom_id": "a", "input": {"prompt": marked("duration=0.01")}}, {"prompt": "x"}]
    made = data_of(await stack.http.post(BATCHES, json=lines, params={"model": FLUX}))
    told = data_of(await stack.http.get(f"{BATCHES}/{made['id']}/jobs"))["items"]
    assert [one["custom_id"] for one in told] == ["a", ""]
    beside = [{"prompt": "x", "custom_id": "a"}]
    refused = await stack.http.post(BATCHES, json=beside, params={"model": FLUX})
    assert refused.status_code == 400
    assert "inputs of the model go under `input`" in refused.text


async def test_a_json_array_and_a_json_document_are_batches_too(stack: Stack) -> None:
    array = [{"prompt": marked("duration=0.01")} for _ in range(3)]
    first = data_of(await stack.http.post(BATCHES, json=array, params={"model": FLUX}))
    document = {
        "name": "with defaults",
        "model": FLUX,
        "defaults": {"seed": 7, "prompt": "a lighthouse"},
        "priority": 2,
        "inputs": [{}, {"seed": 8}],
    }
    second = data_of(await stack.http.post(BATCHES, json=document))
    await finished(stack, first["id"])
    await finished(stack, second["id"])
    told = await results(stack, first["id"], include_inputs="true")
    assert [one["input"] for one in told] == array
    told = await results(stack, second["id"], include_inputs="true")
    assert [one["input"]["seed"] for one in told] == [7, 8]
    assert {one["input"]["prompt"] for one in told} == {"a lighthouse"}
    assert [job["priority"] for job in await bulk.rows_of(stack, second["id"])] == [2, 2]
    assert (await batch_of(stack, second["id"]))["name"] == "with defaults"


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"input": {"prompt": "x"}}\r\n', "application/x-ndjson"), (b'[{"prompt": "x"}]', "application/json")],
)
async def test_a_file_may_begin_with_the_mark_of_utf8(stack: Stack, body: bytes, kind: str) -> None:
    checked = await send(stack, b"\xef\xbb\xbf" + body, headers={"content-type": kind}, dry_run="true")
    assert data_of(checked)["accepted"] == 1


async def test_the_jobs_of_a_batch_are_listed_in_pages_and_by_their_names(stack: Stack) -> None:
    batch = await sent(stack, lines_of(5))
    await finished(stack, batch["id"])
    path = f"{BATCHES}/{batch['id']}/jobs"
    page = data_of(await stack.http.get(path, params={"limit": 3}))
    assert [(job["line"], job["custom_id"]) for job in page["items"]] == [
        (number, f"line-{number}") for number in (1, 2, 3)
    ]
    rest = data_of(await stack.http.get(path, params={"limit": 3, "after": page["next"]}))
    assert ([job["line"] for job in rest["items"]], rest["next"]) == ([4, 5], None)
    (named,) = data_of(await stack.http.get(path, params={"custom_id": "line-2"}))["items"]
    assert named["line"] == 2
    assert data_of(await stack.http.get(path, params={"status": "failed"}))["items"] == []


async def test_the_list_of_batches_is_newest_first_and_has_pages(stack: Stack) -> None:
    ids = [(await sent(stack, lines_of(1)))["id"] for _ in range(3)]
    first = data_of(await stack.http.get(BATCHES, params={"limit": 2}))["items"]
    second = data_of(await stack.http.get(BATCHES, params={"limit": 2, "before": first[-1]["id"]}))["items"]
    assert [one["id"] for one in [*first, *second]][:3] == ids[::-1]
    for one in ids:
        await finished(stack, one)


async def test_failures_are_grouped_by_kind_with_the_most_frequent_first(stack: Stack) -> None:
    lines = [line(marked("refuse=400")) for _ in range(3)] + [line()]
    lines += [line(marked("outputs=none"))]
    batch = await sent(stack, lines)
    ended = await hurried(stack, batch["id"])
    assert ended["counts"]["failed"] == 4
    assert sorted((one["count"] for one in ended["failures"]), reverse=True) == [3, 1]
    most = ended["failures"][0]
    assert (most["count"], bool(most["reason"]), bool(most["message"])) == (3, True, True)
    path = f"{BATCHES}/{batch['id']}/jobs"
    listed = data_of(await stack.http.get(path, params={"fingerprint": most["fingerprint"]}))["items"]
    assert [job["line"] for job in listed] == [1, 2, 3]


async def hurried(stack: Stack, batch_id: str) -> Json:
    for job in await bulk.rows_of(stack, batch_id):
        await stack.hurried(job["id"])
    return await finished(stack, batch_id)


async def test_a_dry_run_checks_every_line_and_stores_nothing(stack: Stack) -> None:
    before = (await bulk.stored_batches(stack), await stack.ledger.count_jobs())
    lines = [line(), {"custom_id": "bad", "input": 5}, line()]
    checked = data_of(await send(stack, lines, dry_run="true"))
    assert (checked["dry_run"], checked["total"], checked["accepted"]) == (True, 3, 2)
    assert [(one["line"], one["custom_id"], one["field"]) for one in checked["rejected"]] == [
        (2, "bad", "input")
    ]
    assert (await bulk.stored_batches(stack), await stack.ledger.count_jobs()) == before


async def test_the_good_lines_of_a_partial_batch_are_taken_and_the_bad_ones_reported(stack: Stack) -> None:
    lines = [
        line(custom_id="a"),
        "{",
        line(custom_id="b"),
        line(custom_id="a"),
        {"input": 5, "custom_id": "c"},
    ]
    batch = await sent(stack, lines, mode="partial")
    assert (batch["total"], batch["rejected_lines"]) == (2, 3)
    told = [(one["line"], one["custom_id"], one["field"]) for one in batch["rejected"]]
    assert told == [(2, "", ""), (4, "a", "custom_id"), (5, "c", "input")]
    ended = await finished(stack, batch["id"])
    assert (ended["counts"]["completed"], ended["rejected_lines"]) == (2, 3)
    assert [one["line"] for one in await results(stack, batch["id"])] == [1, 3]


async def test_a_partial_batch_without_a_good_line_is_refused(stack: Stack) -> None:
    before = await bulk.stored_batches(stack)
    answer = await send(stack, ["{", "["], mode="partial")
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 2)
    await bulk.until_discarded(stack)
    assert await bulk.stored_batches(stack) == before


async def test_a_foreign_tenant_finds_no_batch_on_any_route(stack: Stack) -> None:
    mine = (await sent(stack, lines_of(1)))["id"]
    await finished(stack, mine)
    theirs = await bulk.new_tenant(stack)
    for method, path in (
        ("GET", ""),
        ("GET", "/jobs"),
        ("GET", "/results"),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/retry-failed"),
    ):
        answer = await stack.http.request(method, f"{BATCHES}/{mine}{path}", headers=theirs)
        assert answer.status_code == 404, f"{path}: {answer.text}"
        assert mine not in answer.text
    assert data_of(await stack.http.get(BATCHES, headers=theirs))["items"] == []


@pytest.mark.parametrize(("scopes", "may_read", "may_send"), [("read", 200, 403), ("submit", 403, 200)])
async def test_a_key_does_with_batches_what_its_scopes_say(
    stack: Stack, scopes: str, may_read: int, may_send: int
) -> None:
    key = await bulk.new_tenant(stack, scopes=scopes)
    assert (await send(stack, lines_of(1), headers=key)).status_code == may_send
    assert (await stack.http.get(BATCHES, headers=key)).status_code == may_read
    for verb in ("cancel", "pause", "resume", "retry-failed"):
        answer = await stack.http.post(f"{BATCHES}/{'0' * 32}/{verb}", headers=key)
        assert answer.status_code == (404 if may_send == 200 else 403)
