"""The API server as a collector sees it: GETs and watches over few kept connections, and what its refusals mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tasks.base.errors import CredentialsError
from tasks.base.large_json import parsed
from tasks.telemetry.fetch import ACCEPT, Connection, FetchError, NotOk, Reply, Security
from tasks.telemetry.kube.refusals import JSON, NotLetIn, Trouble, no_login, refused
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.targets import api_server, below
from tasks.telemetry.tls import tls_context
from tasks.telemetry.troubles import word_of

CONNECTIONS = 256
"""So many stand at most for what is asked now and then, and are kept; each watch has one of its own beside them."""


class ApiServer:
    """
    One API server, asked by one event loop.

    Args:
        access: Where it is and as whom we come; the token's file is read anew for each request, certificates when we are not let in.
        limit_bytes: Longest reply, and longest line of a watch.

    Raises:
        DocumentError: Its address is none that may be asked.
        CredentialsError: A certificate cannot be read.
    """

    def __init__(self, access: Access, limit_bytes: int) -> None:
        self.address = api_server(access.url)
        self._access = access
        self._limit = limit_bytes
        self._proxy = None if access.proxy is None else api_server(access.proxy)
        self._security = self._secured()
        self._idle: list[Connection] = []
        self.requests = 0
        self.received_bytes = 0
        self.trouble: Trouble | None = None
        """What was wrong the last time; None: it answered."""

    async def get(self, path: str, accept: str = ACCEPT) -> Reply:
        """
        The reply to *path*.

        Raises:
            FetchError: It answered that who is behind it did not, or that one's own answer is no success.
            Trouble: See there.
        """
        try:
            reply = await self._let_in(path, accept)
        except Trouble as error:
            self.trouble = error
            raise
        except FetchError:
            self.trouble = None
            raise
        self.trouble = None
        return reply

    async def _let_in(self, path: str, accept: str) -> Reply:
        try:
            return await self._asked(path, accept)
        except NotLetIn as error:
            if error.status != 401:
                raise
        self._renew()
        return await self._asked(path, accept)

    async def json(self, path: str) -> dict[str, Any]:
        """
        The JSON object at *path*.

        Raises:
            FetchError, Trouble: See :meth:`get`.
        """
        try:
            value = parsed((await self.get(path, JSON)).body)
        except (ValueError, RecursionError) as error:
            raise Trouble(f"{path} is not answered with JSON") from error
        if not isinstance(value, dict):
            raise Trouble(f"{path} is not answered with an object")
        return value

    async def lines(self, path: str) -> AsyncGenerator[bytes]:
        """
        The lines of the reply to *path*, as they come.

        Raises:
            Trouble: See there; also when the reply is cut off.
        """
        connection = await self._open()
        self.requests += 1
        try:
            async with aclosing(connection.lines(below(self.address, path), self._limit, self._headers(JSON))) as lines:
                async for line in lines:
                    self.received_bytes += len(line)
                    yield line
        except NotOk as error:
            raise refused(error) from error
        except FetchError as error:
            raise Trouble(str(error), word_of(error)) from error
        finally:
            self._give_back(connection)

    async def answers(self, timeout_s: float) -> bool:
        """Whether it answers at all, within *timeout_s*."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.get("/version", JSON)
        except TimeoutError:
            self.trouble = Trouble(f"no answer within {timeout_s:g} s", "timeout")
            return False
        except FetchError as error:
            self.trouble = Trouble(str(error), word_of(error))
            return False
        except Trouble:
            return False
        return True

    def close(self) -> None:
        """Drop what is kept open."""
        while self._idle:
            self._idle.pop().close()

    async def _asked(self, path: str, accept: str) -> Reply:
        target, headers = below(self.address, path), self._headers(accept)
        self.requests += 1
        while True:
            kept = bool(self._idle)
            connection = self._idle.pop() if kept else await self._open()
            try:
                reply = await connection.get(target, self._limit, headers)
            except NotOk as error:
                raise refused(error) from error
            except FetchError as error:
                if kept and not connection.answered:
                    continue  # it was closed while nobody looked
                raise Trouble(f"the API server: {error}", word_of(error)) from error
            finally:
                self._give_back(connection)
            self.received_bytes += len(reply.body)
            return reply

    async def _open(self) -> Connection:
        try:
            return await Connection.open(self.address, self._security)
        except FetchError as error:
            raise Trouble(f"the API server: {error}", word_of(error)) from error

    def _give_back(self, connection: Connection) -> None:
        if connection.reusable and len(self._idle) < CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()

    def _headers(self, accept: str) -> dict[str, str]:
        try:
            return {"Accept": accept, **self._access.headers, **self._access.secret_headers()}
        except CredentialsError as error:
            raise no_login(error) from error

    def _secured(self) -> Security | None:
        if self.address.scheme != "https":
            return None
        return Security(tls_context(self._access), self._access.tls_server_name, self._proxy)

    def _renew(self) -> None:
        """Read certificates anew, and come with them: connections live as long as the login they were opened with."""
        self.close()
        try:
            self._security = self._secured()
        except CredentialsError as error:
            raise no_login(error) from error


class ApiPage:
    """A metrics page behind the API server; its *path* changes when the pod does."""

    def __init__(self, server: ApiServer, path: str) -> None:
        self.path = path
        self._server = server

    async def get(self) -> Reply:
        """Ask once; see :meth:`ApiServer.get`."""
        return await self._server.get(self.path)

    def close(self) -> None:
        """Nothing is kept for it alone."""
