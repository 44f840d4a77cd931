"""Server-Sent Events as a client reads them: comes again after each cut, with the id of what it saw last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.cli.client import Client
from orchestrator.cli.failures import CommandFailed
from orchestrator.cli.passing import may_pass

_FIRST_PAUSE_S, _PAUSE_GROWTH, _LONGEST_PAUSE_S = 0.2, 1.5, 5.0


@dataclass(frozen=True)
class Message:
    """One event; `name` is empty where only the id has moved on, or the server said that it lives."""

    id: str
    name: str
    data: bytes


def follow_events(
    client: Client,
    path: str,
    params: Mapping[str, str],
    *,
    is_over: Callable[[], bool],
    on_cut: Callable[[str], None],
) -> Iterator[Message]:
    """Every message once and in order, however often the connection is cut; `on_cut` gets the reason once.

    When the server ends the stream, `is_over` says whether that was all. Raises what the first try raises:
    later on, a server that went away is waited for.
    """
    last_id, pause_s = "", 0.0
    while True:
        headers = {"last-event-id": last_id} if last_id else {}
        try:
            for message in parse(client.stream(path, params=dict(params), headers=headers)):
                last_id, pause_s = message.id or last_id, 0.0
                yield message
            if is_over():
                return
            because = "the server ended the stream"
        except CommandFailed as failure:
            if not last_id or not may_pass(failure):
                raise
            because = str(failure)
        if not pause_s:
            on_cut(because)
        pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, pause_s * _PAUSE_GROWTH))
        time.sleep(pause_s)


def parse(lines: Iterable[bytes]) -> Iterator[Message]:
    """The messages of one stream, as the HTML standard has them; one that is cut short is left out."""
    last_id, name, data = "", "", list[bytes]()
    for raw in lines:
        line = raw.rstrip(b"\r")
        if not line:
            yield Message(last_id, name, b"\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"id":
            last_id = value.decode()
        elif field == b"event":
            name = value.decode()
        elif field == b"data":
            data.append(value)
