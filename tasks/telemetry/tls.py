"""Who is trusted over TLS, and as whom we come: from the files that an access names."""

from __future__ import annotations

import ssl
from pathlib import Path

from tasks.base.errors import CredentialsError
from tasks.telemetry.prometheus.access import Access


def tls_context(access: Access) -> ssl.SSLContext:
    """
    What a connection to *access* is secured with.

    Raises:
        CredentialsError: A file cannot be read, or is no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=_path(access.ca_file))
        if access.cert_file is not None and access.key_file is not None:
            context.load_cert_chain(str(_path(access.cert_file)), _path(access.key_file))
    except (OSError, ssl.SSLError) as error:
        raise CredentialsError(f"a certificate cannot be read: {error}", next_step="mend ca_file, cert_file or key_file") from error
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _path(name: str | None) -> str | None:
    return None if name is None else str(Path(name).expanduser())
