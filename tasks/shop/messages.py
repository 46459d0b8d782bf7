"""Reading requests and writing answers, the same way in each service."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

LIMIT_BYTES = 64 * 1024


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """*value* as JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(text.encode(), status, headers, media_type="application/json")


async def raw_body(request: Request) -> bytes:
    """
    The body of *request*.

    Raises:
        HTTPException: 413, it is larger than 64 KiB.
    """
    size = 0
    parts = []
    async for part in request.stream():
        size += len(part)
        if size > LIMIT_BYTES:
            raise HTTPException(413, "the body is larger than 64 KiB")
        parts.append(part)
    return b"".join(parts)


async def json_body(request: Request) -> dict[str, Any]:
    """
    The JSON object in the body of *request*.

    Raises:
        HTTPException: 400, it is not one; 413, it is too large.
    """
    try:
        value = json.loads(await raw_body(request))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return value


async def form_body(request: Request) -> dict[str, str]:
    """
    The fields of the HTML form in the body of *request*, the last value of each.

    Raises:
        HTTPException: 413, it is too large.
    """
    text = (await raw_body(request)).decode(errors="replace")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True, max_num_fields=50).items()}


def text_of(value: dict[str, Any], name: str, *, longest: int = 200) -> str:
    """
    The text *name* of a JSON object.

    Raises:
        HTTPException: 400, it is missing, empty, too long, or no text.
    """
    found = value.get(name)
    if not isinstance(found, str) or not found.strip() or len(found) > longest:
        raise HTTPException(400, f"{name} must be a text of 1 to {longest} characters")
    return found


def number_of(value: dict[str, Any], name: str, low: float, high: float) -> float:
    """
    The number *name* of a JSON object.

    Raises:
        HTTPException: 400, it is missing, no number, or outside *low* to *high*.
    """
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
        raise HTTPException(400, f"{name} must be a number from {low:g} to {high:g}")
    return found
