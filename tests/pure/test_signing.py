"""Signatures against the published vectors, an independent receiver, and whatever a stranger may send."""

from __future__ import annotations

import base64
import hmac
import time

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import signing
from orchestrator.signing import Scheme, UnusableSecret, Verdict

A = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
B = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ROTATION_BODY = (
    '{"type":"job.completed","timestamp":"2026-01-02T03:04:05Z","data":{"id":"job_1","prompt":"café 😀"}}'
).encode()
V1_VECTORS = [
    (
        (A, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        (
            B,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
        ),
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]
V3_BODY = b'{"id":"task_1","status":"completed","outputs":["https://example.com/o.png"]}'
V3_SIGNATURE = "v3,215d511410c322d76eb32b36b9431a3eee42dd97e95d9cd35587abfddb18288c"
V3_ID, V3_AT = "45b392b22c3b449fa935bd4dc", 1758798328


def headers_of(message_id: bytes, timestamp: bytes, signature: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"webhook-id", message_id),
        (b"webhook-timestamp", timestamp),
        (b"webhook-signature", signature),
    ]


V3_HEADERS = headers_of(V3_ID.encode(), str(V3_AT).encode(), V3_SIGNATURE.encode())


def judge_v3(headers: list[tuple[bytes, bytes]], *, now_s: float = V3_AT) -> Verdict:
    return signing.verify(headers, V3_BODY, secrets=[A], now_s=now_s, scheme=Scheme.V3)


@pytest.mark.parametrize(("message", "signature"), V1_VECTORS)
def test_the_standard_vectors_are_signed_as_published(
    message: tuple[str, str, int, bytes], signature: str
) -> None:
    secret, message_id, timestamp, body = message
    signed = signing.sign([secret], message_id=message_id, timestamp=timestamp, body=body, scheme=Scheme.V1)
    assert signed == signature


@pytest.mark.parametrize(("message", "signature"), V1_VECTORS)
def test_the_standard_vectors_are_verified(message: tuple[str, str, int, bytes], signature: str) -> None:
    secret, message_id, timestamp, body = message
    headers = headers_of(message_id.encode(), str(timestamp).encode(), signature.encode())
    verdict = signing.verify(headers, body, secrets=[secret], now_s=timestamp, scheme=Scheme.V1)
    assert verdict is Verdict.VALID


def test_the_wavespeed_vector_is_signed_and_verified() -> None:
    signed = signing.sign([A], message_id=V3_ID, timestamp=V3_AT, body=V3_BODY, scheme=Scheme.V3)
    assert signed == V3_SIGNATURE
    assert judge_v3(V3_HEADERS) is Verdict.VALID


def test_during_rotation_the_new_secret_signs_first_and_either_verifies() -> None:
    signature = signing.sign(
        [B, A], message_id="msg_rot1", timestamp=1700000000, body=ROTATION_BODY, scheme=Scheme.V1
    )
    assert signature == (
        "v1,NSPEsYrUeeVmPnaConWZ9VwJAtwx76PdDrt1YkQ5fqM= v1,57Ef3rst4FBLz10QBwBMK+87RxuLhMIimT7YLb7mHYg="
    )
    headers = headers_of(b"msg_rot1", b"1700000000", signature.encode())
    for known in ([A], [B], ["whsec_unusable", A]):
        verdict = signing.verify(headers, ROTATION_BODY, secrets=known, now_s=1700000000, scheme=Scheme.V1)
        assert verdict is Verdict.VALID


def test_an_independent_receiver_accepts_what_is_signed() -> None:
    now, secret = int(time.time()), f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
    signature = signing.sign(
        [A, secret], message_id="msg_1", timestamp=now, body=ROTATION_BODY, scheme=Scheme.V1
    )
    received = standardwebhooks.Webhook(secret).verify(
        ROTATION_BODY,
        {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature},
    )
    assert received["data"]["prompt"] == "café 😀"


@pytest.mark.parametrize(
    ("age", "verdict"),
    [(300, Verdict.VALID), (301, Verdict.STALE), (-300, Verdict.VALID), (-301, Verdict.STALE)],
)
def test_a_signature_is_fresh_for_300_seconds_both_ways(age: int, verdict: Verdict) -> None:
    assert judge_v3(V3_HEADERS, now_s=V3_AT + age) is verdict


def test_a_wrong_signature_is_invalid_even_when_it_is_stale() -> None:
    headers = headers_of(V3_ID.encode(), str(V3_AT).encode(), b"v3," + b"0" * 64)
    assert judge_v3(headers, now_s=V3_AT + 9_999) is Verdict.INVALID


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_header_means_unsigned(missing: int) -> None:
    assert judge_v3([pair for n, pair in enumerate(V3_HEADERS) if n != missing]) is Verdict.UNSIGNED


@pytest.mark.parametrize("twice", [1, 2, 3])
def test_a_header_given_twice_is_invalid(twice: int) -> None:
    assert judge_v3([*V3_HEADERS, V3_HEADERS[twice]]) is Verdict.INVALID


def test_header_names_are_read_in_any_case() -> None:
    assert judge_v3([(name.upper(), value) for name, value in V3_HEADERS]) is Verdict.VALID


def test_entries_of_unknown_versions_are_skipped() -> None:
    signature = f"v9,abc nonsense v1,AAAA {V3_SIGNATURE}".encode()
    assert judge_v3(headers_of(V3_ID.encode(), str(V3_AT).encode(), signature)) is Verdict.VALID


@pytest.mark.parametrize(("entries", "verdict"), [(20, Verdict.VALID), (21, Verdict.INVALID)])
def test_at_most_twenty_entries_are_read(entries: int, verdict: Verdict) -> None:
    signature = b"v9,x " * (entries - 1) + V3_SIGNATURE.encode()
    assert judge_v3(headers_of(V3_ID.encode(), str(V3_AT).encode(), signature)) is verdict


def test_a_signature_in_upper_case_or_of_the_other_scheme_is_invalid() -> None:
    for text in (V3_SIGNATURE.upper(), "v3," + V3_SIGNATURE[3:].upper(), "v1," + V3_SIGNATURE[3:]):
        headers = headers_of(V3_ID.encode(), str(V3_AT).encode(), text.encode())
        assert judge_v3(headers) is Verdict.INVALID


def test_an_oversized_header_is_invalid() -> None:
    signature = V3_SIGNATURE.encode() + b" v9," + b"x" * 4_096
    assert judge_v3(headers_of(V3_ID.encode(), str(V3_AT).encode(), signature)) is Verdict.INVALID


@pytest.mark.parametrize(
    "timestamp",
    ["", "+1700000000", "1700000000.0", " 1700000000", "1_700_000_000", "1700000000\n", "1" * 13, "١"],
)
def test_a_timestamp_is_one_to_twelve_digits(timestamp: str) -> None:
    raw = timestamp.encode()
    key = A.removeprefix("whsec_").encode()
    digest = hmac.digest(key, b"msg_1." + raw + b"." + V3_BODY, "sha256").hex()
    assert judge_v3(headers_of(b"msg_1", raw, f"v3,{digest}".encode())) is Verdict.INVALID


def test_a_captured_message_cannot_be_read_with_its_parts_shifted() -> None:
    signature = signing.sign([A], message_id="msg", timestamp=1, body=b"1700000000.{}", scheme=Scheme.V3)
    shifted = headers_of(b"msg.1", b"1700000000", signature.encode())
    verdict = signing.verify(shifted, b"{}", secrets=[A], now_s=1700000000, scheme=Scheme.V3)
    assert verdict is Verdict.INVALID


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_pässword", "whsec_\ud800"])
def test_an_empty_or_foreign_secret_signs_nothing_and_verifies_nothing(secret: str) -> None:
    for scheme in Scheme:
        with pytest.raises(UnusableSecret):
            signing.sign([secret], message_id="m", timestamp=1, body=b"", scheme=scheme)
        verdict = signing.verify(V3_HEADERS, V3_BODY, secrets=[secret], now_s=V3_AT, scheme=scheme)
        assert verdict is Verdict.INVALID


def sign_nothing_v1(secret: str) -> str:
    return signing.sign([secret], message_id="m", timestamp=1, body=b"", scheme=Scheme.V1)


@pytest.mark.parametrize(("size", "fits"), [(23, False), (24, True), (25, True), (64, True), (65, False)])
def test_a_standard_key_has_24_to_64_bytes(size: int, fits: bool) -> None:
    padded = "whsec_" + base64.b64encode(bytes(size)).decode()
    for secret in (padded, padded.rstrip("=")):
        if fits:
            assert sign_nothing_v1(secret).startswith("v1,")
        else:
            with pytest.raises(UnusableSecret):
                sign_nothing_v1(secret)


def test_a_second_spelling_of_a_key_is_no_secret() -> None:
    canonical = base64.b64encode(bytes(25)).decode()
    assert base64.b64decode(canonical) == base64.b64decode(canonical.replace("A==", "B=="))
    with pytest.raises(UnusableSecret):
        sign_nothing_v1(canonical.replace("A==", "B=="))


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=40)


