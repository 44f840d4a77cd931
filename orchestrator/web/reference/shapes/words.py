"""What the shapes have in common: the description is made from them, and tests hold answers to them.

A time is a text in RFC 3339; a text that does not apply is empty, since some clients fail on null.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from orchestrator.webhook_events import SUBSCRIBABLE

Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
NoId = Annotated[str, Meta(pattern="^([0-9a-f]{32})?$", description="Empty where there is none.")]
Count = Annotated[int, Meta(ge=0)]
State = Literal["created", "processing", "completed", "failed"]
Scheme = Annotated[
    Literal["v1", "v3"], Meta(description="`v1`: Standard Webhooks; `v3`: as WaveSpeed tells a prediction.")
]
SubscribedEvent = Annotated[str, Meta(extra_json_schema={"enum": list(map(str, SUBSCRIBABLE))})]
