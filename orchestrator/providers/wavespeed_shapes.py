"""WaveSpeed's shapes as they come over the wire, read with distrust: what a prediction says as `Evidence`.

Only what decides something must be well-formed (the id, the status, the outputs); any other field of the
wrong type counts as missing.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from orchestrator.errors import InvalidInput
from orchestrator.evidence import Error, ErrorKind, Evidence, Result, Source, Status
from orchestrator.strict_json import decode as strict_decode

MAX_SHOWN_CHARS = 1_000

_ENDED_ON_PURPOSE = frozenset({"cancelled", "deleted"})
# WaveSpeed's word for a task that is not worth another try as it stands.
_TASK_FAILED = 1_403
_FAILED = frozenset({"failed", "timeout"}) | _ENDED_ON_PURPOSE
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_NOTHING = msgspec.Raw(b"null")
# A callback URL opens a door of ours, and a signing secret all of them.
_SECRETS = re.compile(r"(?:/|%2f)callbacks(?:/|%2f)[^\s\"'\\<>]*|whsec_[^\s\"'\\<>]*", re.IGNORECASE)


class Envelope(msgspec.Struct, frozen=True):
    """`{"code":200,"message":"success","data":…}`; the same without `data` for an error."""

    code: Any = None
    message: Any = None
    error_code: Any = None
    data: msgspec.Raw = _NOTHING


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One task, of either API version; `inputs` is the history's name for `input`."""

    id: Any = None
    model: Any = None
    status: Any = None
    outputs: msgspec.Raw = _NOTHING
    has_nsfw_contents: Any = None
    created_at: Any = None
    error: Any = None
    code: Any = None
    timings: Any = None
    execution_ms: Any = msgspec.field(default=None, name="executionTime")
    inputs: Any = None
    input: Any = None

    @property
    def task_id(self) -> str | None:
        """The id, if it can be one: it will stand in a path."""
        return self.id if is_task_id(self.id) else None


_ENVELOPES = msgspec.json.Decoder(Envelope)
_PREDICTIONS = msgspec.json.Decoder(Prediction)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def is_task_id(text: Any) -> bool:
    return isinstance(text, str) and _TASK_ID.fullmatch(text) is not None


def open_envelope(body: bytes) -> Envelope | None:
    """None for what is no JSON object."""
    try:
        return _ENVELOPES.decode(body)
    except _UNREADABLE:
        return None


def open_prediction(body: bytes | msgspec.Raw) -> Prediction | None:
    """None for what is no JSON object."""
    try:
        return _PREDICTIONS.decode(body)
    except _UNREADABLE:
        return None


def is_spoilt_end(body: bytes) -> bool:
    """Whether a poll's answer that is not JSON still shows a completed task: one that can never be read.

    A page of a gateway's passes and is asked again; a NaN, a broken character or endless nesting in the
    outputs comes back at every poll.
    """
    try:
        answer = json.loads(body.decode(errors="replace"))
    except ValueError:
        return False
    except RecursionError:
        return True
    data = answer.get("data") if isinstance(answer, dict) else None
    return isinstance(data, dict) and data.get("status") == "completed"


def evidence_of(prediction: Prediction, *, source: Source, excerpt: str = "") -> Evidence:
    """What the prediction says. A status that is not known to be final is not: the task goes on."""
    status, result, error = Status.ACCEPTED, None, None
    if prediction.status == "completed":
        status, result, error = _completed(prediction)
    elif isinstance(prediction.status, str) and prediction.status in _FAILED:
        status, error = Status.FAILED, _failure(prediction)
    return Evidence(
        source=source,
        status=status,
        provider_id=prediction.task_id,
        model=prediction.model if isinstance(prediction.model, str) else None,
        result=result,
        error=error,
        excerpt=excerpt,
    )


def spoilt(why: str) -> Error:
    """The end of a task whose outputs nobody can read: another try would be paid for and end the same."""
    return Error(ErrorKind.REJECTED, shown(f"The task completed, but its outputs could not be read: {why}"))


def integer(value: Any) -> int:
    """0 for what is no whole number of a sensible size; codes come as text now and then."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_sensible = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_sensible else 0


def shown(text: Any) -> str:
    """Fit to be stored and shown to people: cut, no NUL, no secret of ours."""
    if not isinstance(text, str):
        text = "" if text is None else json.dumps(text)
    clean: str = text[: 4 * MAX_SHOWN_CHARS]
    folded = clean.casefold()
    if "callbacks" in folded or "whsec_" in folded:  # cheaper to ask than the pattern, and rarely true
        clean = _SECRETS.sub("[hidden]", clean)
    return clean.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_SHOWN_CHARS]


def excerpt_of(body: bytes) -> str:
    """The first 1,000 characters, of whatever it is."""
    return shown(body[: 8 * MAX_SHOWN_CHARS].decode(errors="replace"))


def _completed(prediction: Prediction) -> tuple[Status, Result | None, Error | None]:
    try:
        outputs = _outputs(prediction.outputs)
    except InvalidInput as problem:
        return Status.FAILED, None, spoilt(str(problem))
    flags = prediction.has_nsfw_contents
    result = Result(
        outputs=outputs,
        has_nsfw_contents=[flag is True for flag in flags] if isinstance(flags, list) else [],
        inference_ms=_inference_ms(prediction),
    )
    return Status.COMPLETED, result, None


def _outputs(raw: msgspec.Raw) -> list[Any]:
    """Raises InvalidInput for what PostgreSQL could not take. They are paid for: whatever else they are is
    kept, and one that comes without its list is a list of one. None of them is `[]`.
    """
    outputs = strict_decode(bytes(raw), what="list of outputs")
    if outputs is None:
        return []
    return outputs if isinstance(outputs, list) else [outputs]


def _inference_ms(prediction: Prediction) -> int:
    timings = prediction.timings if isinstance(prediction.timings, dict) else {}
    return integer(timings.get("inference")) or integer(prediction.execution_ms)


def _failure(prediction: Prediction) -> Error:
    """1xxx means that the request must be changed, and somebody who ended the task wants no other; anything
    else may pass at another try.
    """
    is_on_purpose = prediction.status in _ENDED_ON_PURPOSE
    code = integer(prediction.code) or (_TASK_FAILED if is_on_purpose else 0)
    message = shown(prediction.error) or f"The task ended as {prediction.status} without saying why."
    is_final = 1_000 <= code < 2_000 or is_on_purpose
    return Error(ErrorKind.REJECTED if is_final else ErrorKind.TASK_FAILED, message, code=code)
