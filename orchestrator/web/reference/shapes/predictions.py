"""Jobs as WaveSpeed's clients know them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from orchestrator.web.reference.shapes.words import Count, Id, State


class PredictionUrls(Struct):
    get: Annotated[str, Meta(description="Where to ask for the result.")]


class Timings(Struct):
    inference: Annotated[int, Meta(ge=0, description="Milliseconds.")]


class Prediction(Struct, kw_only=True):
    """A job as WaveSpeed's clients know it: always the whole of it, never a null."""

    id: Id
    model: str
    status: State
    outputs: Annotated[
        list[Any], Meta(description="URLs, base64 or data URIs, texts, or objects with a `url`.")
    ]
    urls: PredictionUrls
    has_nsfw_contents: list[bool]
    created_at: str
    error: Annotated[str, Meta(description="Empty when there is none.")]
    executionTime: Annotated[int, Meta(ge=0, description="Milliseconds.")]  # noqa: N815 - WaveSpeed's name
    timings: Timings
    code: (
        Annotated[int, Meta(description="1xxx: the request must change. 5xxx: another try may succeed.")]
        | UnsetType
    ) = UNSET
    inputs: dict[str, Any] | UnsetType = UNSET


class PredictionTold(Prediction, kw_only=True):
    """What a webhook gets."""

    input: (
        Annotated[dict[str, Any], Meta(description="Left out where it is longer than 64 KB.")] | UnsetType
    ) = UNSET
    batch: Annotated[Id, Meta(description="Of a batch's jobs alone, as are the next two.")] | UnsetType = (
        UNSET
    )
    line: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    custom_id: str | UnsetType = UNSET


class History(Struct):
    page: Annotated[int, Meta(ge=1)]
    items: list[Prediction]


class Deleted(Struct):
    deleted_count: Count


class Secret(Struct):
    secret: Annotated[str, Meta(description="Verifies the signature of what your webhooks are sent.")]