@given(
    scheme=st.sampled_from(Scheme),
    key=st.binary(min_size=24, max_size=64),
    message_id=NAMES,
    timestamp=st.integers(0, 10**12 - 1),
    body=st.binary(max_size=60),
    data=st.data(),
)
def test_any_flipped_bit_spoils_the_signature(
    scheme: Scheme, key: bytes, message_id: str, timestamp: int, body: bytes, data: st.DataObject
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    signature = signing.sign([secret], message_id=message_id, timestamp=timestamp, body=body, scheme=scheme)
    parts = [message_id.encode(), str(timestamp).encode(), signature.encode(), body, secret.encode()]

    def judge() -> Verdict:
        known = parts[4].decode("latin-1")
        return signing.verify(
            headers_of(*parts[:3]), parts[3], secrets=[known], now_s=timestamp, scheme=scheme
        )

    assert judge() is Verdict.VALID
    which = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]))
    at = data.draw(st.integers(0, len(parts[which]) - 1))
    bit = data.draw(st.integers(0, 7))
    spoiled = bytearray(parts[which])
    spoiled[at] ^= 1 << bit
    parts[which] = bytes(spoiled)
    assert judge() not in (Verdict.VALID, Verdict.STALE)


HEADER_NAMES = st.sampled_from([b"webhook-id", b"Webhook-Timestamp", b"webhook-signature"]) | st.binary()
HEADER_VALUES = st.binary() | st.from_regex(rb"[0-9]{1,13}") | st.from_regex(rb"(v[13],[^ ]* ?)+")


