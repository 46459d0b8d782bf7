"""A certificate authority of one test, with a server's certificate for loopback and a client's."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BEGIN = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


class Authority:
    """Makes its certificates once."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        ca = self._certificate("a test's authority", self._key, authority=True)
        self.ca_pem = ca.public_bytes(serialization.Encoding.PEM)

    @property
    def ca_base64(self) -> str:
        """As a kubeconfig holds it."""
        return base64.b64encode(self.ca_pem).decode()

    def issue(self, common: str) -> tuple[bytes, bytes]:
        """A certificate and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._certificate(common, key).public_bytes(serialization.Encoding.PEM), _key_pem(key)

    def user(self) -> dict[str, str]:
        """A kubeconfig's user with a client certificate."""
        cert, key = self.issue("a test's user")
        return {"client-certificate-data": base64.b64encode(cert).decode(), "client-key-data": base64.b64encode(key).decode()}

    def server_context(self) -> ssl.SSLContext:
        """For a server on loopback that takes client certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=self.ca_pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder, "pair.pem")
            pair.write_bytes(b"".join(self.issue("localhost")))
            context.load_cert_chain(pair)
        return context

    def _certificate(self, common: str, key: ec.EllipticCurvePrivateKey, *, authority: bool = False) -> x509.Certificate:
        loopback = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(_name(common))
            .issuer_name(_name("a test's authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(END)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(loopback), critical=False)
            .sign(self._key, hashes.SHA256())
        )
