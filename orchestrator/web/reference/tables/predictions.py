"""The routes that WaveSpeed's own clients know, but for those which only the provider can answer."""

from __future__ import annotations

from orchestrator.errors import Conflict, TooMany
from orchestrator.flow.schedule import INTERACTIVE
from orchestrator.web import passed_on, predictions
from orchestrator.web.query import IDEMPOTENCY_KEY, SCHEME, Text, schedule
from orchestrator.web.reference import bodies
from orchestrator.web.reference.endpoint import Body, Endpoint, Group, Plain
from orchestrator.web.reference.shapes import predictions as shapes

_V = "/api/{version:version}"

SUBMIT = Endpoint(
    name="submit",
    method="POST",
    path=f"{_V}/{{model:model}}",
    handler=predictions.submit,
    scope="submit",
    summary="Submit a job",
    about="""The job is stored when this answers. The slashes of the model's name are written as they are.
An input that the model's page refuses is a 400 before anything is paid; of other models and fields the
provider has the last word. With `enable_sync_mode` the answer waits for the end, 90 seconds at most.
`webhook` may stand in the body as well.""",
    query=(
        Text("webhook", "A public https URL that is told of the end.", format="uri"),
        SCHEME,
        *schedule(priority=INTERACTIVE),
    ),
    headers=(IDEMPOTENCY_KEY,),
    body=Body(
        {"application/json": Plain({"type": "object", "description": "The inputs of the model."})},
        example={"prompt": "A lighthouse in a storm"},
    ),
    gives=shapes.Prediction,
    refuses=(Conflict, TooMany),
    leads_to=("job", "cancel_job", "redrive_job", "check_job", "dismiss_job", "job_events"),
)

GROUP = Group(
    "Predictions",
    "WaveSpeed's protocol: its clients work with this server as their base URL. Versions share one id space.",
    (
        SUBMIT,
        Endpoint(
            name="result",
            method="GET",
            path=f"{_V}/predictions/{{id}}/result",
            handler=predictions.result,
            scope="read",
            summary="Read a prediction's result",
            gives=shapes.Prediction,
        ),
        Endpoint(
            name="prediction",
            method="GET",
            path=f"{_V}/predictions/{{id}}",
            handler=predictions.result,
            scope="read",
            summary="Read a prediction",
            about="The same as its result.",
            gives=shapes.Prediction,
        ),
        Endpoint(
            name="history",
            method="POST",
            path=f"{_V}/predictions",
            handler=predictions.history,
            scope="read",
            summary="List predictions, newest first",
            about="Who wants to go back further than page 100 says `created_before`.",
            body=Body({"application/json": bodies.HistoryQuestion}, example={"page": 1}, is_required=False),
            gives=shapes.History,
        ),
        Endpoint(
            name="delete_predictions",
            method="POST",
            path=f"{_V}/predictions/delete",
            handler=predictions.delete,
            scope="submit",
            summary="Delete predictions that have ended",
            about="Unknown ids and predictions that have not ended are left out, and not counted. An error"
            " may come after some were deleted: the same sent again deletes the others.",
            body=Body({"application/json": bodies.Deletion}, example={"ids": ["0" * 32]}),
            gives=shapes.Deleted,
        ),
        Endpoint(
            name="webhook_secret",
            method="GET",
            path=f"{_V}/webhook/secret",
            handler=passed_on.webhook_secret,
            scope="read",
            summary="Read the secret that signs your webhooks",
            gives=shapes.Secret,
        ),
    ),
)
