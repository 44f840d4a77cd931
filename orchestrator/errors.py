"""Every error of ours, drawn as a tree and cut by what the caller does about it.

    OrchestratorError
    ├── Refused                 the client must change the request; `status` is the HTTP answer
    │   ├── InvalidInput        400, names the field
    │   ├── Unauthorized        401
    │   ├── Forbidden           403
    │   ├── NotFound            404
    │   ├── Conflict            409
    │   │   ├── BeingSent       409, and the same request may be answered a moment later
    │   │   ├── KeyUsed         409, the Idempotency-Key stands for another request
    │   │   └── KeyOutlived     409, or for what is there no more
    │   ├── BadLines            400, names every bad line of a batch
    │   ├── TooSlow             408, the body took too long
    │   ├── TooLarge            413
    │   ├── TooMany             429, the tenant has as much stored as it may
    │   │   ├── TooManyStreams  429, as many streams of events are open as may be
    │   │   └── TooManyUploads  429, as many files are being passed on as may be
    │   └── UnsupportedBody     415
    ├── Busy                    503, the same request may succeed a moment later
    ├── ProviderTrouble         the provider did not give what was asked of it; passed on as a 5xx or 4xx
    └── Misconfigured           the operator must change a setting; told at start, never to a client

The text of an error is the client's sentence. `cause` is for the operator's log only.
"""

from __future__ import annotations

from typing import Any


class OrchestratorError(Exception):
    """Something went wrong."""

    status = 500

    def __init__(self, message: str = "", *, cause: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])
        self.cause = cause

    @property
    def in_full(self) -> str:
        """The sentence with its cause, for the operator's log."""
        return f"{self} ({self.cause})" if self.cause else str(self)


class Refused(OrchestratorError):
    """The request cannot be served as it is."""

    status = 400


class InvalidInput(Refused):
    """A field of the request has a wrong value."""

    def __init__(self, field: str, message: str, *, cause: str = "") -> None:
        """`field` is the path of the value, such as `size` or `loras[2].path`; empty for the body itself."""
        super().__init__(f"{field}: {message}" if field else message, cause=cause)
        self.field = field


class Unauthorized(Refused):
    """The API key is missing, unknown, expired or revoked."""

    status = 401


class Forbidden(Refused):
    """This API key may not do that."""

    status = 403


class NotFound(Refused):
    """There is no such object."""

    status = 404


class Conflict(Refused):
    """The object's state does not allow that."""

    status = 409


class BeingSent(Conflict):
    """Another request is sending this batch right now."""


class KeyUsed(Conflict):
    """The Idempotency-Key stands for another request."""

    def __init__(self, *, made: str = "") -> None:
        """`made` names what that request has made, where the client may want to look after it."""
        which = f", {made}" if made else ""
        super().__init__(f"Idempotency-Key: this key was used before, for another request{which}.")


class KeyOutlived(Conflict):
    """Idempotency-Key: what this key stands for was removed."""


class BadLines(Refused):
    """Some lines of the batch are wrong."""

    def __init__(self, message: str, errors: list[dict[str, Any]]) -> None:
        """`errors` has `line`, `custom_id`, `field` and `message` of each bad line, in order."""
        super().__init__(message)
        self.errors = errors


class TooMany(Refused):
    """This tenant has as many jobs stored as it may; send more when some have ended."""

    status = 429


class TooManyStreams(TooMany):
    """As many streams of events are open as this tenant or this server may have; close one first."""


class TooManyUploads(TooMany):
    """As many files are being uploaded as this tenant or this server may pass on; try again later."""


class TooLarge(Refused):
    """The request body is too large."""

    status = 413


class TooSlow(Refused):
    """The request's body did not come in time."""

    status = 408


class UnsupportedBody(Refused):
    """The request body's encoding is not supported."""

    status = 415


class Busy(OrchestratorError):
    """The service cannot take this right now; try again in a moment."""

    status = 503


class ProviderTrouble(OrchestratorError):
    """The provider could not be asked."""

    def __init__(self, message: str = "", *, status: int = 502, cause: str = "") -> None:
        super().__init__(message, cause=cause)
        self.status = status


class Misconfigured(OrchestratorError):
    """A setting is wrong."""
