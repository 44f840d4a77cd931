"""The routes for actions: one order for many jobs."""

from __future__ import annotations

from orchestrator.errors import Conflict
from orchestrator.web import actions
from orchestrator.web.query import BEFORE, IDEMPOTENCY_KEY
from orchestrator.web.reference.endpoint import Body, Either, Endpoint, Group
from orchestrator.web.reference.shapes import actions as shapes

GROUP = Group(
    "Actions",
    "One order for many jobs: they are retried, cancelled, dismissed or deleted a few at a time.",
    (
        Endpoint(
            name="create_action",
            method="POST",
            path="/api/v3/actions",
            handler=actions.create,
            scope="submit",
            summary="Order something of many jobs",
            about="""Of those in `ids`, or of all that are there now and match the `filter`. With `dry_run`
they are only counted.""",
            body=Body(
                {"application/json": actions.WantedAction},
                example={"verb": "redrive", "filter": {"dead": True}, "per_minute": 600},
            ),
            headers=(IDEMPOTENCY_KEY,),
            gives=Either((shapes.Action, shapes.DryAction)),
            refuses=(Conflict,),
            leads_to=("action", "stop_action"),
        ),
        Endpoint(
            name="list_actions",
            method="GET",
            path="/api/v3/actions",
            handler=actions.list_actions,
            scope="read",
            summary="List actions, newest first",
            query=(actions.LIMIT, BEFORE),
            gives=shapes.Actions,
        ),
        Endpoint(
            name="action",
            method="GET",
            path="/api/v3/actions/{id}",
            handler=actions.read_action,
            scope="read",
            summary="Read how an action gets on",
            gives=shapes.Action,
        ),
        Endpoint(
            name="stop_action",
            method="POST",
            path="/api/v3/actions/{id}/stop",
            handler=actions.stop_action,
            scope="submit",
            summary="Stop an action",
            about="What was done stays done.",
            gives=shapes.Action,
            refuses=(Conflict,),
        ),
    ),
)
