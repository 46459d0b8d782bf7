"""Who a browser is: a signed cookie, so that no session is lost when the front-end starts again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "md.sid"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's basket, and its customer once logged in."""

    cart: str
    customer: str | None = None
    name: str | None = None


class Sessions:
    """Reads and writes the cookie, signed with a key that lies in the data folder."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self, request: Request) -> Session | None:
        """The session of *request*; None when it has none or the signature is wrong."""
        payload, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if not payload or not hmac.compare_digest(signature.encode(), self._sign(payload)):
            return None
        return Session(**json.loads(base64.urlsafe_b64decode(payload)))

    def write(self, response: Response, session: Session) -> None:
        """Set the cookie; scripts cannot read it, and other sites' forms do not send it."""
        text = json.dumps({"cart": session.cart, "customer": session.customer, "name": session.name})
        payload = base64.urlsafe_b64encode(text.encode()).decode()
        response.set_cookie(COOKIE, f"{payload}.{self._sign(payload).decode()}", httponly=True, samesite="lax")

    def forget(self, response: Response) -> None:
        """Remove the cookie."""
        response.delete_cookie(COOKIE)

    def _sign(self, payload: str) -> bytes:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest().encode()


def open_sessions(folder: Path) -> Sessions:
    """Sessions signed with the key in *folder*, made when there is none."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "session.key"
    if not path.exists():
        temporary = folder / "session.key.new"
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        temporary.rename(path)
    return Sessions(path.read_bytes())


def new_cart() -> str:
    """A basket's name that nobody guesses."""
    return secrets.token_hex(16)
