"""Whether the broker that the settings name answers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from orchestrator.cli.finding import Finding
from orchestrator.settings import Settings

_SUBJECT = "Broker"
_TIMEOUT_S = 2.0


def look_at_broker(found: Settings) -> Iterator[Finding]:
    """It carries no job: without it, work starts at the next tick."""
    from redis import Redis
    from redis.exceptions import RedisError

    if not found.redis_url:
        yield Finding.note(_SUBJECT, "private, inside `orchestrator up`")
        return
    where = urlsplit(found.redis_url).hostname or "the socket"
    try:
        with Redis.from_url(
            found.redis_url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S
        ) as broker:
            broker.ping()
    except (RedisError, OSError, ValueError) as error:
        told = f"{where} does not answer ({error}); no job is lost by that, but each starts later"
        yield Finding.wrong(_SUBJECT, told, "see REDIS_URL")
    else:
        yield Finding.ok(_SUBJECT, f"{where} answers")
