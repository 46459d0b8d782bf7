"""A certificate authority for tests: certificates of this machine, expired ones, and those of clients; made anew, nothing is kept."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Files of a certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates; its own is in the file :attr:`ca`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._begun(self._subject, self._key, DAY).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(**{**dict.fromkeys(_USAGES, False), "key_cert_sign": True, "crl_sign": True})
        self.ca = self._written(name, own.add_extension(usage, critical=True).sign(self._key, hashes.SHA256()), self._key).cert

    def server(self, *hosts: str, valid: dt.timedelta = DAY) -> Pair:
        """A certificate of a server under *hosts*; *valid* is how long from now, and may be negative."""
        names = [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
        return self._signed(f"server {' '.join(hosts)} {valid.days}", names, ExtendedKeyUsageOID.SERVER_AUTH, valid)

    def client(self, name: str, valid: dt.timedelta = DAY) -> Pair:
        """A certificate of a client."""
        return self._signed(f"client {name} {valid.days}", [x509.DNSName(name)], ExtendedKeyUsageOID.CLIENT_AUTH, valid)

    def _signed(self, name: str, names: Sequence[x509.GeneralName], usage: x509.ObjectIdentifier, valid: dt.timedelta) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        request = self._begun(subject, key, valid).add_extension(x509.SubjectAlternativeName(names), critical=False)
        request = request.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return self._written(f"{self._name} {name}", request.sign(self._key, hashes.SHA256()), key)

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, valid: dt.timedelta) -> x509.CertificateBuilder:
        end = dt.datetime.now(dt.UTC) + valid
        begun = x509.CertificateBuilder().subject_name(subject).issuer_name(self._subject).public_key(key.public_key())
        begun = (
            begun.serial_number(x509.random_serial_number()).not_valid_before(min(end, dt.datetime.now(dt.UTC)) - DAY).not_valid_after(end)
        )
        begun = begun.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        return begun.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)

    def _written(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
        stem = name.replace(" ", "-")
        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return pair


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
