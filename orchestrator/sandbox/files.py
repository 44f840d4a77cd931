"""Files over HTTP: upload tickets and their PUT, multipart uploads, downloads of media and outputs."""

from __future__ import annotations

import mimetypes

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.sandbox.media import BIGGEST_UPLOAD, UnreadableError, Upload, path_for, type_of
from orchestrator.sandbox.protocol import Refusal, answer
from orchestrator.sandbox.requests import account_key, base_url, decode_object, house_of, read_body
from orchestrator.sandbox.studio import format_of


async def issue_ticket(request: Request) -> Response:
    """POST /media/uploads: where to PUT a file, and with which headers."""
    account_key(request)
    body = decode_object(await read_body(request))
    filename, size = body.get("filename"), body.get("size")
    if not isinstance(filename, str) or not filename or type(size) is not int or size < 0:
        raise Refusal(400, "filename and size are required")
    if size > BIGGEST_UPLOAD:
        raise Refusal(413, "file too large")
    content_type = str(body.get("content_type") or _guessed(filename))
    token, ticket = house_of(request).media.issue_ticket(
        filename=filename, size=size, content_type=content_type
    )
    base = base_url(request)
    return answer(
        {
            "type": type_of(content_type),
            "download_url": base + ticket.path,
            "filename": filename,
            "size": size,
            "upload": {"method": "PUT", "url": f"{base}/media/uploads/{token}", "headers": ticket.headers},
        }
    )


async def put_upload(request: Request) -> Response:
    """PUT of the bytes: with the ticket's headers and no Authorization, as a signed storage URL has it."""
    media = house_of(request).media
    ticket = media.ticket(request.path_params["token"])
    if ticket is None:
        raise Refusal(403, "unknown upload ticket")
    if "authorization" in request.headers:
        raise Refusal(400, "only one way to authenticate is allowed: send no Authorization header")
    if any(request.headers.get(name) != value for name, value in ticket.headers.items()):
        raise Refusal(403, "the headers are not those of the ticket")
    content = await read_body(request, limit=BIGGEST_UPLOAD)
    if len(content) != ticket.size:
        raise Refusal(400, f"the ticket is for {ticket.size} bytes, got {len(content)}")
    media.keep(Upload(ticket.path, ticket.filename, ticket.headers["Content-Type"], content))
    return Response(status_code=200)


async def upload_binary(request: Request) -> Response:
    """POST /media/upload/binary: multipart, the field is named `file`."""
    account_key(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refusal(400, "a multipart body with the field `file` is required")
    async with request.form() as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refusal(400, "the field `file` is required")
        content = await file.read(BIGGEST_UPLOAD + 1)
        if len(content) > BIGGEST_UPLOAD:
            raise Refusal(413, "file too large")
        filename = file.filename or "file"
        content_type = file.content_type or _guessed(filename)
    upload = Upload(path_for(filename, content_type), filename, content_type, content)
    house_of(request).media.keep(upload)
    return answer(
        {
            "type": upload.type,
            "download_url": base_url(request) + upload.path,
            "filename": filename,
            "size": len(content),
        }
    )


async def download_media(request: Request) -> Response:
    """GET of an uploaded file."""
    upload = house_of(request).media.find(request.url.path)
    if upload is None:
        raise Refusal(404, "no such file")
    return Response(upload.content, media_type=upload.content_type)


async def download_output(request: Request) -> Response:
    """GET of an output: painted now, if it was not yet."""
    house = house_of(request)
    task = house.ledger.find(request.path_params["id"])
    if task is None or not isinstance(task.outputs, list):
        raise Refusal(404, "no such output")
    kind = format_of(task)
    numbers = {f"{number}.{kind}": number for number in range(1, len(task.outputs) + 1)}
    number = numbers.get(request.path_params["name"])
    if number is None:
        raise Refusal(404, "no such output")
    try:
        picture = await house.studio.picture(task, number)
    except UnreadableError as error:
        raise Refusal(404, "the input of this output is gone") from error
    return Response(picture, media_type=f"image/{kind}", headers={"Cache-Control": "public, max-age=604800"})


def _guessed(filename: str) -> str:
    return mimetypes.guess_type(filename)[0] or "application/octet-stream"
