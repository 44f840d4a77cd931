"""Outputs of every kind become files."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.failures import BadPlace, CommandFailed
from orchestrator.cli.save import save_outputs, try_folder

PNG = b"\x89PNG\r\n\x1a\n and what follows"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Nothing."""


@pytest.fixture(scope="module")
def file_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serves `picture.webp`, and `bare`, whose name says nothing of its kind."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "picture.webp").write_bytes(b"webp")
    (folder / "bare").write_bytes(b"bare")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_downloaded_under_the_name_of_its_job(file_server: str, tmp_path: Path) -> None:
    saved = save_outputs([f"{file_server}/picture.webp?a=b"], folder=tmp_path, stem="job")

    assert saved == [tmp_path / "job-1.webp"]
    assert saved[0].read_bytes() == b"webp"


def test_the_content_type_names_what_the_url_does_not(file_server: str, tmp_path: Path) -> None:
    [saved] = save_outputs([f"{file_server}/bare"], folder=tmp_path, stem="job")

    assert saved.name == "job-1.bin"


def test_a_download_that_fails_leaves_nothing_behind(file_server: str, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="could not be downloaded"):
        save_outputs([f"{file_server}/missing.png"], folder=tmp_path, stem="job")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_told_without_our_names_for_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadPlace, match=r"/file/art: nothing can be saved there \(Not a directory\)\.$"):
        try_folder(tmp_path / "file" / "art")

    (tmp_path / "job-1.txt.part").mkdir()
    (tmp_path / "job-1.part").mkdir()
    with pytest.raises(CommandFailed, match=r"^/[^ ]*: Is a directory\.$") as told:
        save_outputs(["Once upon a time"], folder=tmp_path, stem="job")
    assert ".part" not in str(told.value)


@pytest.mark.parametrize(
    ("output", "name", "content"),
    [
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), "job-1.png", PNG),
        (base64.b64encode(PNG).decode(), "job-1.png", PNG),
        ("Once upon a time", "job-1.txt", b"Once upon a time"),
        ("data", "job-1.txt", b"data"),
        ("data:image/png;base64,%%%", "job-1.txt", b"data:image/png;base64,%%%"),
        ({"label": "cat"}, "job-1.json", b'{"label":"cat"}'),
        (17, "job-1.json", b"17"),
    ],
)
def test_what_is_no_url_is_written_down(output: Any, name: str, content: bytes, tmp_path: Path) -> None:
    [saved] = save_outputs([output], folder=tmp_path, stem="job")

    assert (saved.name, saved.read_bytes()) == (name, content)


def test_an_object_with_a_url_is_downloaded(file_server: str, tmp_path: Path) -> None:
    [saved] = save_outputs([{"url": f"{file_server}/picture.webp"}], folder=tmp_path, stem="job")

    assert saved.read_bytes() == b"webp"


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    [saved] = save_outputs(["text"], folder=tmp_path / "out", stem="../../elsewhere")

    assert saved.parent == tmp_path / "out"
