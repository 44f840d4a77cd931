"""The events that webhooks are told, by the names that subscribers know."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.job import Job, Phase, Reason


class Event(StrEnum):
    """What an endpoint may subscribe to, and the one that it gets when somebody tries it out."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    """For whatever reason, cancelled ones too."""
    JOB_DEAD_LETTERED = "job.dead_lettered"
    """Failed, and nobody had cancelled it: somebody should look at it."""
    BATCH_COMPLETED = "batch.completed"
    ENDPOINT_DISABLED = "endpoint.disabled"
    """Told to the tenant's other endpoints."""
    ENDPOINT_TEST = "endpoint.test"

    @property
    def word(self) -> str:
        """Its last word, for an id, in which there is no dot."""
        return self.rpartition(".")[2]


SUBSCRIBABLE = tuple(event for event in Event if event is not Event.ENDPOINT_TEST)


def of_end(job: Job) -> tuple[Event, ...]:
    """The events that this end of a job is; the first is told to its own webhook."""
    if job.phase == Phase.COMPLETED:
        return (Event.JOB_COMPLETED,)
    if job.reason == Reason.CANCELLED:
        return (Event.JOB_FAILED,)
    return (Event.JOB_FAILED, Event.JOB_DEAD_LETTERED)
