"""`orchestrator login`: a link that logs in to the dashboard once, so that nobody has to paste a key."""

from __future__ import annotations

from rich.text import Text

from orchestrator import settings
from orchestrator.cli.client import find_server, open_client
from orchestrator.cli.look import age, now_utc, to_stderr, to_stdout, to_time
from orchestrator.cli.use import Key, Url
from orchestrator.clock import to_rfc3339


def login(*, url: Url = "", key: Key = "") -> None:
    """Print a link to the dashboard that logs you in, once."""
    with open_client(find_server(settings.load(), url=url, key=key)) as client:
        link = client.login_link()
    to_stdout().print(Text(link.url), soft_wrap=True)
    now = to_rfc3339(int(now_utc().timestamp() * 1_000))
    left = age(now, to_time(link.expires_at))
    to_stderr().print(f"It logs in once, within {left}, with all that the key may.")
