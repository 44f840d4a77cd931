"""`orchestrator batch` and `batches` against the real server: what is stored, made, saved and told."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.e2e.program import Program, until
from tests.e2e.shell import Shell, Told
from tests.e2e.stack import FLUX, Json, Stack, data_of, marked

REDUX = "wavespeed-ai/flux-redux-dev"
LATER = "2099-01-01T00:00:00Z"
MANY = 6_000


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Shell:
    return Shell(stack, tmp_path)


@pytest.fixture
def name() -> str:
    """What only this test calls its batch."""
    return uuid.uuid4().hex


# What is sent


async def test_a_file_of_lines_becomes_pictures_and_results(shell: Shell) -> None:
    source = shell.jsonl("a boat", "a barn", "a bridge")
    told = await shell.batch(source, "--out", "art")
    assert told.status == 0, told.said
    assert shell.saved("art").keys() == {"job1.jpeg", "job2.jpeg", "job3.jpeg", "results.jsonl"}
    assert [result["files"] for result in shell.results("art")] == [
        ["job1.jpeg"],
        ["job2.jpeg"],
        ["job3.jpeg"],
    ]
    with Image.open(shell.folder / "art" / "job1.jpeg") as picture:
        assert picture.size == (1024, 1024)


async def test_bare_inputs_and_shared_ones_are_whole_lines_for_the_server(shell: Shell) -> None:
    source = shell.write("b.json", '[{"prompt": "a boat"}, {"prompt": "a barn", "seed": 5}]')
    batch_id = await shell.sent(source, "--model", FLUX, "-p", "seed=7")
    assert [given["seed"] for given in await inputs_of(shell, batch_id)] == [7, 5]


async def test_the_cells_of_a_table_have_the_models_kinds(shell: Shell) -> None:
    source = shell.write("b.csv", "custom_id,prompt,seed,size", "boat,a boat,11,512*512", "barn,007,,")
    told = await shell.batch(source, "--model", FLUX, "--out", "art")
    assert told.status == 0, told.said
    assert shell.saved("art").keys() == {"boat.jpeg", "barn.jpeg", "results.jsonl"}
    boat, barn = await inputs_of(shell, batch_in(told))
    assert boat == {"prompt": "a boat", "seed": 11, "size": "512*512"}
    assert barn == {"prompt": "007"}


async def test_a_folder_of_images_is_uploaded_and_each_is_one_job(shell: Shell) -> None:
    photos(shell, "red", "blue")
    told = await shell.batch("photos", "--model", REDUX, "--out", "art")
    assert told.status == 0, told.said
    assert shell.saved("art").keys() == {"red.jpeg", "blue.jpeg", "results.jsonl"}
    for given in await inputs_of(shell, batch_in(told)):
        assert given["image"].startswith(f"{shell.stack.sandbox_url}/media/")


async def test_blank_lines_count_as_numbers_and_not_as_lines(shell: Shell) -> None:
    source = shell.write("b.jsonl", "", '{"prompt": "a boat"}', "  ", '{"prompt": 5}')
    told = await shell.batch(source, "--model", FLUX, "--dry-run")
    assert told.status == 2
    assert "1 of 2 lines is right" in told.out
    assert told.out.splitlines()[-1].split()[:2] == ["4", "prompt"]


# Wrong lines


async def test_a_trial_stores_nothing_and_tells_of_every_wrong_line(shell: Shell, name: str) -> None:
    source = shell.write("b.jsonl", *bad_lines())
    told = await shell.batch(source, "--model", FLUX, "--name", name, "--dry-run")
    assert told.status == 2
    assert "1 of 3 lines is right; nothing was stored." in told.out
    assert "prompt" in told.out
    assert await shell.named(name) == []


async def test_every_row_of_a_table_with_more_cells_than_columns_is_a_wrong_line(shell: Shell) -> None:
    source = shell.write("b.csv", "prompt,seed", "a cat, sitting,1", "b, two,2", "fine,3")
    told = await shell.batch(source, "--model", FLUX, "--mode", "partial", "--dry-run")
    assert told.status == 2
    assert "1 of 3 lines is right" in told.out
    assert [line.split()[:5] for line in told.out.splitlines()[-2:]] == [
        ["2", "cell", "3", "of", "2"],
        ["3", "cell", "3", "of", "2"],
    ]
    assert 'has no column; a text with a comma goes in quotes: "like, this"' in " ".join(told.out.split())


async def test_one_wrong_line_keeps_all_out(shell: Shell, name: str) -> None:
    source = shell.write("b.jsonl", *bad_lines())
    told = await shell.batch(source, "--model", FLUX, "--name", name)
    assert told.status == 2
    assert "2 of 3 lines are wrong; nothing was stored." in told.err
    assert await shell.named(name) == []


async def test_a_partial_batch_goes_without_the_wrong_lines(shell: Shell) -> None:
    source = shell.write("b.jsonl", *bad_lines())
    told = await shell.batch(source, "--model", FLUX, "--mode", "partial", "--out", "art")
    assert told.status == 1
    assert "2 lines were rejected" in told.err
    assert [result["line"] for result in shell.results("art")] == [1]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("empty.jsonl",), 2, "has no lines"),
        (("empty.csv",), 2, "must name the columns"),
        (("headless.csv",), 2, "must name the columns"),
        (("hollow",), 2, "holds no image"),
        (("nowhere.jsonl",), 2, "neither a file, nor a folder, nor the id"),
        (("b.jsonl",), 2, "--model names the model for lines that name none."),
        (("b.jsonl", "--dry-run"), 2, "--model names the model for lines that name none."),
        (("b.jsonl", "--not-before", "tomorrow"), 2, "not_before"),
        (("b.jsonl", "--cancel"), 2, "goes with the id of a batch"),
        (("01a1fc03445d74048c521a68ca2f9756",), 1, "There is no such batch."),
        (("01a1fc03445d74048c521a68ca2f9756", "--cancel"), 1, "There is no such batch."),
        (("b.jsonl", "--key", "orc_wrong"), 2, "does not know the API key"),
        (("b.jsonl", "--url", "http://127.0.0.1:9"), 2, "No server answers at"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence_and_a_status(
    shell: Shell, words: tuple[str, ...], status: int, said: str
) -> None:
    shell.write("empty.jsonl")
    shell.write("empty.csv")
    shell.write("headless.csv", "a boat at sea,7")
    shell.write("b.jsonl", '{"prompt": "a boat"}')
    (shell.folder / "hollow").mkdir()
    told = await shell.batch(*words)
    assert told.status == status, told.said
    assert said in " ".join(told.err.replace("│", " ").split())
    assert "Traceback" not in told.err


# The same again


async def test_the_same_command_again_makes_no_job_and_fetches_nothing(shell: Shell, name: str) -> None:
    source = shell.jsonl("a boat", "a barn")
    command = (source, "--name", name, "--out", "art")
    first = await shell.batch(*command)
    before = shell.saved("art")
    again = await shell.batch(*command)
    assert (first.status, again.status) == (0, 0), again.said
    (batch,) = await shell.named(name)
    assert len(await shell.tasks(batch["id"])) == 2
    assert {**shell.saved("art"), "results.jsonl": 0} == {**before, "results.jsonl": 0}
    assert "sent before" in again.err


async def test_killed_while_it_sends_it_goes_on_with_what_is_stored(shell: Shell, name: str) -> None:
    source = shell.jsonl(*(f"boat {number}" for number in range(MANY)))
    command = ("batch", source, "--name", name, "--not-before", LATER, "--no-wait")
    sending = shell.started(*command)
    stored_before = await until(lambda: count_received(shell, name), what="stored lines", within=30)
    await sending.kill()
    (broken_off,) = await shell.named(name)
    told = await shell.call(*command)
    assert told.status == 0, told.said
    assert 0 < stored_before < MANY
    assert broken_off["state"] == "receiving"
    (batch,) = await shell.named(name)
    assert (batch["id"], batch["total"]) == (broken_off["id"], MANY)
    await cancelled(shell, batch["id"])


async def test_killed_while_it_watches_it_comes_back_to_the_same_batch(shell: Shell, name: str) -> None:
    source = shell.jsonl("a boat", marked("hold"))
    command = ("batch", source, "--name", name, "--out", "art")
    watching = shell.started(*command)
    await until(lambda: is_told(watching, "running: "), what="a look at the batch", within=30)
    (batch,) = await shell.named(name)
    await until(lambda: count_tasks(shell, batch["id"], 2), what="both tasks")
    await watching.kill()
    await shell.stack.control("finish")
    told = await shell.call(*command)
    assert told.status == 0, told.said
    assert len(await shell.named(name)) == 1
    assert len(await shell.tasks(batch["id"])) == 2
    assert shell.saved("art").keys() == {"job1.jpeg", "job2.jpeg", "results.jsonl"}


async def test_killed_while_it_uploads_it_uploads_the_rest(shell: Shell) -> None:
    photos(shell, *(f"hsl({hue}, 90%, 50%)" for hue in range(60)))
    command = ("batch", "photos", "--model", REDUX, "--not-before", LATER, "--no-wait")
    uploading = shell.started(*command)
    await until(lambda: count_remembered(shell), what="an upload that is remembered", within=30)
    await uploading.kill()
    (memory,) = shell.folder.glob("home/.config/orchestrator/uploads/*.jsonl")
    remembered = memory.read_bytes()
    told = await shell.call(*command)
    assert told.status == 0, told.said
    assert memory.read_bytes().startswith(remembered)
    digests = [json.loads(line)["digest"] for line in memory.read_bytes().split()]
    assert len(digests) == len(set(digests)) == 60
    await cancelled(shell, told.out.strip())


async def test_a_folder_sent_from_elsewhere_is_not_sent_twice_and_its_batch_is_named(shell: Shell) -> None:
    photos(shell, "red")
    command = ("batch", "photos", "--model", REDUX, "--not-before", LATER, "--no-wait")
    first = await shell.call(*command)
    told = await shell.call(*command, HOME=str(shell.folder / "elsewhere"))
    batch_id = first.out.strip()
    assert told.status == 1, told.said
    assert f"Go on with: orchestrator batch {batch_id} --watch" in told.err
    assert f"for another request, batch {batch_id}." in told.err
    await cancelled(shell, batch_id)


async def test_a_batch_that_somebody_else_is_sending_is_waited_for(shell: Shell, name: str) -> None:
    source = shell.jsonl("a boat")
    await shell.sent(source, "--name", name, "--not-before", LATER)
    (batch,) = await shell.named(name)
    ours = {"id": batch["id"]}
    await shell.stack.ledger.change(
        "UPDATE batches SET state = 'receiving', receiver = 'another', receiver_until = 9999999999999"
        " WHERE id = :id",
        **ours,
    )
    waiting = shell.started("batch", source, "--name", name, "--not-before", LATER, "--no-wait")
    await until(lambda: is_told(waiting, "Sending again in 2 s."), what="its patience", within=30)
    await shell.stack.ledger.change("UPDATE batches SET receiver_until = 1 WHERE id = :id", **ours)
    assert await waiting.ends() == 0, waiting.said()
    assert batch["id"] in waiting.said()
    await cancelled(shell, batch["id"])


async def test_a_key_that_stands_for_another_batch_is_refused_for_good(shell: Shell, name: str) -> None:
    params = {"name": name, "model": FLUX, "not_before": LATER}
    headers = {"idempotency-key": name, "content-type": "application/x-ndjson"}

    async def post(prompt: str) -> httpx.Response:
        body = json.dumps({"input": {"prompt": prompt}})
        return await shell.stack.http.post("/api/v3/batches", params=params, headers=headers, content=body)

    first, other = await post("a boat"), await post("a barn")
    assert (other.status_code, other.headers.get("retry-after")) == (409, None)
    assert [batch["id"] for batch in await shell.named(name)] == [data_of(first)["id"]]
    await cancelled(shell, data_of(first)["id"])


async def test_another_line_does_not_undo_what_was_stored_under_the_key(shell: Shell, name: str) -> None:
    source = shell.jsonl("a boat")
    batch_id = await shell.sent(source, "--name", name, "--not-before", LATER)
    changes = "state = 'receiving', receiver = NULL, step = NULL"
    await shell.stack.ledger.change(f"UPDATE batches SET {changes} WHERE id = :id", id=batch_id)
    (row,) = await shell.stack.ledger.rows("SELECT idempotency_key FROM batches WHERE id = :id", id=batch_id)
    other = await shell.stack.http.post(
        "/api/v3/batches",
        params={"mode": "atomic", "name": name, "not_before": LATER},
        headers={"idempotency-key": row["idempotency_key"], "content-type": "application/x-ndjson"},
        content=json.dumps({"model": FLUX, "input": {"prompt": "a barn"}}),
    )
    assert (other.status_code, other.headers.get("retry-after")) == (409, None)
    assert "line 1 is not the one" in other.text
    assert batch_id in other.text
    again = await shell.sent(source, "--name", name, "--not-before", LATER)
    assert again == batch_id
    await cancelled(shell, batch_id)


# A batch that is there


async def test_what_failed_is_told_by_kind_and_gets_another_try(shell: Shell) -> None:
    source = shell.jsonl("a boat", marked("refuse=400", "times=1"), marked("refuse=400", "times=1"))
    first = await shell.batch(source, "--out", "art")
    assert first.status == 1
    assert "1 completed, 2 failed" in first.out
    assert shell.saved("art").keys() == {"job1.jpeg", "results.jsonl"}
    batch_id = batch_in(first)
    (failure,) = (await shell.read(batch_id))["failures"]
    assert failure["fingerprint"] in first.out
    command = first.err.splitlines()[-1].partition("orchestrator ")[2]
    assert command == f"batch {batch_id} --retry-failed --watch --out art"
    again = await shell.call(*command.split())
    assert again.status == 0, again.said
    assert "2 jobs get another try." in again.err
    assert shell.saved("art").keys() == {"job1.jpeg", "job2.jpeg", "job3.jpeg", "results.jsonl"}


async def test_only_failures_of_a_kind_are_retried(shell: Shell) -> None:
    batch_id = batch_in(await shell.batch(shell.jsonl(marked("refuse=400", "times=1"))))
    unknown = await shell.batch(batch_id, "--retry-failed", "--fingerprint", "nonsense")
    assert (unknown.status, "names no failures" in unknown.err) == (1, True), unknown.said
    (failure,) = (await shell.read(batch_id))["failures"]
    told = await shell.batch(batch_id, "--retry-failed", "--fingerprint", failure["fingerprint"], "--watch")
    assert told.status == 0, told.said


async def test_a_batch_is_paused_resumed_and_cancelled(shell: Shell) -> None:
    batch_id = await shell.sent(shell.jsonl("a boat", "a barn"), "--not-before", LATER)
    assert "paused" in (await shell.batch(batch_id, "--pause")).out
    twice = await shell.batch(batch_id, "--pause")
    assert (twice.status, "this one is paused" in twice.err) == (1, True), twice.said
    assert "running" in (await shell.batch(batch_id, "--resume")).out
    told = await shell.batch(batch_id, "--cancel", "--watch")
    assert told.status == 1
    assert "cancelled" in told.out
    assert "2 failed" in told.out
    assert await shell.tasks(batch_id) == []


async def test_results_are_written_as_lines_and_as_a_table(shell: Shell) -> None:
    batch_id = batch_in(await shell.batch(shell.jsonl("a boat", "a barn")))
    told = await shell.batch(batch_id, "--results", "all.csv")
    assert told.status == 0, told.said
    head, *rows = (shell.folder / "all.csv").read_text().splitlines()
    assert head.startswith("line,custom_id,id,model,status,outputs")
    assert len(rows) == 2
    piped = await shell.batch(batch_id, "--results", "-")
    assert [json.loads(line)["custom_id"] for line in piped.out.splitlines()] == ["job1", "job2"]


async def test_batches_are_listed_newest_first(shell: Shell) -> None:
    ids = [
        await shell.sent(shell.jsonl(prompt), "--name", prompt, "--not-before", LATER)
        for prompt in ("boat", "barn")
    ]
    told = await shell.call("batches", "--limit", "2")
    assert [row.split()[:3] for row in told.out.splitlines()[1:]] == [
        [ids[1], "barn", "running"],
        [ids[0], "boat", "running"],
    ]
    for batch_id in ids:
        await cancelled(shell, batch_id)


def batch_in(told: Told) -> str:
    """The id that a summary begins with."""
    word, batch_id, *_ = told.out.split()
    assert word == "Batch", told.said
    return batch_id


async def inputs_of(shell: Shell, batch_id: str) -> list[Json]:
    asked = await shell.stack.http.get(
        f"/api/v3/batches/{batch_id}/results", params={"include_inputs": "true"}
    )
    return [json.loads(line)["input"] for line in asked.text.splitlines()]


def bad_lines() -> tuple[str, ...]:
    """A right one and two wrong ones."""
    return '{"prompt": "a boat"}', '{"prompt": 5}', "no JSON"


def photos(shell: Shell, *colours: str) -> None:
    folder = shell.folder / "photos"
    folder.mkdir()
    for number, colour in enumerate(colours):
        file = folder / (f"{colour}.png" if colour.isalpha() else f"{number:02}.png")
        Image.new("RGB", (32, 32), colour).save(file)


async def count_received(shell: Shell, name: str) -> int:
    """How many lines are stored of a batch that is still received."""
    found = await shell.stack.ledger.rows(
        "SELECT created FROM batches WHERE name = :name AND state = 'receiving'", name=name
    )
    return found[0]["created"] if found else 0


async def count_tasks(shell: Shell, batch_id: str, wanted: int) -> bool:
    return len(await shell.tasks(batch_id)) == wanted


async def count_remembered(shell: Shell) -> int:
    files = shell.folder.glob("home/.config/orchestrator/uploads/*.jsonl")
    return sum(len(path.read_bytes()) for path in files)


async def is_told(program: Program, words: str) -> bool:
    return words in program.said()


async def cancelled(shell: Shell, batch_id: str) -> None:
    """Leave nothing behind that waits."""
    told = await shell.batch(batch_id, "--cancel", "--watch")
    assert "cancelled" in told.out, told.said
