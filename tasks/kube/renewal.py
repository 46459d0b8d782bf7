"""A login that ends while we work: reloaded once, then waited for, with the command to log in said."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tasks.base.clock import Clock
from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.kubeconfig import read_login
from tasks.kube.transport import Line

EARLY_S = 60.0
"""A login that says when it ends is renewed so long before."""
POLL_S = 5.0
"""While we wait for somebody to log in, the kubeconfig is read, and its credential plugin run, this often."""


class Renewal:
    """The connections of the newest login, shared by threads."""

    def __init__(self, access: KubeAccess, clock: Clock, say: Callable[[str], None]) -> None:
        self._access = access
        self._clock = clock
        self._say = say
        self._lock = threading.Lock()
        self._told = False
        self._given_up = False
        """Whether the time for somebody to log in is over: it is waited for once, not once for each request that follows."""
        self._failed: str | None = None
        """Why the login could not be read anew the last time."""
        self._looked_s = float("-inf")
        self._line = self._first()

    def _first(self) -> Line:
        """The connections to begin with; somebody may have to log in before there are any."""
        begun_s = self._clock.monotonic_s()
        while True:
            try:
                return Line(read_login(self._access))
            except CredentialsError as error:
                self._pause(error.message, error.next_step or "", begun_s)

    def line(self) -> Line:
        """The connections to use now; renewed first when the login says that it is about to end."""
        line, ends_s, now_s = self._line, self._line.login.expires_s, self._clock.wall_s()
        if ends_s is not None and ends_s - EARLY_S < now_s and now_s - self._looked_s >= POLL_S:
            self._looked_s = now_s
            self.reload(line)  # where that gives nothing newer, the old one may still hold: the server's word counts
        return self._line

    def reload(self, used: Line) -> None:
        """Read the login anew, unless another thread has replaced *used* already; where it cannot be read, it stays as it is."""
        with self._lock:
            if self._line is not used:
                return
            try:
                self._line, self._failed = Line(read_login(self._access)), None
            except (CredentialsError, PreflightError) as error:
                self._failed = error.message

    def refused(self, used: Line, times: int, since_s: float) -> None:
        """
        Come back with another login than *used*, or in time for another look at it.

        Args:
            used: What the server answered 401 to.
            times: How often it did for this request, from 1.
            since_s: Monotonic time of the first.

        Raises:
            CredentialsError: Nobody logged in within the time that the access allows.
        """
        if times > 1:
            why = "" if self._failed is None else f": {self._failed}"
            self._pause(f"the login of context {used.login.context} is not valid (any more){why}", used.login.again, since_s)
        self.reload(used)

    def _pause(self, what: str, again: str, since_s: float) -> None:
        """Wait a little for somebody to log in; once, say how."""
        patience_s = self._access.auth_wait_s
        if self._given_up or self._clock.monotonic_s() - since_s >= patience_s:
            self._given_up = True
            raise CredentialsError(f"{what}; waited {patience_s:.0f} s" if patience_s else what, next_step=again)
        if not self._told:
            self._told = True
            self._say(f"{what}; waiting up to {patience_s:.0f} s: {again}")
        self._clock.sleep(min(POLL_S, patience_s))

    def accepted(self) -> None:
        """The server took the login: the next end of it is told, and waited for, again."""
        self._told = self._given_up = False
