"""Classes each answer of WaveSpeed's to a POST and to a poll, once and for all: the table of error classes.

provably not sent                                           REFUSED  unavailable
2xx with an id                                              whatever the prediction says
429, as HTTP status or as the envelope's code               REFUSED  throttled
401, 402, 403 likewise; 2xx, code 4xx, words of an account  REFUSED  account
400 that says in words that the credit is used up           REFUSED  account
any other 4xx; 2xx with a code of 1xxx and no id            REFUSED  rejected
2xx, code 404, 405, 413, 415, 422 or words of an input      REFUSED  rejected
2xx, any other code of 4xx and no id                        REFUSED  unclear
503 in WaveSpeed's own envelope, without an id              REFUSED  unavailable
408, 425, any other 5xx, 3xx, cut, time-out, unreadable 2xx UNKNOWN  lost
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from orchestrator.evidence import Error, ErrorKind, Evidence, Source, Status
from orchestrator.providers.exchange import Answer, NoAnswer
from orchestrator.providers.wavespeed_shapes import (
    Envelope,
    evidence_of,
    excerpt_of,
    integer,
    is_spoilt_end,
    open_envelope,
    open_prediction,
    shown,
    spoilt,
)
from orchestrator.retry_after import read_retry_after

_NO_ENVELOPE = Envelope()

MENDING = {
    401: "WaveSpeed refused this server's API key: set WAVESPEED_API_KEY to a key that is valid.",
    402: "The WaveSpeed account has no credit left: top it up.",
    403: "WaveSpeed forbids this to the account: it is suspended, or its key's role does not allow it."
    " Check the account at WaveSpeed.",
}
_NO_CREDIT = "WaveSpeed made no task, most likely for lack of credit: top the account up."
_NO_REASON = "WaveSpeed made no task and did not say whether the account or the input is why."
# What an error that comes as HTTP 200 is about: WaveSpeed says code 400 for lack of credit, too.
_OF_ACCOUNT = re.compile(
    r"\b(?:credits?|balance|funds?|payment|billing|quota|top.?up|recharge|subscription|suspended|account"
    r"|api.?key|unauthori[sz]ed|forbidden|permission)\b",
    re.IGNORECASE,
)
_OF_INPUT = re.compile(
    r"\b(?:invalid|missing|required|must|parameters?|fields?|inputs?|prompt|validation|unsupported"
    r"|not supported|too (?:long|short|large|small|many|few))\b",
    re.IGNORECASE,
)
# The one trouble of an account that is told as a true HTTP 400, too, among all those of inputs.
_OF_CREDIT = re.compile(
    r"\b(?:insufficient|not enough|out of)(?:[ _]\w+)?[ _](?:credits?|balance|funds?)\b"
    r"|\b(?:credits?|balance|funds?) (?:is |are )?(?:insufficient|not enough)\b|\btop[ -]?up\b",
    re.IGNORECASE,
)
# What the answer repeats of the input decides nothing: from the first quote to the last of its kind, for the
# input may have quotes of its own. An apostrophe is none.
_QUOTED = re.compile(r"(?<!\w)(['\"`])(?:.*\1(?!\w)|.*)|\u201c(?:.*\u201d|.*)", re.DOTALL)
_OF_THE_REQUEST = frozenset({404, 405, 413, 415, 422})
# Of the connection, not the input: servers send 408 as they close an idle one, whatever is on its way there.
_OF_THE_CONNECTION = frozenset({408, 425})


def read_submit(answer: Answer | NoAnswer, *, now: int) -> Evidence:
    """What the one POST came to; `now` only to read a Retry-After that is a date."""
    if isinstance(answer, NoAnswer):
        return _unsubmitted(answer)
    envelope = _envelope(answer)
    prediction = open_prediction(envelope.data)
    has_id = prediction is not None and prediction.task_id is not None
    if answer.is_success and has_id and prediction is not None:
        return evidence_of(prediction, source=Source.ANSWER)
    kind = _kind(answer, envelope, has_id=has_id)
    error = Error(
        kind,
        _sentence(kind, answer, envelope),
        code=_prediction_code(envelope),
        http_status=answer.status,
        retry_after_s=read_retry_after(answer.retry_after, now=now),
    )
    status = Status.UNKNOWN if kind is ErrorKind.LOST else Status.REFUSED
    return Evidence(source=Source.ANSWER, status=status, error=error, excerpt=excerpt_of(answer.body))


def read_poll(answer: Answer | NoAnswer, *, asked: str, now: int) -> Evidence:
    """What is known of the task `asked`; SILENT also when the answer is about something else."""
    if isinstance(answer, NoAnswer):
        return _silent(ErrorKind.UNAVAILABLE, answer.reason)
    if answer.is_success and _is_spoilt(answer):
        why = "the answer is no valid JSON" if answer.is_whole else "the answer is too large"
        return Evidence(
            source=Source.POLL,
            status=Status.FAILED,
            provider_id=asked,
            error=spoilt(why),
            excerpt=excerpt_of(answer.body),
        )
    envelope = _envelope(answer)
    prediction = open_prediction(envelope.data)
    if answer.is_success and prediction is not None and isinstance(prediction.status, str):
        if prediction.id not in (asked, None):
            return _silent(ErrorKind.UNAVAILABLE, "the answer is about another task", answer)
        evidence = evidence_of(prediction, source=Source.POLL, excerpt=excerpt_of(answer.body))
        # A prediction that leaves its id out is the one that was asked for.
        return evidence if evidence.provider_id else replace(evidence, provider_id=asked)
    return _untold(answer, envelope, asked=asked, now=now)


def said_status(answer: Answer, envelope: Envelope) -> int:
    """The HTTP status, or the envelope's code where an error comes as HTTP 200."""
    return integer(envelope.code) or answer.status if answer.is_success else answer.status


