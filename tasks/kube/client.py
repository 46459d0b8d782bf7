"""
The one way to the Kubernetes API: objects are dicts as the API shows them, questions are paths.

``Kube.connect(KubeAccess(context="kind-demo")).items("/api/v1/namespaces/shop/pods", labels="app=carts")``
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import PreflightError
from tasks.kube import questions
from tasks.kube.access import KubeAccess
from tasks.kube.connection import Connection, hand_over
from tasks.kube.discovery import Discovery
from tasks.kube.errors import NotFound, Unavailable
from tasks.kube.execution import Executed, execute
from tasks.kube.paging import PAGE, listed
from tasks.kube.patience import Patience
from tasks.kube.permission import Permission, needed
from tasks.kube.refs import ObjectRef
from tasks.kube.safety import check_namespace, check_writable
from tasks.kube.session import Answer, Session
from tasks.kube.transport import NoReply, Request
from tasks.kube.watching import WatchEvent, watched

CONNECT_PATIENCE_S = 5.0


class Kube:
    """
    One API server under one login; any number of threads may share it.

    Whatever asks the server raises :class:`tasks.kube.errors.KubeError` when it says no or gives no usable reply in time, and
    :class:`tasks.base.errors.CredentialsError` when the login ended and nobody renewed it in time; what writes, also
    :class:`tasks.base.errors.DocumentError` for a namespace that is never written to.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._discovery = Discovery(self.get)
        self.used: set[Permission] = set()
        """Every right that a request needed so far; what everybody may do (discovery, reviews of oneself) is not in it."""

    @classmethod
    def connect(cls, access: KubeAccess, *, clock: Clock | None = None, say: Callable[[str], None] = lambda _: None) -> Self:
        """
        Log in, and see that the server answers.

        Args:
            access: Which context of which kubeconfig.
            clock: The machine's own when None.
            say: Told, a sentence each, what somebody has to do while we wait.

        Raises:
            PreflightError: No such file or context, certificate not trusted, or nobody answers.
            CredentialsError: The login is missing or not valid.
        """
        kube = cls(Session(access, clock or SystemClock(), say))
        try:
            kube._session.ask(Request("GET", "/version"), Patience(CONNECT_PATIENCE_S))
        except Unavailable as error:
            raise PreflightError(
                f"the API server of context {kube.context} does not answer: {error.message}",
                next_step="see whether the cluster runs, and whether `server` in the kubeconfig is its address",
            ) from error
        return kube

    @property
    def context(self) -> str:
        """Name of the context."""
        return self._session.login.context

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._session.login.server

    @property
    def requests(self) -> int:
        """Requests sent so far, every try counted."""
        return self._session.requests

    @property
    def received_bytes(self) -> int:
        """Length of the replies that were read whole, unpacked; watches and logs are not in it."""
        return self._session.received_bytes

    def version(self) -> str:
        """The server's ``v1.36.3``."""
        return str(self.get("/version").get("gitVersion", "?"))

    # -- reading ---------------------------------------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at *path*."""
        return self._ask(Request("GET", path, query or {})).value()

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """What stands at *path*, such as ``/api/v1/nodes/NAME/proxy/metrics/cadvisor``."""
        return self._ask(Request("GET", path, query or {})).body.decode("utf-8", "replace")

    def items(self, path: str, *, labels: str = "", fields: str = "", page: int = PAGE) -> Iterator[dict[str, Any]]:
        """
        The objects of a collection, each once; one page is in memory at a time.

        Where the server forgot the list's state meanwhile (410), it is begun anew: an object that changed in between is shown
        as it was.
        """
        return listed(lambda query: self.get(path, query), labels=labels, fields=fields, page=page)

    def find(self, ref: ObjectRef) -> dict[str, Any] | None:
        """The object *ref*; None when there is none."""
        try:
            return self.get(self.path_of(ref))
        except NotFound:
            return None

    def watch(self, path: str, *, labels: str = "", stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """
        First every object of a collection as ADDED, then each change, until *stop* says so.

        Nothing is missed or told twice when the connection fails (:mod:`tasks.kube.watching`), and that the server is away for
        a while is no reason to end.
        """
        self._note("GET", path)
        self._note("GET", path, watch=True)
        return watched(self._session, path, labels=labels, stop=stop)

    def log(
        self, namespace: str, pod: str, container: str, *, since_s: float | None = None, follow: bool = False, timestamps: bool = False
    ) -> Iterator[bytes]:
        """
        The lines of a container's log, without their ends.

        Args:
            namespace: Of the pod.
            pod: Its name.
            container: One of its containers.
            since_s: Only what was said in the last so many seconds (at least one); None: all that is kept.
            follow: Go on with what is said from now on, until the container ends, the connection is cut, or
                nothing was said for five minutes: ask again then.
            timestamps: Begin each line with its time (RFC 3339).
        """
        request = questions.log_request(namespace, pod, container, since_s, follow=follow, timestamps=timestamps)
        self._note(request.method, request.path)
        reply = self._session.stream(request)
        try:
            yield from reply.lines()
        except NoReply:
            return
        finally:
            reply.close()

    # -- writing ---------------------------------------------------------------------------------------------------------------

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Make it so (server-side apply; fields of others are taken over); the object as it is now."""
        ref = _writable(ObjectRef.of(manifest))
        return self._written(questions.apply_request(self.path_of(ref), manifest, dry_run=dry_run))

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Make a new object; :class:`tasks.kube.errors.Conflict` when there is one of its name."""
        ref = _writable(ObjectRef.of(manifest))
        return self._written(questions.create_request(self._discovery.collection(ref), manifest, dry_run=dry_run))

    def patch(
        self, ref: ObjectRef, body: Any, *, subresource: str = "", how: questions.How = "merge", dry_run: bool = False
    ) -> dict[str, Any]:
        """Change a part of an object, or of its *subresource* (``scale``, ``resize``, ``status``)."""
        path = self.path_of(_writable(ref)) + (f"/{subresource}" if subresource else "")
        return self._written(questions.patch_request(path, body, how, dry_run=dry_run))

    def delete(self, ref: ObjectRef, *, grace_s: float | None = None, propagation: str = "Background", dry_run: bool = False) -> bool:
        """
        Remove an object; False: it was not there. It may linger (finalizers, grace): look whether it is gone.

        Args:
            ref: Which.
            grace_s: Seconds that a pod gets to end; None: its own; 0: none.
            propagation: ``Background``, ``Foreground`` or ``Orphan``: what becomes of what it owns.
            dry_run: Only ask whether it could be done.
        """
        path = self.path_of(_writable(ref))
        try:
            self._ask(questions.delete_request(path, grace_s, propagation, dry_run=dry_run))
        except NotFound as error:
            return error.done_before
        return True

    def execute(self, namespace: str, pod: str, container: str, argv: Sequence[str], *, timeout_s: float) -> Executed:
        """Run a program in a container and wait for its end, at most *timeout_s*; it goes on then: give it an end of its own."""
        check_namespace(namespace)
        request = questions.exec_request(namespace, pod, container, argv)
        self._note("GET", request.path)
        self._note("POST", request.path)  # newer servers ask for both rights, whatever the method
        return execute(self._session, request, timeout_s=timeout_s)

    # -- about the server ----------------------------------------------------------------------------------------------------

    def allowed(self, permission: Permission) -> bool:
        """Whether this login has that right, by the server's own word."""
        status = self._session.ask(questions.review_request(permission)).value().get("status")
        return isinstance(status, dict) and status.get("allowed") is True

    def path_of(self, ref: ObjectRef) -> str:
        """
        The REST path of *ref*, by the server's own list of kinds (asked once).

        Raises:
            NotFound: It knows no such kind.
            Invalid: The namespace is missing.
        """
        return self._discovery.path(ref)

    def connection(self, folder: Path, *, anew: bool = False) -> Connection:
        """
        What another process needs to reach the server, its secrets in private files in *folder*.

        Called again, it rewrites those files in place: now and then, and with *anew* (the kubeconfig is read again, its
        credential plugin run) when the other process was answered 401.

        Raises:
            PreflightError: The login rests on a password, which no other process gets.
            StorageError: A file cannot be written.
        """
        if anew:
            self._session.renew()
        return hand_over(self._session.login, folder)

    # -- inside --------------------------------------------------------------------------------------------------------------

    def _written(self, request: Request) -> dict[str, Any]:
        answer = self._ask(request)
        if answer.status == 201:  # an apply that makes a new object needs that right as well
            self._note("POST", request.path.rpartition("/")[0] if request.method == "PATCH" else request.path)
        return answer.value()

    def _ask(self, request: Request) -> Answer:
        self._note(request.method, request.path)
        return self._session.ask(request)

    def _note(self, method: str, path: str, *, watch: bool = False) -> None:
        permission = needed(method, path, watch=watch)
        if permission is not None:
            self.used.add(permission)


def _writable(ref: ObjectRef) -> ObjectRef:
    check_writable(ref)
    return ref
