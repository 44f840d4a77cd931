"""`batch` against a stand-in that breaks off and is busy: what is sent, and what is on the disk then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.cli.bulk.sending import pause_after
from orchestrator.cli.failures import CommandFailed, Declined, NoAnswer, NoServer
from tests.cli.batch_server import BatchServer, running_batch_server
from tests.cli.conftest import PROJECT, Command

pytestmark = pytest.mark.xdist_group("cli")

Batch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with running_batch_server() as running:
        yield running


@pytest.fixture
def batch(orchestrator: Command, server: BatchServer, tmp_path: Path) -> Batch:
    """Calls `orchestrator batch` in an empty folder."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return orchestrator("batch", *words, ORCHESTRATOR_URL=server.url, HOME=str(tmp_path / "home"))

    return call


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Writes a JSONL file of these prompts, and gives its name."""

    def write(*prompts: str) -> str:
        rows = [{"custom_id": f"job{n}", "input": {"prompt": text}} for n, text in enumerate(prompts, 1)]
        (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return "b.jsonl"

    return write


Lines = Callable[..., str]


def saved_in(tmp_path: Path) -> dict[str, bytes]:
    """What is in the one folder that the batch made."""
    (folder,) = tmp_path.glob("b-*")
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def results_in(tmp_path: Path) -> list[list[str]]:
    return [json.loads(line)["files"] for line in saved_in(tmp_path)["results.jsonl"].splitlines()]


def test_every_output_is_a_file_and_results_name_them(batch: Batch, lines: Lines, tmp_path: Path) -> None:
    told = batch(lines("x", "two", "y"))

    assert told.returncode == 0, told.stderr
    assert saved_in(tmp_path).keys() == {"job1.png", "job2-1.png", "job2-2.png", "job3.png", "results.jsonl"}
    assert results_in(tmp_path) == [["job1.png"], ["job2-1.png", "job2-2.png"], ["job3.png"]]


def test_options_travel_under_the_servers_names(batch: Batch, lines: Lines, server: BatchServer) -> None:
    batch(
        lines("x"), "--model", "m/x", "--priority", "0", "--job-webhook", "https://x", "--strict", "--no-wait"
    )

    assert server.params == {
        "name": "b",
        "model": "m/x",
        "mode": "atomic",
        "strict": "true",
        "priority": "0",
        "job_webhook": "https://x",
    }


def test_of_a_long_file_name_so_much_is_the_batchs_name_as_one_may_have(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path
) -> None:
    (tmp_path / lines("x")).rename(tmp_path / f"{'x' * 240}.jsonl")
    batch(f"{'x' * 240}.jsonl", "--no-wait")
    assert server.params["name"] == "x" * 200


@pytest.mark.parametrize(
    "words", [("b\udcff.jsonl",), ("b.jsonl", "--name", "\udcff"), ("b.jsonl", "-p", "x=\udcff")]
)
def test_what_is_typed_in_other_bytes_than_utf8_is_told(
    batch: Batch, lines: Lines, words: tuple[str, ...]
) -> None:
    lines("x")

    told = batch(*words)

    assert (told.returncode, told.stderr) == (2, f"{words[-1]!r} is not UTF-8.\n")


def test_failed_jobs_end_it_with_1_and_the_command_to_go_on(batch: Batch, lines: Lines) -> None:
    told = batch(lines("x", "fail"))

    assert told.returncode == 1
    assert "rejected" in told.stdout
    assert "--retry-failed --watch --out b-" in told.stderr


def test_commands_to_go_on_with_ask_the_server_that_was_named(
    batch: Batch, lines: Lines, server: BatchServer
) -> None:
    told = batch(lines("x", "fail"), "--url", server.url, "--key", "orc_secret")

    again = batch(*told.stderr.splitlines()[-1].partition("orchestrator batch ")[2].split())

    assert told.stderr.endswith(f" --url {server.url}\n")
    assert again.stderr.endswith(f" --url {server.url}\n")
    assert "orc_secret" not in told.stderr + again.stderr


def test_the_same_file_again_goes_on_and_fetches_nothing_twice(
    batch: Batch, lines: Lines, server: BatchServer
) -> None:
    batch(lines("x", "two"))
    fetched = len(server.downloads)

    told = batch("b.jsonl")

    assert told.returncode == 0
    assert "sent before" in told.stderr
    assert (len(server.batches), len(server.downloads)) == (1, fetched)


@pytest.mark.parametrize("words", [("--again",), ("--priority", "1"), ("-p", "seed=7"), ("--name", "other")])
def test_other_options_are_another_batch(
    batch: Batch, lines: Lines, server: BatchServer, words: tuple[str, ...]
) -> None:
    batch(lines("x"), "--no-wait")

    batch("b.jsonl", "--no-wait", *words)

    assert len(server.batches) == 2


def test_inputs_for_all_lines_in_another_order_are_the_same_batch(
    batch: Batch, lines: Lines, server: BatchServer
) -> None:
    batch(lines("x"), "--no-wait", "-p", "steps=20", "-p", "seed=7")

    batch("b.jsonl", "--no-wait", "-p", "seed=7", "-p", "steps=20")

    assert len(server.batches) == 1


def test_a_copy_is_the_same_batch_under_the_same_name(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path
) -> None:
    batch(lines("x"), "--no-wait")
    (tmp_path / "b.jsonl").rename(tmp_path / "copy.jsonl")

    batch("copy.jsonl", "--no-wait", "--name", "b")

    assert len(server.batches) == 1


def test_again_goes_on_with_its_batch_until_that_is_finished(
    batch: Batch, lines: Lines, server: BatchServer
) -> None:
    batch(lines("x"), "--no-wait")
    server.faults = [400]
    broken_off = batch("b.jsonl", "--again")

    told = [batch("b.jsonl", *words) for words in (("--again",), (), ("--again",))]

    assert broken_off.returncode == 2
    assert [one.returncode for one in told] == [0, 0, 0]
    first, second, second_again, third = server.keys
    assert second == second_again
    assert len({first, second, third}) == len(server.batches) == 3


def test_again_interrupted_while_it_waits_comes_back_to_its_batch(
    batch: Batch, server: BatchServer, lines: Lines, tmp_path: Path
) -> None:
    server.states = ["running"] * 1_000
    words = [sys.executable, "-m", "orchestrator.cli", "batch", lines("x"), "--again"]
    env = {"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "ORCHESTRATOR_URL": server.url}
    env["HOME"] = str(tmp_path / "home")
    with subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL) as process:
        assert server.looked_at.wait(30)
        process.send_signal(signal.SIGINT)
    server.states.clear()

    told = batch("b.jsonl", "--again")

    assert told.returncode == 0
    assert "sent before; --again goes on with it until it is finished" in told.stderr
    assert len(server.batches) == 1


def test_a_file_that_was_half_written_is_fetched_again(batch: Batch, lines: Lines, tmp_path: Path) -> None:
    batch(lines("x"))
    (folder,) = tmp_path.glob("b-*")
    (folder / "job1.png").rename(folder / "job1.part")

    batch("b.jsonl")

    assert (folder / "job1.png").read_bytes() == b"1-0.png"


def test_an_output_that_is_gone_is_told_and_the_others_are_saved(
    batch: Batch, lines: Lines, tmp_path: Path
) -> None:
    told = batch(lines("lost", "x"))

    assert told.returncode == 1
    assert "line 1" in told.stdout
    assert "HTTP 404" in told.stdout
    assert results_in(tmp_path) == [[], ["job2.png"]]


def test_results_that_break_off_are_read_on(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path
) -> None:
    server.results_cut_at = 2

    told = batch(lines("x", "y", "z"))

    assert told.returncode == 0, told.stderr
    assert results_in(tmp_path) == [["job1.png"], ["job2.png"], ["job3.png"]]


@pytest.mark.parametrize("what", ["upload", "look", "results"])
def test_a_server_that_is_busy_is_asked_again(
    batch: Batch, server: BatchServer, tmp_path: Path, what: str
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cat.png").write_bytes(b"cat")
    server.troubles[what] = [503]

    told = batch("b")

    assert told.returncode == 0, told.stderr
    assert server.troubles[what] == []


@pytest.mark.parametrize("fault", [0, 429, 503, 409])
def test_a_send_that_fails_is_repeated_with_the_same_key(
    batch: Batch, lines: Lines, server: BatchServer, fault: int
) -> None:
    server.faults = [fault]

    told = batch(lines("x"), "--no-wait")

    assert told.returncode == 0, told.stderr
    assert "Sending again in" in told.stderr
    assert told.stdout.strip() in server.batches


@pytest.mark.parametrize("status", [400, 413])
def test_a_send_that_is_refused_is_not_repeated(
    batch: Batch, lines: Lines, server: BatchServer, status: int
) -> None:
    server.faults = [status]

    told = batch(lines("x"))

    assert (told.returncode, told.stderr) == (2, "Not now.\n")
    assert server.batches == {}


def test_wrong_lines_are_a_table_and_nothing_is_stored(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"prompt":"x"}\n\n{"seed":"many"}\n')

    told = batch("b.jsonl")

    assert told.returncode == 2
    assert "3  input.seed  must be an integer" in told.stderr


def test_a_trial_tells_at_most_20_wrong_lines_and_counts_the_rest(
    batch: Batch, server: BatchServer, tmp_path: Path
) -> None:
    (tmp_path / "b.jsonl").write_text('{"seed":"many"}\n' * 25 + '{"seed":1}\n')

    told = batch("b.jsonl", "--dry-run")

    assert told.returncode == 2
    assert told.stdout.count("must be an integer") == 20
    assert "1 of 26 lines is right" in told.stdout
    assert "and 5 more" in told.stdout
    assert server.batches == {}


def test_a_table_without_a_header_is_told_what_its_first_line_is_taken_for(
    batch: Batch, tmp_path: Path
) -> None:
    (tmp_path / "b.csv").write_text("lighthouse\nboat\ncat\n")

    told = batch("b.csv", "--dry-run")

    assert "names of the columns, and none is known: lighthouse." in told.stderr


def test_a_trial_of_right_lines_ends_with_0(batch: Batch, lines: Lines) -> None:
    assert batch(lines("x"), "--dry-run").returncode == 0


def test_a_partial_batch_tells_what_it_went_without(
    batch: Batch, server: BatchServer, tmp_path: Path
) -> None:
    (tmp_path / "b.jsonl").write_text('{"prompt":"x"}\n{"seed":"many"}\n')

    unwaited, told = (batch("b.jsonl", "--mode", "partial", *words) for words in (("--no-wait",), ()))

    assert (unwaited.returncode, told.returncode) == (1, 1)
    assert unwaited.stdout.split() == list(server.batches)
    assert "1 line was rejected" in told.stderr
    assert "1 completed; 1 line was rejected" in told.stdout


def test_a_folders_images_are_uploaded_once_for_all_runs(
    batch: Batch, server: BatchServer, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    for name, content in (("cat.png", b"cat"), ("dog.png", b"dog"), ("copy-of-dog.png", b"dog")):
        (tmp_path / "b" / name).write_bytes(content)

    first, second = batch("b"), batch("b")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert sorted(server.uploads) == [b"cat", b"dog"]
    assert len(server.batches) == 1
    assert saved_in(tmp_path).keys() == {"cat.png", "dog.png", "copy-of-dog.png", "results.jsonl"}


def test_a_file_that_cannot_be_uploaded_is_named(batch: Batch, server: BatchServer, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cat.png").write_bytes(b"cat")
    server.troubles = {"upload": [413]}

    told = batch("b")

    assert (told.returncode, told.stderr) == (2, "b/cat.png: Not now.\n")


def test_two_commands_at_once_upload_a_folder_once(batch: Batch, server: BatchServer, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cat.png").write_bytes(b"cat")
    server.may_upload.clear()
    words = [sys.executable, "-m", "orchestrator.cli", "batch", "b", "--no-wait"]
    env = {"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "ORCHESTRATOR_URL": server.url}
    env["HOME"] = str(tmp_path / "home")
    pipe = subprocess.PIPE
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(batch, "b", "--no-wait")
        assert server.uploading.wait(30)
        with subprocess.Popen(words, cwd=tmp_path, env=env, stdout=pipe, stderr=pipe, text=True) as second:
            assert second.stderr is not None
            assert second.stderr.readline() == "Another command is sending this batch; waiting for it.\n"
            server.may_upload.set()
            batch_id, _ = second.communicate(timeout=30)

    assert first.result().stdout == batch_id != ""
    assert server.uploads == [b"cat"]


def test_what_was_uploaded_by_another_server_is_uploaded_anew(
    batch: Batch, server: BatchServer, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cat.png").write_bytes(b"cat")
    with running_batch_server() as other:
        batch("b", "--no-wait", "--url", other.url)

    batch("b", "--no-wait", "--key", "orc_of_one_that_was_there")
    told = batch("b", "--no-wait")

    assert told.returncode == 0, told.stderr
    assert (server.uploads, len(other.uploads)) == ([b"cat", b"cat"], 1)


def test_again_at_another_server_makes_none_here(batch: Batch, lines: Lines, server: BatchServer) -> None:
    batch(lines("x"), "--no-wait")
    with running_batch_server() as other:
        batch("b.jsonl", "--no-wait", "--again", "--url", other.url)

    batch("b.jsonl", "--no-wait")

    assert (len(server.batches), len(other.batches)) == (1, 1)


@pytest.mark.parametrize("words", [("--dry-run",), ("-p", "seed=many")])
def test_nothing_is_uploaded_for_a_trial_or_for_wrong_lines(
    batch: Batch, server: BatchServer, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    for name in ("a.heic", "b.txt"):
        (tmp_path / name).touch()

    told = batch(".", *words)

    assert "No images, and left out: a.heic, b.txt." in told.stderr
    assert len(server.bodies) == 1
    assert server.uploads == []


def test_outputs_are_not_mixed_with_the_images_they_came_from(
    batch: Batch, server: BatchServer, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cat.png").write_bytes(b"cat")

    batch("b", "--out", "b")

    assert (tmp_path / "b" / "cat.png").read_bytes() == b"cat"
    assert [path.name for path in (tmp_path / "b").glob("b-*/cat.png")] == ["cat.png"]


@pytest.mark.parametrize("place", ["b.jsonl", "b.jsonl/art"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_sent(
    batch: Batch, lines: Lines, server: BatchServer, place: str
) -> None:
    told = batch(lines("x"), "--out", place)

    assert told.returncode == 2
    assert told.stderr.startswith(f"{place}: nothing can be saved there (")
    assert server.batches == {}


@pytest.mark.parametrize(
    "words", [("--out", "b.jsonl"), ("--results", "b.jsonl/all.csv"), ("--results", ".")]
)
def test_a_bad_place_keeps_a_batch_from_being_acted_on(
    batch: Batch, lines: Lines, server: BatchServer, words: tuple[str, ...]
) -> None:
    batch_id = batch(lines("x", "fail"), "--no-wait").stdout.strip()
    server.params = {}

    told = batch(batch_id, "--retry-failed", *words)

    assert (told.returncode, server.params) == (2, {})


def test_what_cannot_be_saved_in_the_end_is_told_with_the_way_to_fetch_it(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path
) -> None:
    batch_id = batch(lines("x"), "--no-wait").stdout.strip()
    (tmp_path / "art" / "results.jsonl" / "in the way").mkdir(parents=True)
    (tmp_path / "art" / ".batch").write_text(batch_id)

    told = batch("b.jsonl", "--out", "art")

    assert told.returncode == 1
    assert f"orchestrator batch {batch_id} --out DIR" in told.stderr
    assert "art: Is a directory." in told.stderr
    assert ".part" not in told.stderr


def test_a_batch_is_shown_acted_on_and_fetched_by_its_id(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path
) -> None:
    batch_id = batch(lines("x", "fail"), "--no-wait").stdout.strip()

    assert "1 completed, 1 failed" in batch(batch_id).stdout
    assert "1 job gets another try." in batch(batch_id, "--retry-failed", "--fingerprint", "0f3a").stderr
    assert server.params == {"verb": "retry-failed", "fingerprint": "0f3a"}
    assert batch(batch_id, "--results", "-").stdout.count("\n") == 2
    assert batch(batch_id, "--out", "art").returncode == 1
    assert (tmp_path / "art" / "job1.png").exists()


@pytest.mark.parametrize("words", [("--results", "all.jsonl"), ("--results", "-")])
def test_results_that_break_off_on_their_way_to_a_file_are_read_on(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path, words: tuple[str, ...]
) -> None:
    batch_id = batch(lines("x", "y", "z"), "--no-wait").stdout.strip()
    server.results_cut_at = 2

    told = batch(batch_id, *words)

    assert told.returncode == 0, told.stderr
    written = told.stdout if words[-1] == "-" else (tmp_path / "all.jsonl").read_text()
    assert [json.loads(line)["line"] for line in written.splitlines()] == [1, 2, 3]


def test_a_table_that_breaks_off_leaves_nothing_behind(
    batch: Batch, lines: Lines, server: BatchServer, tmp_path: Path
) -> None:
    batch_id = batch(lines("x", "y", "z"), "--no-wait").stdout.strip()
    (tmp_path / "all.csv").write_text("as it was")
    server.results_cut_at = 2

    told = batch(batch_id, "--results", "all.csv")

    assert told.returncode == 1
    assert (tmp_path / "all.csv").read_text() == "as it was"
    assert not (tmp_path / "all.csv.part").exists()


def test_results_go_through_a_link_to_its_file(batch: Batch, lines: Lines, tmp_path: Path) -> None:
    batch_id = batch(lines("x"), "--no-wait").stdout.strip()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "all.jsonl").symlink_to("elsewhere/real.jsonl")

    for _ in range(2):
        assert batch(batch_id, "--results", "all.jsonl").returncode == 0

    assert (tmp_path / "all.jsonl").is_symlink()
    assert (tmp_path / "elsewhere" / "real.jsonl").read_text().count("\n") == 1


def test_results_go_into_a_pipe_and_it_stays(batch: Batch, lines: Lines, tmp_path: Path) -> None:
    batch_id = batch(lines("x", "y"), "--no-wait").stdout.strip()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        try:
            told = batch(batch_id, "--results", "pipe")

            assert (told.returncode, pipe.is_fifo()) == (0, True), told.stderr
            assert reader.communicate(timeout=30)[0].count("\n") == 2
        finally:
            reader.kill()


def test_a_summary_is_not_among_results_that_are_piped(batch: Batch, lines: Lines) -> None:
    batch_id = batch(lines("x"), "--no-wait").stdout.strip()

    told = batch(batch_id, "--results", "-", "--watch", "--out", "art")

    assert told.returncode == 0, told.stderr
    assert [json.loads(line)["line"] for line in told.stdout.splitlines()] == [1]
    assert f"Batch    {batch_id}" in told.stderr


def test_results_for_an_output_that_is_closed_are_told_before_anything_is_done(
    server: BatchServer, batch: Batch, lines: Lines, tmp_path: Path
) -> None:
    batch_id = batch(lines("fail"), "--no-wait").stdout.strip()
    server.params = {}
    words = [sys.executable, "-m", "orchestrator.cli", "batch", batch_id, "--retry-failed", "--results", "-"]
    env = {"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "ORCHESTRATOR_URL": server.url}

    told = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words],
        cwd=tmp_path,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (told.returncode, server.params) == (2, {})
    assert told.stderr == "-: nothing can be saved there (Bad file descriptor).\n"


def test_interrupted_while_it_is_watched_it_goes_on_and_says_how_to_come_back(
    server: BatchServer, lines: Lines, tmp_path: Path
) -> None:
    server.states = ["running"] * 1_000
    words = [sys.executable, "-m", "orchestrator.cli", "batch", lines("x")]
    env = {"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "ORCHESTRATOR_URL": server.url}
    with subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert server.looked_at.wait(30)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)

    (batch_id,) = server.batches
    assert process.returncode == 130
    assert f"orchestrator batch {batch_id} --watch --out b-{batch_id[-8:]}" in told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nowhere.jsonl",), "neither a file, nor a folder, nor the id"),
        (("~nosuchuser/b.jsonl",), "neither a file, nor a folder, nor the id"),
        (("b.jsonl", "-p", "image=@~nosuchuser/x"), "there is no file '~nosuchuser/x'"),
        (("",), "'' is neither a file, nor a folder, nor the id"),
        (("b.jsonl", "-p", "image=@"), "there is no file ''"),
        (("b.jsonl", "--out", ""), "Invalid value for '--out': is empty"),
        (("0193f0c2a7b97d6e8f1a2b3c4d5e6f70", "--results", ""), "Invalid value for '--results': is empty"),
        (("b.jsonl", "--no-wait", "--out", "art"), "nothing is saved with --no-wait"),
        (("b.jsonl", "--cancel"), "goes with the id of a batch"),
        (("0193f0c2a7b97d6e8f1a2b3c4d5e6f70", "--model", "m"), "goes with a file or folder"),
        (("0193f0c2a7b97d6e8f1a2b3c4d5e6f70", "--pause", "--cancel"), "at once"),
        (("0193f0c2a7b97d6e8f1a2b3c4d5e6f70", "--fingerprint", "f"), "goes with --retry-failed"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_asked(
    batch: Batch, lines: Lines, words: tuple[str, ...], why: str
) -> None:
    lines("x")

    told = batch(*words)

    assert told.returncode == 2
    assert why in " ".join(told.stderr.replace("│", "").split())


def test_batches_are_listed(orchestrator: Command, batch: Batch, lines: Lines, server: BatchServer) -> None:
    batch_id = batch(lines("x", "fail"), "--no-wait").stdout.strip()

    told = orchestrator("batches", ORCHESTRATOR_URL=server.url)

    assert told.stdout.splitlines()[1].split()[:6] == [batch_id, "b", "completed", "100", "%", "1"]


@pytest.mark.parametrize(
    ("failure", "tries", "pause_s"),
    [
        (NoServer("http://x"), 1, None),
        (NoServer("http://x"), 2, 2.0),
        (NoAnswer("broken"), 1, 1.0),
        (NoAnswer("broken"), 5, 16.0),
        (NoAnswer("broken"), 7, None),
        (Declined("full", status=429, retry_after_s=30), 1, 30.0),
        (Declined("full", status=429, retry_after_s=7_200), 1, 60.0),
        (Declined("no", status=400), 1, None),
        (Declined("being received", status=409, retry_after_s=2), 1, 2.0),
        (Declined("being received", status=409, retry_after_s=2), 6, 32.0),
        (Declined("being received", status=409, retry_after_s=2), 7, None),
        (Declined("another request's key", status=409), 1, None),
    ],
)
def test_what_may_pass_is_waited_for_with_patience(
    failure: CommandFailed, tries: int, pause_s: float | None
) -> None:
    assert pause_after(failure, tries) == pause_s
