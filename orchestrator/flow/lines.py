"""One line of a batch: read and checked like a request of its own, into a row or a reason why not."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator import strict_json
from orchestrator.errors import InvalidInput
from orchestrator.flow.bare_lines import KEYS, is_whole
from orchestrator.flow.create import NewJob, Place, prepare
from orchestrator.flow.schedule import BULK, Schedule, read_schedule
from orchestrator.flow.table import is_surplus
from orchestrator.runtime import Runtime
from orchestrator.store.batch_lines import Rejected
from orchestrator.store.creation import Creation

LONGEST_INPUT = 1024 * 1024
LONGEST_WITH_MEDIA = 10 * 1024 * 1024
LONGEST_LINE = 10 * 1024 * 1024
LONGEST_CUSTOM_ID = 255
LONGEST_NAME = 200


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload asks for, besides its lines: `model`, `inputs` and `schedule` are for lines without."""

    tenant_id: str
    api_version: str
    name: str = ""
    is_atomic: bool = True
    is_strict: bool = False
    """Whether a model that is not in the catalogue is refused."""
    model: str = ""
    inputs: dict[str, Any] = {}
    schedule: Schedule = Schedule(priority=BULK)
    webhook: str | None = None
    """Told once, when the whole batch has ended."""
    job_webhook: str | None = None
    """Told of each job that names no webhook of its own."""
    webhook_scheme: str | None = None
    """Of all of these webhooks; None is the usual one of each."""
    idempotency_key: str | None = None
    request_hash: str = ""
    is_bare: bool = False
    """Whether a line may be an input and nothing else."""


def check_name(name: str) -> None:
    """Of a batch. Raises InvalidInput."""
    if len(name) > LONGEST_NAME:
        raise InvalidInput("name", f"must have at most {LONGEST_NAME} characters")


def read_line(
    runtime: Runtime, new: NewBatch, batch_id: str, *, number: int, raw: bytes
) -> Creation | Rejected:
    """The row that this line makes, or why it makes none."""
    custom_id = None
    if len(raw) > LONGEST_LINE:
        return Rejected(number, None, "", "the line is longer than 10 MB")
    try:
        given = strict_json.decode_object(raw, what="the line")
        if new.is_bare and not is_whole(given):
            given = {"input": given}
        custom_id = _custom_id(given)
        creation = prepare(runtime, _job(runtime, new, given, Place(batch_id, number, custom_id)))
        _check_length(runtime, creation)
    except InvalidInput as problem:
        message = str(problem).removeprefix(f"{problem.field}: ")
        return Rejected(number, custom_id, problem.field, message)
    return creation


def _job(runtime: Runtime, new: NewBatch, given: dict[str, Any], place: Place) -> NewJob:
    if not given.keys() <= KEYS:
        stranger = next(key for key in given if key not in KEYS)
        if is_surplus(stranger):
            raise InvalidInput(stranger, 'has no column; a text with a comma goes in quotes: "like, this"')
        hint = "" if "input" in given else "; inputs of the model go under `input`"
        raise InvalidInput(stranger[:80], f"is unknown; a line has {', '.join(sorted(KEYS))}{hint}")
    model = given.get("model")
    if model is None or model == "":
        model = new.model
    if not isinstance(model, str) or not model:
        raise InvalidInput("model", "is required, in the line or for the whole batch")
    runtime.catalogue.check_name(model, new.api_version, is_strict=new.is_strict)
    inputs = given.get("input")
    if not isinstance(inputs, dict):
        raise InvalidInput("input", "must be an object")
    webhook = given.get("webhook")
    if webhook is not None and not isinstance(webhook, str):
        raise InvalidInput("webhook", "must be a URL")
    return NewJob(
        tenant_id=new.tenant_id,
        model=model,
        api_version=new.api_version,
        inputs={**new.inputs, **inputs} if new.inputs else inputs,
        webhook=webhook or new.job_webhook,
        webhook_scheme=new.webhook_scheme,
        schedule=read_schedule(given, new.schedule),
        place=place,
    )


def _custom_id(given: dict[str, Any]) -> str | None:
    custom_id = given.get("custom_id")
    if custom_id is None:
        return None
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_CUSTOM_ID:
        raise InvalidInput("custom_id", f"must be a text of 1 to {LONGEST_CUSTOM_ID} characters")
    return custom_id


def _check_length(runtime: Runtime, creation: Creation) -> None:
    """Only embedded media makes an input long; what all lines share counts in each of them."""
    length = len(creation.input)
    if length <= LONGEST_INPUT:
        return
    longest = LONGEST_WITH_MEDIA if _may_be_long(runtime, creation) else LONGEST_INPUT
    if length > longest:
        raise InvalidInput("input", f"must not be longer than {longest // LONGEST_INPUT} MB")


def _may_be_long(runtime: Runtime, creation: Creation) -> bool:
    """Whether the model takes media, or, where its page was learned and cannot tell, this line has some."""
    job, catalogue = creation.job, runtime.catalogue
    if catalogue.takes_media(job.model, job.api_version):
        return True
    inputs = msgspec.json.decode(creation.input, type=dict[str, Any])
    return catalogue.has_embedded_media(job.model, job.api_version, inputs)
