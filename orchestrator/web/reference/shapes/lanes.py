"""Limits, pauses, and why jobs wait."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Account(Struct):
    id: str
    max_in_flight: int
    trouble: Annotated[str, Meta(description="Why the provider takes nothing from this account now.")]


class Lane(Struct):
    """One kind of work of one account, with its rate."""

    id: str
    per_minute: int
    paused_until: str
    pause_reason: str
    callbacks_arrive: bool


class Lanes(Struct):
    accounts: list[Account]
    lanes: list[Lane]
    phases: Annotated[dict[str, int], Meta(description="How many of your jobs are in each phase.")]
    bell: str
