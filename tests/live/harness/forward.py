"""
``forward.py NETNS LISTEN_PORT HOST:PORT PORT_FILE``: a loopback port of this machine for an address inside a network namespace.

A socket stays in the namespace in which it was made: so it listens first, and enters then. With LISTEN_PORT 0 the kernel
chooses; PORT_FILE gets the number. Run as a program of its own, with nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000


def listening(port: int) -> socket.socket:
    """A socket on loopback."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def enter(netns: str) -> None:
    """Make what this process opens from now on belong to the namespace *netns*."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(netns, os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
    finally:
        os.close(handle)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one to the other, then its end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Forward for ever."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        for end in (writer, far_writer):  # or small messages wait 40 ms for an acknowledgement
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(connected, sock=listener)
    await server.serve_forever()


def main() -> None:
    """Listen, enter, forward."""
    netns, listen_port, target, port_file = sys.argv[1:]
    host, _, port = target.rpartition(":")
    listener = listening(int(listen_port))
    enter(netns)
    part = Path(f"{port_file}.part")
    part.write_text(f"{listener.getsockname()[1]}\n")
    part.rename(port_file)
    asyncio.run(serve(listener, host, int(port)))


if __name__ == "__main__":
    main()
