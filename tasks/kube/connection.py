"""What another process needs to reach the API server, without the Kubernetes client: an address and private files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tasks.base.errors import DocumentError, PreflightError
from tasks.base.files import storage_error
from tasks.kube.login import Login


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server; what is secret stands in files that only we can read, never in this record."""

    server: str
    """``https://HOST:PORT[/PATH]``."""
    ca_file: str | None = None
    """None: the machine's own authorities."""
    cert_file: str | None = None
    key_file: str | None = None
    token_file: str | None = None
    """Holds a bearer token; read it anew for each request, since it is rewritten when the login is renewed."""
    tls_server_name: str | None = None
    """Name in the server's certificate, where it is not the host."""
    proxy: str | None = None
    """Address of an HTTP proxy."""
    verify: bool = True
    """Whether the server's certificate is checked; False only where the document allows it."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; nothing secret is in it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            DocumentError: It is something else.
        """
        try:
            return cls(**value)
        except TypeError as error:
            raise DocumentError(f"not a connection to an API server: {error}") from error


def hand_over(login: Login, folder: Path) -> Connection:
    """
    Write what is secret of *login* into private files in *folder*, each replaced in one step; anew whenever the login is.

    Raises:
        PreflightError: It rests on a password, which no other process gets.
        StorageError: A file cannot be written.
    """
    scheme, _, token = (login.authorization or "").partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise PreflightError(f"context {login.context} logs in with a password", next_step="use a context with a token or a certificate")
    if login.proxy is not None and urlsplit(login.proxy).username is not None:
        raise PreflightError(f"the proxy of context {login.context} wants a password", next_step="use a proxy without, or none")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Connection(
        server=login.server,
        ca_file=_kept(folder / "ca.crt", login.ca_pem),
        cert_file=_kept(folder / "client.crt", login.cert_pem),
        key_file=_kept(folder / "client.key", login.key_pem),
        token_file=_kept(folder / "token", token.encode() or None),
        tls_server_name=login.tls_server_name,
        proxy=login.proxy,
        verify=login.verify,
    )


def _kept(path: Path, content: bytes | None) -> str | None:
    """Make *content* that of the file at *path*, for our eyes only; no file for None."""
    if content is None:
        path.unlink(missing_ok=True)
        return None
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path) from error
    return str(path)
