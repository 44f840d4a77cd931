"""The parameter tables of the five model pages, and of flux-dev's newer version, written down as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.sandbox.models import Field, Model
from orchestrator.sandbox.tasks import Task

BIGGEST_SEED = 2**31 - 1


def _prompt(*, is_required: bool) -> Field:
    return Field(
        "prompt", "string", "The prompt to generate an image from.", default="", is_required=is_required
    )


def _image(*, is_required: bool) -> Field:
    return Field(
        "image", "string", "The URL or base64 data of the image to start from.", is_required=is_required
    )


def _size(low: int) -> Field:
    return Field("size", "size", "Width*height in pixels.", default="1024*1024", low=low, high=1536)


def _seed(high: int = BIGGEST_SEED) -> Field:
    return replace(SEED, low=-1, high=high)


def _guidance(*, default: float, low: float, high: float) -> Field:
    return Field(
        "guidance_scale", "number", "How closely to follow the prompt.", default=default, low=low, high=high
    )


def _strength(default: float) -> Field:
    return Field(
        "strength", "number", "Strength of the image-to-image change.", default=default, low=0.0, high=1.0
    )


SEED = Field("seed", "integer", "The random seed; -1 for a random one.", default=-1)
STEPS = Field("num_inference_steps", "integer", "Number of inference steps.", default=28, low=1, high=50)
COUNT = Field("num_images", "integer", "Number of images to generate.", default=1, low=1, high=4)
LORAS = Field("loras", "array", "LoRA models to apply.", default=[], high=5)
MASK = Field("mask_image", "string", "The URL of a mask.")
SAFETY = Field("enable_safety_checker", "boolean", "Enable the safety checker.", default=True)
FORMAT = Field("output_format", "choice", "Image format.", default="jpeg", choices=("jpeg", "png", "webp"))
BASE64 = Field("enable_base64_output", "boolean", "Answer with base64 instead of URLs.", default=False)
SYNC = Field("enable_sync_mode", "boolean", "Wait for the result in the POST.", default=False)
TOLERANCE = Field(
    "safety_tolerance", "choice", "1 is the most strict.", default="2", choices=("1", "2", "3", "4", "5")
)

PAGES = (
    Model(
        id="wavespeed-ai/flux-dev",
        version="v2",
        art="scene",
        text="High-speed image generation for rapid prototyping.",
        price=0.012,
        duration_s=1.5,
        fields=(
            _prompt(is_required=False),
            _image(is_required=False),
            _strength(0.6),
            LORAS,
            _size(512),
            STEPS,
            SEED,
            _guidance(default=5.0, low=0.0, high=10.0),
            COUNT,
            SAFETY,
        ),
    ),
    Model(
        id="wavespeed-ai/flux-dev",
        version="v3",
        art="scene",
        text="FLUX.1 [dev], text to image and image to image.",
        price=0.012,
        duration_s=1.5,
        fields=(
            _prompt(is_required=True),
            _image(is_required=False),
            MASK,
            _strength(0.8),
            _size(256),
            STEPS,
            _seed(),
            _guidance(default=3.5, low=1.0, high=20.0),
            COUNT,
            FORMAT,
            BASE64,
            SYNC,
        ),
    ),
    Model(
        id="wavespeed-ai/flux-redux-dev",
        version="v2",
        art="variation",
        text="FLUX.1 Redux [dev], variations of an image.",
        price=0.012,
        duration_s=1.0,
        fields=(
            _image(is_required=True),
            _size(512),
            STEPS,
            _seed(9_999_999_999),
            _guidance(default=3.5, low=1.0, high=20.0),
            COUNT,
            SAFETY,
        ),
    ),
    Model(
        id="wavespeed-ai/flux-redux-dev",
        version="v3",
        art="variation",
        text="FLUX.1 Redux [dev], variations of an image.",
        price=0.012,
        duration_s=1.0,
        fields=(
            _image(is_required=True),
            _size(256),
            STEPS,
            _guidance(default=3.5, low=1.0, high=20.0),
            COUNT,
            _seed(),
            FORMAT,
            BASE64,
            SYNC,
        ),
    ),
    Model(
        id="wavespeed-ai/flux-redux-pro",
        version="v3",
        art="variation",
        text="FLUX.1 Redux [pro], variations of an image, guided by a prompt.",
        price=0.04,
        duration_s=1.0,
        fields=(
            _image(is_required=True),
            _prompt(is_required=False),
            _size(256),
            _seed(),
            STEPS,
            _guidance(default=3.5, low=1.0, high=5.0),
            COUNT,
            SAFETY,
        ),
    ),
    Model(
        id="wavespeed-ai/flux-kontext-pro",
        version="v3",
        art="edit",
        text="FLUX.1 Kontext [pro], edits an image as the prompt says.",
        price=0.04,
        duration_s=2.5,
        fields=(
            _prompt(is_required=True),
            _image(is_required=True),
            _guidance(default=3.5, low=1.0, high=10.0),
            TOLERANCE,
            SYNC,
        ),
    ),
)
MODELS = {(page.version, page.id): page for page in PAGES}


def inputs_of(task: Task) -> dict[str, Any]:
    """What the task was asked for, in the words of its model's page."""
    return MODELS[task.version, task.model].listed(task.decoded_input())


WIRE_TYPES = {"size": "string", "choice": "string"}


def catalogue(version: str, base: str) -> list[dict[str, Any]]:
    """The models of one version, each with the JSON schema of its input."""
    return [
        {
            "model_id": page.id,
            "name": page.id,
            "description": page.text,
            "type": "text-to-image" if page.art == "scene" else "image-to-image",
            "base_price": page.price,
            "sort_order": place,
            "formula": "",
            "api_schema": {"api_schemas": [_run_schema(page, base)]},
        }
        for place, page in enumerate((page for page in PAGES if page.version == version), start=1)
    ]


def _run_schema(page: Model, base: str) -> dict[str, Any]:
    return {
        "type": "model_run",
        "method": "POST",
        "server": base,
        "api_path": f"/api/{page.version}/{page.id}",
        "request_schema": {
            "type": "object",
            "properties": {field.name: _property(field) for field in page.fields},
            "required": [field.name for field in page.fields if field.is_required],
            "x-order-properties": [field.name for field in page.fields],
        },
    }


def _property(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": WIRE_TYPES.get(field.kind, field.kind), "description": field.text}
    if field.default is not None:
        schema["default"] = field.default
    if field.kind in {"number", "integer"}:
        limits = {"minimum": field.low, "maximum": field.high}
        schema |= {word: limit for word, limit in limits.items() if limit is not None}
    if field.kind == "size":
        schema |= {"x-minimum-side": field.low, "x-maximum-side": field.high}
    if field.kind == "choice":
        schema["enum"] = list(field.choices)
    if field.kind == "array":
        schema |= {"items": {}, "maxItems": field.high}
    return schema
