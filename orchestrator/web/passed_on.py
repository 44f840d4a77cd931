"""Questions that only the provider can answer: models, balance, prices, and uploads to its storage."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import strict_json
from orchestrator.catalogue import models_answer
from orchestrator.errors import TooLarge, UnsupportedBody
from orchestrator.providers.base import Passed
from orchestrator.web.context import Context
from orchestrator.web.wire import answer, read_body, refuse_encoded

_KEPT_S = {"models": 600.0, "balance": 5.0, "model/price": 600.0, "model/pricing": 600.0}
_MOST_KEPT = 500
# In what is remembered it stands for our own URL, which depends on the way that a client came.
_HERE = secrets.token_hex(16)
_SMALL = 256 * 1024
_UPLOAD_LIMIT = 200 * 1024 * 1024
_UPLOAD_HEADERS = ("content-type", "content-length")


@dataclass
class Remembered:
    """The provider's last good answers, each for its time."""

    answers: OrderedDict[tuple[str, str], tuple[float, Passed]] = field(default_factory=OrderedDict)

    def get(self, key: tuple[str, str]) -> Passed | None:
        kept_at, passed = self.answers.get(key, (0.0, None))
        return passed if passed and time.monotonic() - kept_at < _KEPT_S[key[0]] else None

    def keep(self, key: tuple[str, str], passed: Passed) -> None:
        self.answers[key] = (time.monotonic(), passed)
        while len(self.answers) > _MOST_KEPT:
            self.answers.popitem(last=False)


async def models(request: Request) -> Response:
    """GET /api/{version}/models, to be run here: who follows the provider's `server` leaves us silently."""
    passed = await _ask(request, "GET", "models")
    place, here = map(strict_json.encode, (_HERE, Context.of(request).base_url))
    return _handed_on(replace(passed, body=passed.body.replace(place, here)))


async def balance(request: Request) -> Response:
    """GET /api/{version}/balance."""
    return _handed_on(await _ask(request, "GET", "balance"))


async def price(request: Request) -> Response:
    """POST /api/{version}/model/price."""
    return _handed_on(await _ask(request, "POST", "model/price"))


async def pricing(request: Request) -> Response:
    """POST /api/{version}/model/pricing."""
    return _handed_on(await _ask(request, "POST", "model/pricing"))


async def webhook_secret(request: Request) -> Response:
    """GET /api/{version}/webhook/secret: the secret that signs what we send to this tenant."""
    here = Context.of(request)
    key = await here.authenticate(request, "read")
    return answer({"secret": here.runtime.webhook_secrets(key.tenant_id)[0]})


async def upload_ticket(request: Request) -> Response:
    """POST /api/{version}/media/uploads: the provider's ticket; the bytes go to its storage directly."""
    here = Context.of(request)
    await here.authenticate(request, "submit")
    body = await read_body(request, limit=_SMALL)
    version = request.path_params["version"]
    return _handed_on(await here.runtime.provider.ask("POST", f"/api/{version}/media/uploads", body=body))


async def upload_binary(request: Request) -> Response:
    """POST /api/{version}/media/upload/binary: streamed through, nothing is kept here."""
    here = Context.of(request)
    key = await here.authenticate(request, "submit")
    refuse_encoded(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedBody("Content-Type: an upload is multipart/form-data with a field `file`.")
    if int(request.headers.get("content-length", "0") or 0) > _UPLOAD_LIMIT:
        raise TooLarge("A file may have 200 MB at most.")
    headers = {name: request.headers[name] for name in _UPLOAD_HEADERS if name in request.headers}
    path = f"/api/{request.path_params['version']}/media/upload/binary"
    with here.runtime.uploads.seat(key.tenant_id):
        body = _capped(request.stream())
        return _handed_on(await here.runtime.provider.upload(path, headers=headers, body=body))


async def _capped(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A chunked upload announces no length; it is cut where it becomes too long."""
    passed = 0
    async for chunk in body:
        passed += len(chunk)
        if passed > _UPLOAD_LIMIT:
            raise TooLarge("A file may have 200 MB at most.")
        yield chunk


async def _ask(request: Request, method: str, name: str) -> Passed:
    here = Context.of(request)
    await here.authenticate(request, "read")
    body = await read_body(request, limit=_SMALL) if method == "POST" else None
    path = f"/api/{request.path_params['version']}/{name}"
    key = (name, path + hashlib.sha256(body or b"").hexdigest())
    remembered: Remembered = request.app.state.remembered
    passed = remembered.get(key)
    if passed is None:
        passed = await here.runtime.provider.ask(method, path, body=body)
        if passed.status == 200:
            if name == "models":
                body = await asyncio.to_thread(models_answer.with_server, passed.body, _HERE)
                passed = replace(passed, body=body)
            remembered.keep(key, passed)
    return passed


def _handed_on(passed: Passed) -> Response:
    headers = {"retry-after": passed.retry_after} if passed.retry_after else None
    return Response(passed.body, status_code=passed.status, headers=headers, media_type="application/json")
