"""Why a command ends early; each is told as one sentence on stderr, and sets the exit code.

CommandFailed     1   it did not work out
├── BadSource     2   a file or folder is not what the command takes
├── BadPlace      2   what is made could not be saved there
├── Declined      1   the server said no: `status` and, where there is one, the `field` at fault
├── NoUrl         2   what was given for a server's address is none
├── NoServer      2   nothing answers at this address
├── NoAnswer      1   something answers, but not in time or not in our language
└── KeyRefused    2   the API key is not one of this server's
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.answers import BadLine

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells know it."""


class CommandFailed(Exception):
    """The command could not do what was asked."""

    exit_code = 1


class BadSource(CommandFailed):
    """What was to be sent cannot be read, or cannot be meant."""

    exit_code = 2


class BadPlace(CommandFailed):
    """Files cannot be written there; told before anything is paid that would have to be."""

    exit_code = 2

    def __init__(self, place: Path, error: OSError) -> None:
        super().__init__(f"{place}: nothing can be saved there ({error.strerror}).")


class Declined(CommandFailed):
    """The server refused the request; its own sentence says why.

    `errors` has the wrong lines of a batch, and `retry_after_s` the pause that a busy server asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        field: str | None = None,
        errors: Sequence[BadLine] = (),
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.errors = errors
        self.retry_after_s = retry_after_s


def without_login(url: str) -> str:
    """What may be shown of an address, also of a wrong one: not the user and password before its host."""
    return re.sub(r"^([^/]*//)?.*@", r"\1", url, flags=re.DOTALL)


class NoUrl(CommandFailed):
    """No address of a server."""

    exit_code = 2

    def __init__(self, given: str) -> None:
        super().__init__(
            f"{without_login(given)!r} is no address of a server, such as http://127.0.0.1:8080."
        )


class NoServer(CommandFailed):
    """Nothing listens there."""

    exit_code = 2

    def __init__(self, url: str) -> None:
        super().__init__(f"No server answers at {url}: start one with `orchestrator up`.")


class NoAnswer(CommandFailed):
    """The answer did not come, or could not be read."""


class KeyRefused(CommandFailed):
    """401."""

    exit_code = 2

    def __init__(self, *, url: str, shown: str, key_from: str) -> None:
        if not shown:
            super().__init__(f"The server at {url} wants an API key, and there is none in {key_from}.")
            return
        super().__init__(
            f"The server at {url} does not know the API key. Used was the key {shown} from {key_from};"
            " give another with --key or ORCHESTRATOR_API_KEY."
        )
