"""Requests until they are answered: patience with a busy server, and with a login that has to be renewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tasks.base.clock import Clock
from tasks.base.large_json import parsed
from tasks.kube.access import KubeAccess
from tasks.kube.errors import Forbidden, KubeError, Unavailable, refusal, status_of
from tasks.kube.login import Login
from tasks.kube.patience import NOT_DONE, Patience, retry_after_s
from tasks.kube.renewal import Renewal
from tasks.kube.transport import Line, NoReply, Received, Reply, Request

PATIENCE = Patience()
FRESH_S = 15.0
"""So long after it was away a server may refuse (403) what it allows: it listens before it has read its Roles."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply of status 2xx."""

    status: int
    body: bytes = field(repr=False)

    def value(self) -> dict[str, Any]:
        """
        The JSON object in it.

        Raises:
            Unavailable: It is something else.
        """
        try:
            found = parsed(self.body)
        except (ValueError, RecursionError) as error:
            raise Unavailable("the server's reply is no JSON", status=self.status, next_step="is it an API server?") from error
        if not isinstance(found, dict):
            raise Unavailable("the server's reply is no object", status=self.status, next_step="is it an API server?")
        return found


@dataclass(slots=True)
class _Course:
    """How one request has fared so far."""

    request: Request
    patience: Patience
    begun_s: float
    tries: int = 0
    refusals: int = 0
    """How often the login was refused."""
    refused_s: float = 0.0
    """Since when."""
    perhaps_done: bool = False
    """Whether a try may have been carried out, though its answer was lost."""


class Session:
    """The way to one API server, for any number of threads."""

    def __init__(self, access: KubeAccess, clock: Clock, say: Callable[[str], None]) -> None:
        self.clock = clock
        self._renewal = Renewal(access, clock, say)
        self.requests = 0
        """Requests sent, every try counted."""
        self.received_bytes = 0
        """Length of the bodies read whole."""
        self._away_s: float | None = None
        """When it last gave no reply, on the steady clock."""

    @property
    def login(self) -> Login:
        """The login in use."""
        return self.line.login

    @property
    def line(self) -> Line:
        """The connections in use."""
        return self._renewal.line()

    def renew(self) -> None:
        """Read the kubeconfig anew, and run its credential plugin; what cannot be read leaves the login as it is."""
        self._renewal.reload(self._renewal.line())

    def ask(self, request: Request, patience: Patience = PATIENCE) -> Answer:
        """
        The answer to *request*, after as many tries as patience allows.

        Raises:
            KubeError: The server says no, or there was no usable reply in time.
            CredentialsError: The login ended, and nobody renewed it in time.
            PreflightError: The server's certificate is not trusted.
        """
        return self.persist(request, lambda line: self._counted(line.send(request).received()), patience)

    def stream(self, request: Request, patience: Patience = PATIENCE) -> Reply:
        """The reply to *request* once it begins, its body to be read as it comes; raises like :meth:`ask`."""
        replies: list[Reply] = []

        def begin(line: Line) -> Received:
            replies.append(line.send(request))
            return replies[-1].received() if replies[-1].status >= 400 else Received(replies[-1].status, {}, b"")

        self.persist(request, begin, patience)
        return replies[-1]

    def persist(self, request: Request, act: Callable[[Line], Received], patience: Patience = PATIENCE) -> Answer:
        """
        Do *act* until it gives an answer; raises like :meth:`ask`.

        Args:
            request: What it is about: whether it may be sent again, and what to call it in messages.
            act: Sends it once; its own errors but :class:`NoReply` go through.
            patience: How long to try.
        """
        course = _Course(request, patience, self.clock.monotonic_s())
        while True:
            line, course.tries = self.line, course.tries + 1
            self.requests += 1
            try:
                found = act(line)
            except NoReply as error:
                course.perhaps_done |= error.sent
                self._away_s = self.clock.monotonic_s()
                self._wait(course, error.said, None, again=request.repeatable or not error.sent)
                continue
            if found.status == 401 and _of_the_api(request, found.body):
                self._renew(course, line)
                continue
            self._renewal.accepted()
            if found.status < 400:
                return Answer(found.status, found.body)
            self._refused(course, found)

    def _renew(self, course: _Course, line: Line) -> None:
        """Come back with another login, or for another look at this one; the time for that is no time of the request."""
        if course.refusals == 0:
            course.refused_s = self.clock.monotonic_s()
        course.refusals += 1
        self._renewal.refused(line, course.refusals, course.refused_s)
        course.begun_s = self.clock.monotonic_s()

    def _counted(self, found: Received) -> Received:
        self.received_bytes += len(found.body)
        return found

    def _refused(self, course: _Course, found: Received) -> None:
        """Wait where it may pass, raise where it will not."""
        request, error = course.request, refusal(found.status, found.body, str(course.request))
        unread = isinstance(error, Forbidden) and self._fresh()
        if not (isinstance(error, Unavailable) or unread) or not _of_the_api(request, found.body):
            error.done_before = course.perhaps_done
            raise error
        course.perhaps_done |= found.status not in NOT_DONE and not unread
        asked_s = retry_after_s(found.headers, self.clock.wall_s())
        again = request.repeatable or found.status in NOT_DONE or asked_s is not None or unread
        self._wait(course, error.message, asked_s, again=again, error=error)

    def _fresh(self) -> bool:
        """Whether the server may just have come back."""
        return self._away_s is not None and self.clock.monotonic_s() - self._away_s < FRESH_S

    def _wait(self, course: _Course, why: str, asked_s: float | None, *, again: bool, error: KubeError | None = None) -> None:
        """Wait for the next try, or raise that there is none."""
        spent_s = self.clock.monotonic_s() - course.begun_s
        wait_s = course.patience.wait_s(course.tries, spent_s, asked_s) if again else None
        if wait_s is not None:
            self.clock.sleep(wait_s)
            return
        status, reason = (None, "") if error is None else (error.status, error.reason)
        raise Unavailable(
            f"{course.request}: no usable reply from {self.login.server} in {course.tries} tries and {spent_s:.0f} s: {why}"
            + ("" if asked_s is None else f"; it asks for another {asked_s:.0f} s")
            + ("" if again else "; whether it was done is not known"),
            status=status,
            reason=reason,
            next_step="see whether `kubectl get --raw /readyz` answers, then run the same command again",
        )


def _of_the_api(request: Request, body: bytes) -> bool:
    """Whether an error is the API server's own: what it passes on through a proxy path is another server's."""
    return "/proxy/" not in f"{request.path}/" or bool(status_of(body))
