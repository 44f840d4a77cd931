"""The client commands against a running server: what they say, where they say it, and how they end."""

from __future__ import annotations

import errno
import http.client
import re
import time
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.cli import app
from orchestrator.cli.client import Running
from tests.cli.conftest import Command, format_of

MODEL = "wavespeed-ai/flux-dev"
QUICK = "[fault: duration=0.05]"
pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture
def failed_job(orchestrator: Command, home: Path, up: Running) -> str:
    """A job that the provider's safety checker has refused."""
    told = orchestrator("submit", MODEL, "--v2", "-p", f"prompt=a forbidden sea {QUICK}", cwd=home)
    assert told.returncode == 1
    newest = orchestrator("jobs", "--status", "failed", "--limit", "1", cwd=home).stdout
    return newest.splitlines()[1].split()[0]


def test_a_submitted_job_is_waited_for_and_saved(orchestrator: Command, home: Path, up: Running) -> None:
    told = orchestrator("submit", MODEL, "-p", f"prompt=a lake {QUICK}", "-p", "num_images=2", cwd=home)

    assert told.returncode == 0, told.stderr
    saved = [home / line for line in told.stdout.splitlines()]
    assert [format_of(path) for path in saved] == ["JPEG", "JPEG"]
    assert "completed in" in told.stderr


def test_a_place_that_cannot_be_written_is_told_before_the_job_is_sent(
    orchestrator: Command, home: Path, up: Running
) -> None:
    (home / "taken").touch()
    newest = orchestrator("jobs", "--limit", "1", cwd=home).stdout

    told = orchestrator("submit", MODEL, "-p", f"prompt=a cape {QUICK}", "--out", "taken", cwd=home)

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("taken: nothing can be saved there (")
    assert orchestrator("jobs", "--limit", "1", cwd=home).stdout.split()[5:6] == newest.split()[5:6]


def test_a_job_that_cannot_be_saved_in_the_end_is_told_with_its_outputs(
    orchestrator: Command, home: Path, up: Running
) -> None:
    words = ("submit", MODEL, "-p", f"prompt=a ford {QUICK}", "--idempotency-key", "unsaved")
    [saved] = orchestrator(*words, cwd=home).stdout.split()
    (home / saved).unlink()
    (home / saved).mkdir()

    told = orchestrator(*words, cwd=home)

    job_id = Path(saved).stem.removesuffix("-1")
    assert told.returncode == 1
    assert f"`orchestrator job {job_id}` shows its outputs" in told.stderr
    assert "http://" in told.stderr
    assert ".part" not in told.stderr


def test_a_local_file_is_uploaded_first(orchestrator: Command, home: Path, up: Running) -> None:
    Image.new("RGB", (64, 64), "teal").save(home / "teal.png")

    told = orchestrator("submit", "wavespeed-ai/flux-redux-dev", "-p", "image=@teal.png", cwd=home)

    assert told.returncode == 0, told.stderr
    job_id = Path(told.stdout.strip()).stem.removesuffix("-1")
    assert "/media/" in orchestrator("job", job_id, cwd=home).stdout


def test_without_waiting_only_the_id_is_told(orchestrator: Command, home: Path, up: Running) -> None:
    told = orchestrator("submit", MODEL, "-p", f"prompt=a bay {QUICK}", "--no-wait", cwd=home)

    assert told.returncode == 0
    assert told.stderr == ""
    assert told.stdout.strip().isalnum()


def test_the_same_idempotency_key_is_the_same_job(orchestrator: Command, home: Path, up: Running) -> None:
    words = ("submit", MODEL, "-p", f"prompt=a fjord {QUICK}", "--no-wait", "--idempotency-key", "once")

    assert orchestrator(*words, cwd=home).stdout == orchestrator(*words, cwd=home).stdout


def test_a_refused_input_names_its_field(orchestrator: Command, home: Path, up: Running) -> None:
    told = orchestrator("submit", MODEL, "-p", "prompt=x", "-p", "size=huge", cwd=home)

    assert told.returncode == 1
    assert told.stderr.startswith("size: ")
    assert told.stdout == ""


def test_a_failed_job_ends_with_1_and_its_error(orchestrator: Command, home: Path, up: Running) -> None:
    told = orchestrator(
        "submit", MODEL, "--v2", "-p", f"prompt=a forbidden bay {QUICK}", "--url", up.url, cwd=home
    )

    assert told.returncode == 1
    assert "failed (rejected): The content was flagged" in told.stderr
    assert f" --url {up.url}` tells all of it." in told.stderr


