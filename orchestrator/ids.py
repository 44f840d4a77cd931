"""Makes and recognises the two kinds of name that we give out: ids of rows and API keys.

An id is a UUIDv7 (RFC 9562) as 32 lower-case hex characters, so ids sort by the time they were made
and serve as cursors. An API key carries a checksum, by which programs that look for lost
secrets know it from any other text.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import threading
import zlib

_ID = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
_MAX_MS = (1 << 48) - 1
_MAX_COUNT = (1 << 12) - 1
_TAIL_BYTES = 8
_TAILS_AT_ONCE = 256
_VARIANT, _RANDOM = 0b10 << 6, 0b00111111

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY = re.compile(r"orc_[0-9A-Za-z]{38}")
_CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_PREFIX_LENGTH = 12


def new_id(now_ms: int) -> str:
    """A new id, greater than every id made before in this process, whatever the clock did since."""
    return _source.new_id(now_ms)


def new_ids(now_ms: int, count: int) -> list[str]:
    """So many new ids at once, in ascending order."""
    return _source.new_ids(now_ms, count)


def first_id_at(ms: int) -> str:
    """The lowest id that this millisecond can have: a cursor to everything made from then on."""
    return f"{min(max(ms, 0), _MAX_MS):012x}70008{0:015x}"


def id_time(identifier: str) -> int:
    """When the id was made, in milliseconds since 1970 UTC."""
    return int(identifier[:12], 16)


def is_id(text: str) -> bool:
    """Whether the text can be an id of ours."""
    return _ID.fullmatch(text) is not None


class IdSource:
    """Makes ids that only grow (RFC 9562, section 6.2, method 1: a counter in rand_a). Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms = -1
        self._count = 0
        self._head = ""
        self._tails: list[str] = []

    def new_id(self, now_ms: int) -> str:
        with self._lock:
            return self._next(now_ms)

    def new_ids(self, now_ms: int, count: int) -> list[str]:
        with self._lock:
            return [self._next(now_ms) for _ in range(count)]

    def _next(self, now_ms: int) -> str:
        if now_ms > self._ms or self._count == _MAX_COUNT:
            # When the millisecond is used up, the next one is borrowed from the future.
            self._restart(max(now_ms, self._ms + 1))
        else:
            self._count += 1
        if not self._tails:
            self._tails = _random_tails()
        return f"{self._head}{self._count:03x}{self._tails.pop()}"

    def _restart(self, ms: int) -> None:
        # The upper half is kept free, so that at least 2048 ids fit into each millisecond.
        self._ms, self._count = ms, secrets.randbits(11)
        self._head = f"{ms:012x}7"


_source = IdSource()


def _random_tails() -> list[str]:
    """The last 16 characters of many ids, for which the kernel is asked once."""
    random = bytearray(secrets.token_bytes(_TAIL_BYTES * _TAILS_AT_ONCE))
    for start in range(0, len(random), _TAIL_BYTES):
        random[start] = random[start] & _RANDOM | _VARIANT
    text, width = random.hex(), 2 * _TAIL_BYTES
    return [text[start : start + width] for start in range(0, len(text), width)]


def new_api_key() -> str:
    """`orc_`, 32 random base62 characters, 6 characters of checksum; shown once, kept as its digest."""
    body = "orc_" + "".join(secrets.choice(_BASE62) for _ in range(32))
    return body + _checksum(body)


def is_api_key(text: str) -> bool:
    """Whether the text has the form and the checksum of an API key; says nothing of its being known."""
    if not _KEY.fullmatch(text):
        return False
    return text.endswith(_checksum(text[:-_CHECKSUM_LENGTH]))


def key_digest(key: str) -> str:
    """What is stored of a key: SHA-256 in hex. A key has 190 random bits, so no slow hash is needed."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def key_prefix(key: str) -> str:
    """The visible part of a key, by which people tell their keys apart."""
    return key[:_PREFIX_LENGTH]


def _checksum(body: str) -> str:
    rest = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
