"""Signs and verifies webhooks and callback URLs, and derives a key for each use; `hmac` only.

Adapters verify callbacks here, the delivery flow signs here. Nothing in here reads a clock, parses
JSON, or raises for what a stranger sent: whatever cannot be read is simply not verified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import Enum, StrEnum

TOLERANCE_S = 300
SECRET_PREFIX = "whsec_"  # noqa: S105  (the public prefix of a secret, not one)

_MAX_ENTRIES = 20
_MAX_HEADER_BYTES = 4_096
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
# Visible ASCII without the dot. With dots allowed, the signed text `a.1.2.x` would fit both id `a` at
# time 1 with body `2.x` and id `a.1` at time 2 with body `x`: one captured message, two readings.
_MESSAGE_ID = re.compile(rb"[!-\-/-~]{1,256}")


class Scheme(StrEnum):
    """How the key and the signature are written; the signed bytes are `{id}.{timestamp}.{body}` in both."""

    V1 = "v1"
    """Standard Webhooks: the key is base64 of 24 to 64 bytes, the signature base64."""
    V3 = "v3"
    """WaveSpeed: the key is the secret's ASCII text as it stands, the signature lower-case hex."""


class Verdict(Enum):
    """What a callback's signature proves."""

    VALID = "valid"
    STALE = "stale"
    """Rightly signed, but too long ago or too far ahead: a hint to poll, not the truth."""
    UNSIGNED = "unsigned"
    """At least one of the three headers is missing."""
    INVALID = "invalid"


class UnusableSecret(ValueError):
    """The webhook secret is not in the form that the signature scheme asks for."""


def sign(secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes, scheme: Scheme) -> str:
    """The value of `webhook-signature` over the exact bytes of the body; `timestamp` in Unix seconds.

    An entry per secret, newest first, so that receivers can rotate. Raises UnusableSecret.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join(_entry(_key(secret, scheme), signed, scheme).decode() for secret in secrets)


def verify(
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    *,
    secrets: Sequence[str],
    now_s: float,
    scheme: Scheme,
) -> Verdict:
    """Judge a message by its raw headers and raw body against every secret in use; never raises.

    Secrets that cannot be used in this scheme are passed over, and so are entries of unknown versions.
    """
    found = _signing_headers(headers)
    if not all(found):
        return Verdict.UNSIGNED
    if any(len(values) > 1 or len(values[0]) > _MAX_HEADER_BYTES for values in found):
        return Verdict.INVALID
    message_id, timestamp, signature = (values[0] for values in found)
    if not _MESSAGE_ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        return Verdict.INVALID
    entries = signature.split(b" ", _MAX_ENTRIES)
    if len(entries) > _MAX_ENTRIES:
        return Verdict.INVALID
    signed = b"%b.%b.%b" % (message_id, timestamp, body)
    if not _is_signed(signed, entries, secrets=secrets, scheme=scheme):
        return Verdict.INVALID
    return Verdict.VALID if abs(now_s - int(timestamp)) <= TOLERANCE_S else Verdict.STALE


def _signing_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[list[bytes]]:
    """All values of each of the three."""
    found: dict[bytes, list[bytes]] = {b"webhook-id": [], b"webhook-timestamp": [], b"webhook-signature": []}
    for key, value in headers:
        values = found.get(key.lower())
        if values is not None:
            values.append(value)
    return list(found.values())


def _is_signed(signed: bytes, entries: list[bytes], *, secrets: Sequence[str], scheme: Scheme) -> bool:
    # Whole entries are compared as text: that skips foreign versions, and leaves no second spelling of a
    # signature. No early exit: the time does not tell which secret or entry was the right one.
    matched = False
    for secret in secrets:
        try:
            expected = _entry(_key(secret, scheme), signed, scheme)
        except UnusableSecret:
            continue
        for entry in entries:
            matched |= hmac.compare_digest(entry, expected)
    return matched


def _entry(key: bytes, signed: bytes, scheme: Scheme) -> bytes:
    digest = hmac.digest(key, signed, "sha256")
    text = digest.hex().encode() if scheme is Scheme.V3 else base64.b64encode(digest)
    return b"%b,%b" % (scheme.encode(), text)


def _key(secret: str, scheme: Scheme) -> bytes:
    text = secret.removeprefix(SECRET_PREFIX)
    if not text or not text.isascii():
        raise UnusableSecret("a webhook secret is ASCII text after whsec_")
    return text.encode() if scheme is Scheme.V3 else _standard_key(text)


def _standard_key(text: str) -> bytes:
    bare = text.rstrip("=")
    try:
        key = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise UnusableSecret("a webhook secret is base64 after whsec_") from None
    if not 24 <= len(key) <= 64 or base64.b64encode(key).decode().rstrip("=") != bare:
        raise UnusableSecret("a webhook secret is base64 of 24 to 64 bytes after whsec_")
    return key


def callback_token(secret_key: bytes, *, provider: str, job: str, attempt: int) -> str:
    """The last part of a callback URL, 43 url-safe characters: ties the callback to its attempt."""
    # Lengths keep the parts apart: no other provider and job run together to the same text.
    named = f"{len(provider)}:{provider}{len(job)}:{job}{attempt}"
    digest = hmac.digest(secret_key, named.encode(errors="surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_callback_token(
    token: str, secret_keys: Sequence[bytes], *, provider: str, job: str, attempt: int
) -> bool:
    """Whether the token was made for this attempt with any of the keys in use; never raises."""
    given = token.encode(errors="surrogatepass")
    matched = False
    for key in secret_keys:
        expected = callback_token(key, provider=provider, job=job, attempt=attempt)
        matched |= hmac.compare_digest(given, expected.encode())
    return matched


def derive_key(secret: str, use: str) -> bytes:
    """A 32-byte key of its own for each use (`callback`, `columns`, …) of the one configured secret."""
    return hkdf_sha256(secret.encode(), salt=b"", info=f"orchestrator/{use}".encode(), length=32)


def hkdf_sha256(key_material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869): extract, then expand to `length` bytes, at most 255 * 32."""
    size = hashlib.sha256().digest_size
    if length > 255 * size:
        raise ValueError("HKDF-SHA256 yields at most 8160 bytes")
    pseudo_random_key = hmac.digest(salt or bytes(size), key_material, "sha256")
    block, stream = b"", b""
    for number in range(1, -(-length // size) + 1):
        block = hmac.digest(pseudo_random_key, block + info + bytes([number]), "sha256")
        stream += block
    return stream[:length]
