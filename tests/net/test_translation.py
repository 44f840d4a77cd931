"""Every error that aiohttp has, held against the one question: was the request sent?"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from orchestrator.net.transport import AsHttpxErrors
from orchestrator.providers.exchange import NOT_SENT

KEY = ConnectionKey("api.example", 443, True, True, None, None, None)  # noqa: FBT003 aiohttp's own order
REFUSED = OSError(111, "refused")
REQUEST = aiohttp.RequestInfo(URL("http://h"), "GET", CIMultiDictProxy(CIMultiDict()), URL("http://h"))
ARGUMENTS: list[tuple[type[Exception], tuple[Any, ...]]] = [
    (client_exceptions.UnixClientConnectorError, ("/run/socket", KEY, REFUSED)),
    (aiohttp.ClientConnectorCertificateError, (KEY, ssl.SSLCertVerificationError(1, "expired"))),
    (aiohttp.ClientConnectorError, (KEY, REFUSED)),
    (aiohttp.ServerFingerprintMismatch, (b"", b"", "api.example", 443)),
    (aiohttp.ClientResponseError, (REQUEST, ())),
    (aiohttp.InvalidURL, ("http://[",)),
    (aiohttp.ClientOSError, (104, "reset")),
    (http_exceptions.LineTooLong, (b"x",)),
    (http_exceptions.InvalidHeader, (b"x",)),
    (http_exceptions.BadHttpMessage, ("went wrong",)),
    (http_exceptions.HttpProcessingError, ()),
    (Exception, ("went wrong",)),
]
BEFORE_THE_FIRST_BYTE = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


def descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


FOREIGN: set[type[Exception]] = {
    *descendants(aiohttp.ClientError),
    *descendants(http_exceptions.HttpProcessingError),
    ConnectionResetError,
    TimeoutError,
    RuntimeError,
}


@pytest.mark.parametrize("kind", sorted(FOREIGN, key=str))
def test_no_error_of_aiohttp_escapes(kind: type[Exception]) -> None:
    error = kind(*next(arguments for base, arguments in ARGUMENTS if issubclass(kind, base)))
    with pytest.raises(httpx.TransportError) as caught, AsHttpxErrors():
        raise error
    not_sent = issubclass(kind, (*BEFORE_THE_FIRST_BYTE, aiohttp.NonHttpUrlClientError))
    assert isinstance(caught.value, NOT_SENT) == not_sent
    assert caught.value.__cause__ is error
