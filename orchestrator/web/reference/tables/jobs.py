"""The routes for jobs: predictions with all that this server knows of them, and what one can do."""

from __future__ import annotations

from orchestrator.errors import Conflict
from orchestrator.web import doubt, jobs
from orchestrator.web.query import BEFORE, IDEMPOTENCY_KEY
from orchestrator.web.reference.endpoint import Body, Endpoint, Group
from orchestrator.web.reference.shapes import jobs as shapes

GROUP = Group(
    "Jobs",
    "Predictions with all that this server knows of them: phases, attempts, timelines, dead letters.",
    (
        Endpoint(
            name="list_jobs",
            method="GET",
            path="/api/v3/jobs",
            handler=jobs.list_jobs,
            scope="read",
            summary="List jobs, newest first",
            query=(jobs.STATUS, jobs.MODEL, jobs.LIMIT, BEFORE),
            gives=shapes.Jobs,
        ),
        Endpoint(
            name="job",
            method="GET",
            path="/api/v3/jobs/{id}",
            handler=jobs.read_job,
            scope="read",
            summary="Read a job with everything that happened to it",
            gives=shapes.JobWithTimeline,
        ),
        Endpoint(
            name="cancel_job",
            method="POST",
            path="/api/v3/jobs/{id}/cancel",
            handler=jobs.cancel_job,
            scope="submit",
            summary="Cancel a job",
            about="A job that is at the provider ends there; it is not tried again.",
            gives=shapes.Cancelled,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="redrive_job",
            method="POST",
            path="/api/v3/jobs/{id}/redrive",
            handler=jobs.redrive_job,
            scope="submit",
            summary="Give a failed job another attempt, or release a held one",
            headers=(IDEMPOTENCY_KEY,),
            gives=shapes.Job,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="check_job",
            method="POST",
            path="/api/v3/jobs/{id}/check",
            handler=jobs.check_job,
            scope="submit",
            summary="Ask the provider about a job now",
            about="Whatever the schedule says. The answer shows the job as it was before.",
            gives=shapes.Job,
        ),
        Endpoint(
            name="dismiss_job",
            method="POST",
            path="/api/v3/jobs/{id}/dismiss",
            handler=jobs.dismiss_job,
            scope="submit",
            summary="Take a failed job off the dead letters",
            about="A redrive that fails brings it back.",
            gives=shapes.Job,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="resolve_job",
            method="POST",
            path="/api/v3/jobs/{id}/resolve",
            handler=doubt.resolve_job,
            scope="admin",
            summary="Say what became of a job that is held in doubt",
            about="""`resubmit` sends it again, `fail` gives it up, and `adopt` names its task at the provider
by `provider_id`, which only the operator may do.""",
            headers=(IDEMPOTENCY_KEY,),
            body=Body({"application/json": doubt.Resolution}, example={"action": "resubmit"}),
            gives=shapes.Job,
            refuses=(Conflict,),
        ),
        Endpoint(
            name="list_dead_letters",
            method="GET",
            path="/api/v3/dead-letters",
            handler=jobs.list_dead_letters,
            scope="read",
            summary="List failed jobs that somebody should look at",
            query=(jobs.LIMIT, BEFORE),
            gives=shapes.Jobs,
        ),
    ),
)