def _prediction_code(envelope: Envelope) -> int:
    """The envelope's code where it is one of a prediction's, 1xxx or 5xxx, else 0."""
    code = integer(envelope.code)
    return code if 1_000 <= code < 6_000 else 0


def _unsubmitted(failure: NoAnswer) -> Evidence:
    kind = ErrorKind.LOST if failure.maybe_sent else ErrorKind.UNAVAILABLE
    says = "The answer to the submission was lost" if failure.maybe_sent else "WaveSpeed could not be reached"
    return Evidence(
        source=Source.ANSWER,
        status=Status.UNKNOWN if failure.maybe_sent else Status.REFUSED,
        error=Error(kind, f"{says}: {shown(failure.reason)}"),
        excerpt=shown(failure.reason),
    )


def _envelope(answer: Answer) -> Envelope:
    return (open_envelope(answer.body) if answer.is_whole else None) or _NO_ENVELOPE


def _kind(answer: Answer, envelope: Envelope, *, has_id: bool) -> ErrorKind:
    """The class of an answer to a POST that is not a task."""
    said = said_status(answer, envelope)
    if said == 429:
        return ErrorKind.THROTTLED
    if said in MENDING:
        return ErrorKind.ACCOUNT
    if answer.status in _OF_THE_CONNECTION:
        return ErrorKind.LOST
    if 400 <= said < 500:
        words = _QUOTED.sub("", shown(envelope.message))
        if answer.is_success:
            return _kind_by_words(said, words)
        return ErrorKind.ACCOUNT if said == 400 and _OF_CREDIT.search(words) else ErrorKind.REJECTED
    if said == 503 and integer(envelope.code) == 503 and not has_id:
        return ErrorKind.UNAVAILABLE
    return ErrorKind.REJECTED if 1_000 <= said < 2_000 else ErrorKind.LOST


def _kind_by_words(said: int, words: str) -> ErrorKind:
    if _OF_ACCOUNT.search(words):
        return ErrorKind.ACCOUNT
    if said in _OF_THE_REQUEST or _OF_INPUT.search(words):
        return ErrorKind.REJECTED
    return ErrorKind.UNCLEAR


def _sentence(kind: ErrorKind, answer: Answer, envelope: Envelope) -> str:
    said = said_status(answer, envelope)
    message = shown(envelope.message)
    if kind in (ErrorKind.ACCOUNT, ErrorKind.UNCLEAR):
        why = _NO_REASON if kind is ErrorKind.UNCLEAR else MENDING.get(said, _NO_CREDIT)
        return shown(f"{why} It says: {message or said}")
    if kind is ErrorKind.LOST:
        return f"WaveSpeed's answer (HTTP {answer.status}) does not tell whether there is a task."
    return message or f"WaveSpeed answered {said} without saying why."


def _is_spoilt(answer: Answer) -> bool:
    return not answer.is_whole or (open_envelope(answer.body) is None and is_spoilt_end(answer.body))


def _untold(answer: Answer, envelope: Envelope, *, asked: str, now: int) -> Evidence:
    said = said_status(answer, envelope)
    message = shown(envelope.message)
    if said == 404:
        excerpt = excerpt_of(answer.body)
        return Evidence(source=Source.POLL, status=Status.GONE, provider_id=asked, excerpt=excerpt)
    if said == 429:
        retry_after_s = read_retry_after(answer.retry_after, now=now)
        return _silent(ErrorKind.THROTTLED, message, answer, retry_after_s=retry_after_s)
    if said in MENDING:
        return _silent(ErrorKind.ACCOUNT, MENDING[said], answer)
    return _silent(ErrorKind.UNAVAILABLE, message or f"the answer (HTTP {said}) tells nothing", answer)


def _silent(
    kind: ErrorKind, message: str, answer: Answer | None = None, *, retry_after_s: float | None = None
) -> Evidence:
    status = answer.status if answer else 0
    return Evidence(
        source=Source.POLL,
        status=Status.SILENT,
        error=Error(kind, shown(message), http_status=status, retry_after_s=retry_after_s),
        excerpt=excerpt_of(answer.body) if answer else shown(message),
    )
