"""Encrypts what must not lie readable in the database, so that a stolen copy of it gives nothing away.

AES-256-GCM. A sealed text opens only in the row and column that it was sealed for, and names its key, so
that several keys work while one replaces another. Nothing in here reads a clock or knows a table.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "s1"
_NONCE_BYTES = 12  # 96 random bits: NIST SP 800-38D, good for 2 ** 32 messages with one key


class Unsealable(Exception):
    """The text was altered, moved from another place, or sealed with a key that is not in use any more."""


class Place(msgspec.Struct, frozen=True):
    """The one place where a sealed text opens again."""

    table: str
    column: str
    row: str


class Sealer:
    """Seals with the first of its keys, of 32 bytes each, and opens with any of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self._first = _key_id(keys[0])

    def seal(self, text: str, place: Place) -> str:
        """`s1.{key id}.{base64 of nonce, ciphertext and tag}`: different each time."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._keys[self._first].encrypt(nonce, text.encode(), _bound_to(place))
        return f"{self.prefix}{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, place: Place) -> str:
        """The text. Raises Unsealable."""
        version, _, rest = sealed.partition(".")
        name, _, coded = rest.partition(".")
        if version != _VERSION or name not in self._keys:
            raise Unsealable
        try:
            raw = base64.b64decode(coded.encode(), altchars=b"-_", validate=True)
            opened = self._keys[name].decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(place))
        except (binascii.Error, ValueError, InvalidTag):
            raise Unsealable from None
        return opened.decode()

    @property
    def prefix(self) -> str:
        """What a text begins with that needs no sealing anew."""
        return f"{_VERSION}.{self._first}."


def _key_id(key: bytes) -> str:
    """Tells keys apart, and nothing about them."""
    return hashlib.sha256(b"key id:" + key).hexdigest()[:8]


def _bound_to(place: Place) -> bytes:
    # JSON keeps the parts apart: no other table and column run together to the same bytes.
    return msgspec.json.encode([_VERSION, place.table, place.column, place.row])
