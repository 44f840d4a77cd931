"""What an operator orders on the pages of lanes: a pause, its end, another limit."""

from __future__ import annotations

from starlette.datastructures import FormData

from orchestrator.clock import SECOND
from orchestrator.flow import administer
from orchestrator.web.dashboard.pages import Done, Look
from orchestrator.web.dashboard.viewer import require_operator
from orchestrator.web.dashboard.words import count, duration
from orchestrator.web.fields import to_fields
from orchestrator.web.lanes import Pause, Rate, Slots


async def pause(look: Look, form: FormData) -> Done:
    require_operator(look.viewer)
    lane = _named(look)
    given = {"seconds": _text(form, "seconds") or None, "because": _text(form, "because")}
    order = to_fields(given, Pause, strict=False)
    for_ms = None if order.seconds is None else order.seconds * SECOND
    because = order.because or "an operator has paused it"
    await administer.pause_lane(look.runtime, look.viewer, lane, for_ms=for_ms, because=because)
    lasts = "until somebody resumes it" if for_ms is None else f"for {duration(for_ms)}"
    return Done(f"{lane} is paused {lasts}. What is at the provider goes on; nothing new is sent.")


async def resume(look: Look, _form: FormData) -> Done:
    require_operator(look.viewer)
    lane = _named(look)
    await administer.resume_lane(look.runtime, look.viewer, lane)
    return Done(f"{lane} is resumed. Jobs go on with the next claim.")


async def set_rate(look: Look, form: FormData) -> Done:
    """An empty field goes back to what the settings say."""
    require_operator(look.viewer)
    lane = _named(look)
    order = to_fields({"per_minute": _text(form, "per_minute") or None}, Rate, strict=False)
    await administer.set_rate(look.runtime, look.viewer, lane, order.per_minute)
    told = "what the settings say" if order.per_minute is None else f"{count(order.per_minute)} a minute"
    return Done(f"The limit of {lane} is now {told}.")


async def set_slots(look: Look, form: FormData) -> Done:
    """An empty field goes back to what the settings say."""
    require_operator(look.viewer)
    account = _named(look)
    order = to_fields({"max_in_flight": _text(form, "max_in_flight") or None}, Slots, strict=False)
    await administer.set_slots(look.runtime, look.viewer, account, order.max_in_flight)
    told = (
        "what the settings say" if order.max_in_flight is None else f"{count(order.max_in_flight)} at a time"
    )
    return Done(f"The limit of {account} is now {told}.")


def _named(look: Look) -> str:
    return str(look.request.path_params["id"])


def _text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()
