"""A test's server ends without leaving a connection behind, whenever the connection came."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest

from tests.accepting import stop_accepting


@pytest.mark.parametrize("passes", range(4))
async def test_a_connection_that_comes_while_its_server_ends_is_not_forgotten(passes: int) -> None:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    signal, waker = socket.socketpair()
    woken = loop.create_future()
    loop.add_reader(signal, woken.set_result, None)
    # The loop finds both at once: this test is woken, and the connection is accepted after it.
    waker.send(b"x")
    client = socket.create_connection(server.sockets[0].getsockname())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await woken
        loop.remove_reader(signal)
        for _ in range(passes):
            await asyncio.sleep(0)
        await stop_accepting(server.sockets)
        server.close()
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()
    for end in (signal, waker, client):
        end.close()
