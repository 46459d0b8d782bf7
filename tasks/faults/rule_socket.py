"""Talking to the fault proxy from outside: one question, one answer, a deadline."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.faults.rules import Rule


class ProxyAbsent(Exception):
    """Nobody listens on the socket: there is no proxy, so there is no rule either."""


class ProxySilent(Exception):
    """The proxy is there and does not answer, or refuses."""


@dataclass(frozen=True, slots=True)
class RuleSocket:
    """The socket of a proxy; every call ends within *timeout_s*."""

    path: Path
    timeout_s: float = 2.0

    def set(self, service: str, rule: Rule) -> None:
        """Put *rule* in force for *service*, in place of any other."""
        self._ask({"do": "set", "service": service, "rule": rule.to_json()})

    def clear(self, service: str, fault: str | None = None) -> None:
        """End the rule of *service* (only that of *fault*, when given); held requests go on at once."""
        self._ask({"do": "clear", "service": service, "fault": fault})

    def services(self) -> dict[str, dict[str, Any]]:
        """By service: ``port``, ``upstream_port``, ``rule`` (or None) and the counters."""
        found: dict[str, dict[str, Any]] = self._ask({"do": "status"})["services"]
        return found

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Send one request.

        Raises:
            ProxyAbsent: Nobody listens.
            ProxySilent: No answer within the timeout, or a refusal.
        """
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(self.timeout_s)
                line.connect(str(self.path))
                line.sendall(json.dumps(request).encode() + b"\n")
                with line.makefile("rb") as answers:
                    reply = json.loads(answers.readline() or b"null")
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ProxyAbsent(f"no proxy listens on {self.path}") from error
        except (OSError, ValueError) as error:
            raise ProxySilent(f"the proxy on {self.path} does not answer: {error}") from error
        if not isinstance(reply, dict) or not reply.get("ok"):
            raise ProxySilent(f"the proxy refused: {reply.get('error') if isinstance(reply, dict) else reply!r}")
        return reply
