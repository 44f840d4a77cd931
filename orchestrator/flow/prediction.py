"""A job as the user sees it: WaveSpeed's prediction, always the whole of it and never a null."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.clock import to_rfc3339
from orchestrator.evidence import Error
from orchestrator.job import Ending, Job, Phase, Reason

_NO_ENDING = Ending()
_INTERNAL = 5_000
# 1401 is an invalid parameter, 5003 means unavailable, 5004 a time-out.
_CODES: dict[Reason | None, int] = {Reason.REJECTED: 1_401, Reason.EXHAUSTED: 5_003, Reason.EXPIRED: 5_004}


def prediction(
    job: Job, ending: Ending | None, *, base_url: str, inputs: str | None = None
) -> dict[str, Any]:
    """The fields that WaveSpeed's clients read; `urls.get` leads to us, since some poll it verbatim."""
    end = ending or _NO_ENDING
    result = end.result
    milliseconds = result.inference_ms if result else 0
    shown: dict[str, Any] = {
        "id": job.id,
        "model": job.model,
        "status": job.public_state,
        "outputs": result.outputs if result else [],
        "urls": {"get": f"{base_url}/api/{job.api_version}/predictions/{job.id}/result"},
        "has_nsfw_contents": result.has_nsfw_contents if result else [],
        "created_at": to_rfc3339(job.created_at),
        "error": "",
        "executionTime": milliseconds,
        "timings": {"inference": milliseconds},
    }
    if end.error is not None and job.phase == Phase.FAILED:
        shown["error"] = end.error.message
        shown["code"] = _code(job, end.error)
    if inputs is not None:
        shown["inputs"] = msgspec.Raw(inputs.encode())
    return shown


def _code(job: Job, error: Error) -> int:
    """The prediction-level code: the provider's, or one that says whether another try may help."""
    return error.code or _CODES.get(job.reason, _INTERNAL)
