"""The account's two secrets: whether the key works, and what callbacks are signed with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator import signing
from orchestrator.clock import MINUTE
from orchestrator.signing import Scheme, Verdict
from tests.net.raw_server import answering
from tests.providers.dialect import as_json, facing, http, replying
from tests.providers.test_wavespeed import DIALECT, envelope

NOW_S = 1_758_798_328
NOW = NOW_S * 1_000
BODY = b'{"id":"task_1","status":"completed","outputs":["https://example.com/o.png"]}'
OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
Headers = list[tuple[bytes, bytes]]


def signed(secret: str, *, at_s: int = NOW_S) -> Headers:
    signature = signing.sign([secret], message_id="m1", timestamp=at_s, body=BODY, scheme=Scheme.V3)
    return [
        (b"webhook-id", b"m1"),
        (b"webhook-timestamp", str(at_s).encode()),
        (b"webhook-signature", signature.encode()),
    ]


def secret(text: str) -> bytes:
    return http(200, envelope({"secret": text}))


def one_after_the_other(*answers: bytes) -> Any:
    rest: Iterator[bytes] = iter(answers)
    return replying(lambda _: next(rest))


async def test_the_secret_is_fetched_once_for_all_who_ask() -> None:
    async with facing(one_after_the_other(secret(OLD))) as (client, server):
        adapter = DIALECT.open(client)
        verdicts = await asyncio.gather(*(adapter.verify(signed(OLD), BODY, now=NOW) for _ in range(20)))
        stale = await adapter.verify(signed(OLD, at_s=NOW_S - 400), BODY, now=NOW)
        unsigned = await adapter.verify([], BODY, now=NOW)
    assert verdicts == [Verdict.VALID] * 20
    assert (stale, unsigned) == (Verdict.STALE, Verdict.UNSIGNED)
    assert server.requests[0].startswith(b"GET /api/v3/webhook/secret HTTP/1.1\r\n")
    assert len(server.requests) == 1


async def test_a_rotated_secret_is_found_at_the_first_signature_that_does_not_fit() -> None:
    async with facing(one_after_the_other(secret(OLD), secret(NEW))) as (client, server):
        adapter = DIALECT.open(client)
        assert await adapter.verify(signed(OLD), BODY, now=NOW) is Verdict.VALID
        later = NOW + MINUTE
        assert await adapter.verify(signed(NEW), BODY, now=later) is Verdict.VALID
        assert await adapter.verify(signed(OLD), BODY, now=later) is Verdict.INVALID
    assert len(server.requests) == 2


async def test_forged_callbacks_ask_for_the_secret_once_a_minute_at_most() -> None:
    async with facing(answering(secret(OLD))) as (client, server):
        adapter = DIALECT.open(client)
        for second in range(0, 121, 10):
            verdict = await adapter.verify(signed(NEW), BODY, now=NOW + second * 1_000)
            assert verdict is Verdict.INVALID
    assert len(server.requests) == 3


async def test_without_the_secret_a_callback_counts_as_unsigned_until_it_can_be_had() -> None:
    async with facing(one_after_the_other(http(500, b""), secret(OLD))) as (client, _):
        adapter = DIALECT.open(client)
        assert await adapter.verify(signed(OLD), BODY, now=NOW) is Verdict.UNSIGNED
        assert await adapter.verify(signed(OLD), BODY, now=NOW + MINUTE) is Verdict.VALID


async def test_a_failed_refetch_keeps_the_secret_that_worked() -> None:
    async with facing(one_after_the_other(secret(OLD), http(500, b""))) as (client, _):
        adapter = DIALECT.open(client)
        await adapter.verify(signed(OLD), BODY, now=NOW)
        assert await adapter.verify(signed(NEW), BODY, now=NOW + MINUTE) is Verdict.INVALID
        assert await adapter.verify(signed(OLD), BODY, now=NOW) is Verdict.VALID


@pytest.mark.parametrize("data", [{"secret": ""}, {"secret": None}, {"secret": 5}, {}, [], None, "whsec_x"])
async def test_a_secret_that_is_none_makes_no_callback_valid(data: Any) -> None:
    async with facing(answering(http(200, envelope(data)))) as (client, _):
        verdict = await DIALECT.open(client).verify(signed("whsec_x"), BODY, now=NOW)
    assert verdict is Verdict.UNSIGNED


@pytest.mark.parametrize(
    ("status", "body", "trouble", "balance"),
    [
        (200, envelope({"balance": 12.5}), "", 12.5),
        (200, envelope({"balance": 3}), "", 3.0),
        (200, envelope({"balance": 0}), "no credit left", 0.0),
        (200, envelope({"balance": -1.5}), "no credit left", -1.5),
        (401, as_json({"code": 401, "message": "no"}), "WAVESPEED_API_KEY", None),
        (403, as_json({"code": 403, "message": "no"}), "suspended", None),
        (200, as_json({"code": 401, "message": "no"}), "WAVESPEED_API_KEY", None),
        (401, b"<html>", "WAVESPEED_API_KEY", None),
        (500, b"<html>", "cannot be asked", None),
        (429, as_json({"code": 429, "message": "no"}), "cannot be asked", None),
        (200, envelope({"balance": "much"}), "cannot be asked", None),
        (200, envelope({"balance": "nan"}), "cannot be asked", None),
        (200, envelope({"balance": "inf"}), "cannot be asked", None),
        (200, envelope({"balance": "12.5"}), "", 12.5),
        (200, envelope({"balance": "0.00"}), "no credit left", 0.0),
    ],
)
async def test_the_account_says_what_is_wrong_and_how_to_mend_it(
    status: int, body: bytes, trouble: str, balance: float | None
) -> None:
    async with facing(answering(http(status, body))) as (client, server):
        account = await DIALECT.open(client).account()
    assert account.balance == balance
    assert trouble in account.trouble
    assert bool(account.trouble) is bool(trouble)
    assert server.requests[0].startswith(b"GET /api/v3/balance HTTP/1.1\r\n")
