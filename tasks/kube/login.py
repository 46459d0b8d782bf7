"""Everything that lets us in to one API server, as values: address, trust, certificate, token."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tasks.base.errors import CredentialsError, PreflightError


@dataclass(frozen=True, slots=True)
class Login:
    """A context of a kubeconfig with its credentials read; nothing secret shows in its text."""

    context: str
    server: str
    """``https://HOST:PORT[/PATH]``, without a slash at the end."""
    again: str
    """What to do when it ended: the command to log in, in words."""
    verify: bool = True
    ca_pem: bytes | None = field(default=None, repr=False)
    """None: the machine's own authorities."""
    cert_pem: bytes | None = field(default=None, repr=False)
    key_pem: bytes | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    """The header's value: ``Bearer ...`` or ``Basic ...``."""
    tls_server_name: str | None = None
    """Name in the server's certificate, where it is not the host."""
    proxy: str | None = field(default=None, repr=False)
    """Address of an HTTP proxy; it may hold a password."""
    expires_s: float | None = None
    """When the credentials end, seconds since 1970; None: not known."""

    @property
    def secure(self) -> bool:
        """Whether it is TLS."""
        return self.server.startswith("https://")

    @property
    def host(self) -> str:
        """The server's host name."""
        return urlsplit(self.server).hostname or ""

    def tls(self) -> ssl.SSLContext | None:
        """
        What the connection is secured with; None where it is plain HTTP.

        Raises:
            PreflightError: The authority's certificate cannot be read.
            CredentialsError: Ours cannot, or it and its key do not belong together.
        """
        if not self.secure:
            return None
        # Not ssl.create_default_context: from Python 3.13 on it refuses authorities as kubeadm and others have made them for years.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._trust(context)
        if self.cert_pem is not None:
            self._present(context, self.cert_pem, self.key_pem or b"")
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif self.ca_pem is None:
            context.load_default_certs()
        else:
            try:
                context.load_verify_locations(cadata=self.ca_pem.decode("ascii"))
            except (ValueError, ssl.SSLError) as error:
                raise PreflightError(
                    f"the certificate authority of context {self.context} is no PEM text", next_step="mend the kubeconfig"
                ) from error

    def _present(self, context: ssl.SSLContext, cert_pem: bytes, key_pem: bytes) -> None:
        """The library reads certificates from files alone: they are there, for us only, while it does."""
        with tempfile.TemporaryDirectory(prefix="tidegauge-") as folder:
            pair = Path(folder, "client.pem")
            pair.touch(0o600)
            pair.write_bytes(cert_pem.rstrip() + b"\n" + key_pem)
            try:
                context.load_cert_chain(pair, password="")
            except (OSError, ssl.SSLError) as error:
                raise CredentialsError(
                    f"the client certificate of context {self.context} and its key cannot be read, or do not belong together",
                    next_step=self.again,
                ) from error
