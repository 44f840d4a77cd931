"""What is answered to whoever has no key."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Health(Struct):
    status: Literal["ok"]


class Ready(Struct):
    database: Literal["up"]
    bell: Annotated[
        Literal["up", "down"], Meta(description="Redis, which only makes things faster: down is no failure.")
    ]


class Taken(Struct):
    callback: Literal["believed", "polled", "ignored", "unknown"]