def test_piped_output_is_plain_and_whole(orchestrator: Command, home: Path, failed_job: str) -> None:
    told = orchestrator("jobs", cwd=home).stdout

    assert "\x1b" not in told
    assert failed_job in told


def test_one_job_is_shown_with_its_timeline(orchestrator: Command, home: Path, failed_job: str) -> None:
    told = orchestrator("job", failed_job, cwd=home).stdout

    found = [
        told.index(word) for word in ("prompt", "created", "one POST", "the provider has it", "callback")
    ]
    assert found == sorted(found)


def test_a_dead_letter_is_redriven(orchestrator: Command, home: Path, failed_job: str) -> None:
    assert failed_job in orchestrator("dead", cwd=home).stdout

    told = orchestrator("redrive", failed_job, cwd=home)

    assert told.returncode == 0
    assert told.stdout == f"{failed_job} is ready again.\n"


def test_what_cannot_be_redriven_is_told_and_the_rest_is_done(
    orchestrator: Command, home: Path, failed_job: str
) -> None:
    told = orchestrator("redrive", "nope", failed_job, cwd=home)

    assert told.returncode == 1
    assert told.stderr.startswith("nope: ")
    assert failed_job in told.stdout


def test_cancelling_says_whether_it_may_be_billed(orchestrator: Command, home: Path, up: Running) -> None:
    words = ("submit", MODEL, "-p", "prompt=[fault: hold]", "--no-wait")
    job_id = orchestrator(*words, cwd=home).stdout.strip()

    told = orchestrator("cancel", job_id, cwd=home)

    assert told.returncode == 0
    assert ("may be billed" in told.stdout) or ("nothing was sent" in told.stdout)


def test_a_place_to_save_is_refused_where_nothing_will_be_saved(orchestrator: Command) -> None:
    told = orchestrator("submit", MODEL, "-p", "prompt=x", "--no-wait", "--out", "art")

    assert told.returncode == 2
    assert "nothing is saved with --no-wait" in told.stderr


def test_no_server_is_one_line(orchestrator: Command) -> None:
    told = orchestrator("jobs", "--url", "http://127.0.0.1:1")

    assert told.returncode == 2
    assert told.stderr == "No server answers at http://127.0.0.1:1: start one with `orchestrator up`.\n"


@pytest.mark.parametrize("option", ["--key", "--idempotency-key"])
def test_a_key_that_no_header_can_hold_is_told_at_its_option(orchestrator: Command, option: str) -> None:
    told = orchestrator("submit", MODEL, "--url", "http://127.0.0.1:1", option, "schlüssel")

    assert told.returncode == 2
    assert option in told.stderr
    assert "must have only letters" in told.stderr


def test_the_server_may_be_named_in_the_environment(orchestrator: Command, home: Path, up: Running) -> None:
    told = orchestrator("jobs", ORCHESTRATOR_URL=up.url, ORCHESTRATOR_API_KEY=up.api_key)

    assert told.returncode == 0


def test_a_wrong_key_is_told_with_where_it_came_from(orchestrator: Command, home: Path, up: Running) -> None:
    told = orchestrator("jobs", cwd=home, ORCHESTRATOR_API_KEY="orc_wrong_and_secret")

    assert told.returncode == 2
    assert "from ORCHESTRATOR_API_KEY" in told.stderr
    assert "secret" not in told.stderr


def test_something_else_that_answers_is_told(orchestrator: Command, sandbox_url: str) -> None:
    told = orchestrator("jobs", "--url", sandbox_url, "--key", "anything")

    assert told.returncode == 1
    assert told.stderr


def test_the_key_that_up_wrote_down_is_readable_by_its_owner_alone(home: Path, up: Running) -> None:
    assert (home / "data" / "server.json").stat().st_mode & 0o077 == 0


def test_the_line_to_go_on_with_works(home: Path, up: Running) -> None:
    # It is said a moment after the server can be found.
    while not (said := re.search(r'Bearer ([^"]+)"', (home / "up.log").read_text())):
        time.sleep(0.05)

    connection = http.client.HTTPConnection(up.url.removeprefix("http://"))
    with closing(connection):
        connection.request("GET", "/api/v3/jobs", headers={"authorization": f"Bearer {said[1]}"})
        assert connection.getresponse().status == 200


def test_what_up_keeps_is_for_its_user_alone(home: Path, up: Running) -> None:
    kept = {path.name: path.stat().st_mode & 0o077 for path in (home / "data").iterdir()}
    assert "orchestrator.db" in kept
    assert set(kept.values()) == {0}, kept


def test_a_full_disk_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_the_disk(**_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(app, "app", fill_the_disk)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "No space left on device.\n"
