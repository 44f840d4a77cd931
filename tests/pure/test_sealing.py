"""What is sealed opens in its own place with a key in use, and nowhere and in no other way."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sealing import Place, Sealer, Unsealable
from orchestrator.signing import derive_key

OLD, NEW = derive_key("an old secret", "columns"), derive_key("a new secret", "columns")
HERE = Place("endpoints", "secret", "1")
SEALER = Sealer([NEW, OLD])


@given(st.text())
def test_what_was_sealed_opens_again(text: str) -> None:
    sealed = SEALER.seal(text, HERE)
    assert SEALER.open(sealed, HERE) == text


def test_the_text_cannot_be_read_and_is_never_sealed_twice_alike() -> None:
    first, second = SEALER.seal("whsec_abc", HERE), SEALER.seal("whsec_abc", HERE)
    assert first != second
    assert b"whsec_" not in base64.urlsafe_b64decode(first.rpartition(".")[2])


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("endpoints", "secret", "2"),
        Place("endpoints", "old_secret", "1"),
        Place("accounts", "secret", "1"),
        Place("endpointssecret", "", "1"),
    ],
)
def test_a_text_that_was_moved_to_another_place_is_refused(elsewhere: Place) -> None:
    with pytest.raises(Unsealable):
        SEALER.open(SEALER.seal("whsec_abc", HERE), elsewhere)


def test_every_bit_counts() -> None:
    head, _, coded = SEALER.seal("whsec_abc", HERE).rpartition(".")
    raw = base64.urlsafe_b64decode(coded)
    for bit in range(8 * len(raw)):
        flipped = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(len(raw), "big")
        with pytest.raises(Unsealable):
            SEALER.open(f"{head}.{base64.urlsafe_b64encode(flipped).decode()}", HERE)


@pytest.mark.parametrize(
    "text", ["", "whsec_abc", "s1", "s1.", "s1.00000000.AAAA", "s2.{}.AAAA", "s1.{}.é", "s1.{}.AA"]
)
def test_what_was_never_sealed_is_refused(text: str) -> None:
    key_id = SEALER.prefix.split(".")[1]
    with pytest.raises(Unsealable):
        SEALER.open(text.format(key_id), HERE)


def test_while_keys_rotate_the_first_seals_and_all_open() -> None:
    before = Sealer([OLD]).seal("whsec_abc", HERE)
    assert SEALER.open(before, HERE) == "whsec_abc"
    assert not before.startswith(SEALER.prefix)
    after = SEALER.seal(SEALER.open(before, HERE), HERE)
    assert after.startswith(SEALER.prefix)
    assert Sealer([NEW]).open(after, HERE) == "whsec_abc"


def test_without_its_key_it_stays_closed() -> None:
    with pytest.raises(Unsealable):
        Sealer([NEW]).open(Sealer([OLD]).seal("whsec_abc", HERE), HERE)
