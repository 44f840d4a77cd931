"""The HTTP client behind the commands: finds the server and the key, speaks the public API, nothing else."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from orchestrator.cli.answers import Envelope, Job, Lanes, LoginLink, Page, Problem, Uploaded
from orchestrator.cli.failures import (
    CommandFailed,
    Declined,
    KeyRefused,
    NoAnswer,
    NoServer,
    NoUrl,
    without_login,
)
from orchestrator.ids import key_prefix
from orchestrator.settings import Settings

T = TypeVar("T")

USUAL_URL = "http://127.0.0.1:8080"
SERVER_FILE = "server.json"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_UPLOAD_TIMEOUT = httpx.Timeout(120.0, connect=5.0)
_SUBMIT_TRIES = 3


class Running(msgspec.Struct, frozen=True):
    """What a running `up` writes into its data directory."""

    url: str
    api_key: str
    pid: int


@dataclass(frozen=True)
class Server:
    """Where to ask, with which key, and who named the key; without one, where it was looked for."""

    url: str
    key: str
    key_from: str

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return without_login(self.url)


def find_server(settings: Settings, *, url: str = "", key: str = "") -> Server:
    """What was given, else what the settings say, else what a running `up` wrote down.

    The key of a running `up` goes to that server alone, never to an address from elsewhere. Raises NoUrl.
    """
    running = read_running(settings.data_dir)
    url = url or settings.url
    if url and not _is_address(url):
        raise NoUrl(url)
    found_url = (url or (running.url if running else USUAL_URL)).rstrip("/")
    if key:
        return Server(found_url, key, "--key")
    if settings.api_key:
        return Server(found_url, settings.api_key, "ORCHESTRATOR_API_KEY")
    if running is not None and running.url == found_url:
        return Server(found_url, running.api_key, str(settings.data_dir / SERVER_FILE))
    return Server(found_url, "", f"--key, ORCHESTRATOR_API_KEY or {settings.data_dir / SERVER_FILE}")


def _is_address(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
        host = parsed.host.encode("idna")  # as the look-up of the name does
    except (httpx.InvalidURL, UnicodeError):
        return False
    return parsed.scheme in ("http", "https") and bool(host)


def read_running(data_dir: Path) -> Running | None:
    """None when no `up` has left its word there."""
    try:
        return msgspec.json.decode((data_dir / SERVER_FILE).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


class Client:
    """One method for each question; raises what `failures` lists."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        self.server = server
        self._http = http

    def submit(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        idempotency_key: str,
        version: str = "v3",
        webhook: str | None = None,
    ) -> Job:
        """Stored when this returns, and perhaps where NoAnswer is raised.

        A lost answer is asked for again: the key makes that harmless.
        """
        for tries in range(1, _SUBMIT_TRIES + 1):
            try:
                return self._submit(model, inputs, idempotency_key, version, webhook)
            except NoAnswer:
                if tries == _SUBMIT_TRIES:
                    raise
            except CommandFailed as failure:
                if tries == 1:
                    raise
                raise NoAnswer(str(failure)) from failure  # of this try; an earlier one may be stored
        raise AssertionError("unreachable")

    def upload(self, path: Path) -> str:
        """The URL under which the provider keeps the file; a refusal names it."""
        try:
            return self._upload(path)
        except Declined as no:
            raise Declined(
                f"{path}: {no}", status=no.status, field=no.field, retry_after_s=no.retry_after_s
            ) from no

    def job(self, job_id: str) -> Job:
        return self.ask(Job, "GET", f"/api/v3/jobs/{quote(job_id, safe='')}")

    def jobs(self, *, status: str = "", model: str = "", limit: int = 20, before: str = "") -> list[Job]:
        asked = {"status": status, "model": model, "limit": limit, "before": before}
        return self.ask(Page, "GET", "/api/v3/jobs", params=asked).items

    def dead_letters(self, *, limit: int) -> list[Job]:
        return self.ask(Page, "GET", "/api/v3/dead-letters", params={"limit": limit}).items

    def cancel(self, job_id: str) -> Job:
        return self.ask(Job, "POST", f"/api/v3/jobs/{quote(job_id, safe='')}/cancel")

    def redrive(self, job_id: str) -> Job:
        return self.ask(Job, "POST", f"/api/v3/jobs/{quote(job_id, safe='')}/redrive")

    def login_link(self) -> LoginLink:
        return self.ask(LoginLink, "POST", "/api/v3/login-links")

    def lanes(self) -> Lanes:
        return self.ask(Lanes, "GET", "/api/v3/lanes")

    def _submit(
        self, model: str, inputs: Mapping[str, Any], idempotency_key: str, version: str, webhook: str | None
    ) -> Job:
        return self.ask(
            Job,
            "POST",
            f"/api/{version}/{quote(model)}",  # whole: none of its signs begins a query
            params={"webhook": webhook} if webhook else {},
            content=msgspec.json.encode(inputs),
            headers={"content-type": "application/json", "idempotency-key": idempotency_key},
        )

    def _upload(self, path: Path) -> str:
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with path.open("rb") as content:
            return self.ask(
                Uploaded,
                "POST",
                "/api/v3/media/upload/binary",
                files={"file": (path.name, content, media_type)},
                timeout=_UPLOAD_TIMEOUT,
            ).download_url

    def ask(self, kind: type[T], method: str, path: str, **request: Any) -> T:
        """One request, and its answer's data as this kind."""
        return self.data_of(self.respond(method, path, **request), kind)

    def respond(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request, and its answer with all of its headers, which is a good one."""
        with self._reaching():
            response = self._http.request(method, path, **request)
        self._refuse_failure(response)
        return response

    def data_of(self, response: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(msgspec.json.decode(response.content, type=Envelope).data, type=kind)
        except msgspec.DecodeError as error:
            raise NoAnswer(f"What answers at {self.server.name} is no Orchestrator: {error}.") from error

    def stream(self, path: str, **request: Any) -> Iterator[bytes]:
        """The lines of an answer that may be long, each as it comes; raises NoAnswer where it breaks off."""
        with self._reaching(), self._http.stream("GET", path, **request) as response:
            if not response.is_success:
                response.read()
            self._refuse_failure(response)
            yield from _lines_of(response.iter_bytes())

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise NoServer(self.server.name) from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise NoAnswer(f"The server at {self.server.name} gave no answer ({error}).") from error

    def _refuse_failure(self, response: httpx.Response) -> None:
        if response.status_code == 401:
            raise KeyRefused(
                url=self.server.name, shown=_shown(self.server.key), key_from=self.server.key_from
            )
        if not response.is_success:
            raise _declined(response)


@contextmanager
def open_client(server: Server) -> Iterator[Client]:
    """The environment's proxies are left aside: the server is asked directly."""
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=_TIMEOUT, trust_env=False) as http:
        yield Client(server, http)


def _lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
    if last := b"".join(begun):
        yield last


def _declined(response: httpx.Response) -> Declined:
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        problem = Problem()
    message = problem.message or f"The server answered with HTTP {response.status_code}."
    return Declined(
        message,
        status=response.status_code,
        field=problem.field,
        errors=problem.errors,
        retry_after_s=_retry_after_s(response),
    )


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _shown(key: str) -> str:
    return f"{key_prefix(key)}…" if key else ""
