"""The routes that only the provider can answer: its answers are handed on."""

from __future__ import annotations

from orchestrator.errors import TooLarge, TooManyUploads, UnsupportedBody
from orchestrator.web import passed_on
from orchestrator.web.reference import provider_shapes as shapes
from orchestrator.web.reference.endpoint import Body, Endpoint, Group, Plain

_V = "/api/{version:version}"
_UPLOAD = Plain(
    {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
)
_PRICED = {"model_id": "wavespeed-ai/flux-dev", "inputs": {"prompt": "A lighthouse"}}

GROUP = Group(
    "Provider",
    "What only the provider knows. Its answers are handed on, and kept for a moment; so are its refusals.",
    (
        Endpoint(
            name="models",
            method="GET",
            path=f"{_V}/models",
            handler=passed_on.models,
            scope="read",
            summary="List the provider's models",
            about="The `server` of each is this one.",
            gives=list[shapes.Model],
            is_passed_on=True,
        ),
        Endpoint(
            name="balance",
            method="GET",
            path=f"{_V}/balance",
            handler=passed_on.balance,
            scope="read",
            summary="Read the account's balance",
            gives=shapes.Balance,
            is_passed_on=True,
        ),
        Endpoint(
            name="price",
            method="POST",
            path=f"{_V}/model/price",
            handler=passed_on.price,
            scope="read",
            summary="Ask what a job would cost",
            body=Body({"application/json": shapes.PriceQuestion}, example=_PRICED),
            gives=shapes.Price,
            is_passed_on=True,
        ),
        Endpoint(
            name="pricing",
            method="POST",
            path=f"{_V}/model/pricing",
            handler=passed_on.pricing,
            scope="read",
            summary="Ask what a job would cost, in the older form",
            body=Body({"application/json": shapes.PriceQuestion}, example=_PRICED),
            gives=shapes.UnitPrice,
            is_passed_on=True,
        ),
        Endpoint(
            name="upload_ticket",
            method="POST",
            path=f"{_V}/media/uploads",
            handler=passed_on.upload_ticket,
            scope="submit",
            summary="Ask where to upload a file",
            about="The bytes then go to the provider's storage directly.",
            body=Body(
                {"application/json": shapes.UploadWish},
                example={"filename": "cat.png", "size": 52_000, "content_type": "image/png"},
            ),
            gives=shapes.UploadTicket,
            is_passed_on=True,
        ),
        Endpoint(
            name="upload",
            method="POST",
            path=f"{_V}/media/upload/binary",
            handler=passed_on.upload_binary,
            scope="submit",
            summary="Upload a file",
            about="200 MB and 30 minutes at most, and 16 at a time. It is streamed through to the provider;"
            " nothing is kept here.",
            body=Body({"multipart/form-data": _UPLOAD}),
            gives=shapes.Uploaded,
            refuses=(TooLarge, UnsupportedBody, TooManyUploads),
            is_passed_on=True,
        ),
    ),
)