@given(
    headers=st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=8),
    body=st.binary(),
    secrets=st.lists(st.text(), max_size=3),
    scheme=st.sampled_from(Scheme),
)
def test_verifying_never_raises(
    headers: list[tuple[bytes, bytes]], body: bytes, secrets: list[str], scheme: Scheme
) -> None:
    verdict = signing.verify(headers, body, secrets=secrets, now_s=0.0, scheme=scheme)
    assert verdict in (Verdict.INVALID, Verdict.UNSIGNED)


def test_a_callback_token_belongs_to_one_attempt_and_one_key() -> None:
    token = signing.callback_token(b"k" * 32, provider="wavespeed", job="0" * 32, attempt=1)
    assert len(token) == 43
    assert signing.is_callback_token(
        token, [b"new", b"k" * 32], provider="wavespeed", job="0" * 32, attempt=1
    )
    for keys, provider, job, attempt in [
        ([b"new"], "wavespeed", "0" * 32, 1),
        ([b"k" * 32], "other", "0" * 32, 1),
        ([b"k" * 32], "wavespeed", "1" * 32, 1),
        ([b"k" * 32], "wavespeed", "0" * 32, 2),
        ([b"k" * 32], "wavespeed0", "0" * 31, 1),
    ]:
        assert not signing.is_callback_token(token, keys, provider=provider, job=job, attempt=attempt)


@given(token=st.text(), provider=st.text(), job=st.text(), attempt=st.integers())
def test_a_strange_token_is_refused_without_an_error(
    token: str, provider: str, job: str, attempt: int
) -> None:
    assert not signing.is_callback_token(token, [b"k"], provider=provider, job=job, attempt=attempt)


def test_a_lone_surrogate_in_a_callback_url_is_refused_without_an_error() -> None:
    assert not signing.is_callback_token("\udcff", [b"k"], provider="\udcff", job="\udcff", attempt=1)


RFC_5869_VECTORS = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("material", "salt", "info", "stream"), RFC_5869_VECTORS)
def test_hkdf_follows_the_vectors_of_rfc_5869(material: str, salt: str, info: str, stream: str) -> None:
    derived = signing.hkdf_sha256(
        bytes.fromhex(material),
        salt=bytes.fromhex(salt),
        info=bytes.fromhex(info),
        length=len(stream) // 2,
    )
    assert derived.hex() == stream


def test_hkdf_yields_at_most_255_blocks() -> None:
    assert len(signing.hkdf_sha256(b"k", salt=b"", info=b"", length=8_160)) == 8_160
    with pytest.raises(ValueError, match="8160"):
        signing.hkdf_sha256(b"k", salt=b"", info=b"", length=8_161)


def test_each_use_and_each_secret_has_a_key_of_its_own() -> None:
    keys = {signing.derive_key(secret, use) for secret in ("one", "two") for use in ("callbacks", "columns")}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
