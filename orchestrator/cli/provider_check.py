"""Whether the provider takes our key: its balance is the cheapest question that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import msgspec

from orchestrator.cli.finding import Finding
from orchestrator.settings import Settings

_SUBJECT = "Provider"
_TIMEOUT_S = 10.0


class _Balance(msgspec.Struct, frozen=True):
    balance: float


class _Answer(msgspec.Struct, frozen=True):
    """`{"code":200,"message":"…","data":{"balance":12.5}}`; a refusal has no data."""

    code: int = 200
    message: str = ""
    data: _Balance | None = None


def look_at_provider(found: Settings) -> Iterator[Finding]:
    """Reached, the key good, and credit left."""
    if not found.wavespeed_api_key:
        yield Finding.wrong(
            _SUBJECT,
            "no WAVESPEED_API_KEY in this shell, so jobs of an `up` started in it wait",
            "set it, or try `orchestrator sandbox`",
        )
        return
    url = found.wavespeed_base_url
    try:
        answer = httpx.get(
            f"{url}/api/v3/balance",
            headers={"authorization": f"Bearer {found.wavespeed_api_key}"},
            timeout=_TIMEOUT_S,
        )
    except (httpx.TransportError, httpx.InvalidURL) as error:
        yield Finding.wrong(_SUBJECT, f"{url} cannot be reached: {error}", "see WAVESPEED_BASE_URL")
        return
    yield judge(url, answer)


def judge(url: str, answer: httpx.Response) -> Finding:
    """What the answer about the balance says of the key and of the account."""
    try:
        told = msgspec.json.decode(answer.content, type=_Answer, strict=False)
    except msgspec.DecodeError:
        told = _Answer(message="its answer cannot be read")
    if answer.status_code == 401:
        return Finding.wrong(_SUBJECT, f"{url} refuses the key", "see WAVESPEED_API_KEY")
    if not answer.is_success or told.code >= 400 or told.data is None:
        return Finding.wrong(
            _SUBJECT,
            f"{url} answers {answer.status_code}: {told.message}",
            "ask again later, or see the account",
        )
    if told.data.balance <= 0:
        return Finding.wrong(_SUBJECT, f"{url} takes the key, but the balance is used up", "top it up")
    return Finding.ok(_SUBJECT, f"{url} takes the key; the balance is {told.data.balance:.2f}")
