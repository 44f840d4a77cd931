"""What the provider answers and is asked, as WaveSpeed documents it; it may say more than stands here."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType


class Model(Struct):
    model_id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    base_price: float | UnsetType = UNSET
    api_schema: (
        Annotated[dict[str, Any], Meta(description="With the JSON Schema of its inputs.")] | UnsetType
    ) = UNSET


class Balance(Struct):
    balance: float


class PriceQuestion(Struct):
    model_id: str
    inputs: dict[str, Any] | UnsetType = UNSET


class Price(Struct):
    model_id: str
    price: float
    discounted_price: float | UnsetType = UNSET
    discount_rate: float | UnsetType = UNSET
    currency: str | UnsetType = UNSET


class UnitPrice(Struct):
    model_id: str
    unit_price: float
    currency: str | UnsetType = UNSET


class UploadWish(Struct):
    filename: str
    size: Annotated[int, Meta(ge=1)]
    content_type: str | UnsetType = UNSET


class UploadPlace(Struct):
    """Where to PUT the bytes, with exactly these headers and no key."""

    method: str
    url: str
    headers: dict[str, str] | UnsetType = UNSET


class Uploaded(Struct):
    type: str
    download_url: Annotated[str, Meta(description="What an input takes in place of the file.")]
    filename: str
    size: int


class UploadTicket(Uploaded):
    upload: UploadPlace
