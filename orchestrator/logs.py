"""Logging: one line per event on stderr, JSON where nobody looks on, never a secret or a full URL."""

from __future__ import annotations

import logging
import sys
import time

import structlog

_AGAIN_AFTER_S = 10.0
_REPEATED = frozenset(
    {"tick.waits", "drain.waits", "work.waits", "batch_step.waits", "action_step.waits", "request.put_off"}
)


class OnceInAWhile:
    """Drops what was said a moment ago: while the database is away, whatever is done or asked waits."""

    def __init__(self) -> None:
        self._said_at: dict[tuple[object, ...], float] = {}

    def __call__(
        self, _logger: object, _level: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Raises DropEvent."""
        what = event["event"], event.get("drain"), event.get("kind")
        if event["event"] not in _REPEATED:
            return event
        now = time.monotonic()
        if now - self._said_at.get(what, -_AGAIN_AFTER_S) < _AGAIN_AFTER_S:
            raise structlog.DropEvent
        self._said_at[what] = now
        return event


def configure(*, level: int = logging.INFO) -> None:
    """For every server process, once, before anything is opened."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(pad_event_to=18)
    telling: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[OnceInAWhile(), *telling, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries say, such as uvicorn of a request that is no HTTP, in the same form.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *telling],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # httpx writes each URL at INFO, and ours carry tokens.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
