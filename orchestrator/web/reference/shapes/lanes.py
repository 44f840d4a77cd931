"""Limits, pauses, and why jobs wait."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Fixed = Annotated[bool, Meta(description="Whether somebody has set it; otherwise it follows the settings.")]


class Account(Struct):
    id: str
    max_in_flight: Annotated[int, Meta(description="Tasks at the provider at a time.")]
    is_fixed: Fixed
    trouble: Annotated[str, Meta(description="Why the provider takes nothing from this account now.")]


class Lane(Struct):
    """One kind of work of one account, with its rate."""

    id: str
    per_minute: Annotated[int, Meta(description="Submissions a minute.")]
    is_fixed: Fixed
    is_paused: bool
    paused_by: Annotated[Literal["operator", "provider", ""], Meta(description="Empty unless it is paused.")]
    paused_until: Annotated[str, Meta(description="Empty when it is not paused, or has to be resumed.")]
    pause_reason: str
    callbacks_arrive: Annotated[bool, Meta(description="Otherwise the provider is asked more often.")]


class Lanes(Struct):
    accounts: list[Account]
    lanes: list[Lane]
    phases: Annotated[dict[str, int], Meta(description="How many of your jobs are in each phase.")]
    bell: Annotated[str, Meta(description="`up`, or what it means that Redis is down.")]
