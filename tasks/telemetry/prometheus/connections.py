"""Connections to a server: none to where credentials are, whatever a name leads to, and none that is waited on for ever."""

from __future__ import annotations

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from tasks.base.addresses import forbidden
from tasks.base.errors import PreflightError
from tasks.telemetry.prometheus.deadline import hold


def guarded(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """*manager*, each of its connections looked at before it is used, and held by the deadline of a request while a reply is waited for."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def refused(host: str, address: str) -> PreflightError:
    """What to raise where *host* leads to the forbidden *address*."""
    return PreflightError(f"{host} leads to {address}, where no Prometheus is", next_step="give the server's own address")


def _look_at_peer(connection: HTTPConnection) -> None:
    """Refuse a forbidden address before a byte is sent: a name may lead elsewhere than when it was looked up before."""
    if connection.sock is None or connection.proxy is not None:
        return
    address = str(connection.sock.getpeername()[0])
    if forbidden(address):
        connection.close()
        raise refused(connection.host, address)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        """As in the library, to an address that is allowed."""
        super().connect()
        _look_at_peer(self)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in the library
        """The head of the reply, whose time is limited too."""
        hold(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS, which sends nothing secret before the server's certificate is checked."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
