"""
An API server in memory, spoken to over real HTTP or TLS on loopback: objects, watches, rights, and troubles on demand.

>>> with FakeApi(namespaces=("shop",)) as api:
...     kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))))
...     api.fail_next(503, times=3, retry_after="1")
...     kube.apply(manifest)
...     assert api.object("Deployment", "carts", "shop")["spec"]["replicas"] == 1
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.kube.answers import Listener
from tests.kube.certificates import Authority
from tests.kube.kinds import Kind, plural_of, usual_kinds
from tests.kube.objects import Objects
from tests.kube.programs import Ended, Program, Started
from tests.kube.server import Handler
from tests.kube.trouble import Act, Cut, Fail, Plan, Seen, Stall

VERSION = "v1.36.3"


class FakeApi:
    """
    Start it, look at it and change it from the test; nothing here asks the code under test.

    Args:
        namespaces: Those that are there from the start, besides ``default`` and ``kube-system``.
        tls: Speak TLS, with an authority of its own.
        bearer: The token that lets in; None: everybody may.
    """

    def __init__(self, namespaces: Iterable[str] = ("shop",), *, tls: bool = False, bearer: str | None = "first") -> None:
        self.objects = Objects()
        self.kinds = usual_kinds()
        self.plan = Plan()
        self.bearer = bearer
        """Set it to another one, and the logins of before are answered 401."""
        self.requests: list[Seen] = []
        self.granted: list[dict[str, Any]] | None = None
        """Role documents that are all one may do; None: everything is allowed."""
        self.run: Program = lambda started: Ended(0)
        """What a program in a container does."""
        self.started: list[Started] = []
        self.texts: dict[str, str | Callable[[Seen], str]] = {}
        """Path -> what stands there: metrics, what a proxy path leads to."""
        self.logs: dict[tuple[str, str, str], list[bytes]] = {}
        """Namespace, pod, container -> lines; a followed log goes on with what is appended."""
        self.gone_as: Literal["event", "status"] = "event"
        """How a watch of a forgotten version is refused: a real server does it either way."""
        self.stopping = threading.Event()
        self.watches_cut = 0
        self.watches_ended = 0
        self.watches_silent = 0
        self._authority = Authority() if tls else None
        self._server: Listener | None = None
        for name in ("default", "kube-system", *namespaces):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # -- life ------------------------------------------------------------------------------------------------------------------

    def start(self, port: int = 0) -> Self:
        """Listen on loopback; on *port* to come back where it was before."""
        self.stopping.clear()
        server = Listener(("127.0.0.1", port), Handler)
        server.api = self
        if self._authority is not None:
            server.socket = self._authority.server_context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server, self._port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="fake api", daemon=True).start()
        return self

    def stop(self) -> None:
        """End, with every connection; what is stored stays, and :meth:`start` goes on with it."""
        self.stopping.set()
        with self.objects.changed:
            self.objects.changed.notify_all()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """Its address."""
        return f"http{'s' if self._authority else ''}://127.0.0.1:{self.port}"

    # -- how clients come in ---------------------------------------------------------------------------------------------------

    def kubeconfig(
        self, path: Path, *, context: str = "fake", user: Mapping[str, Any] | None = None, cluster: Mapping[str, Any] | None = None
    ) -> Path:
        """Write a kubeconfig that leads here, with the token of now unless *user* says otherwise; *cluster* is added to its own."""
        if user is None:
            user = {} if self.bearer is None else {"token": self.bearer}
        trust = {} if self._authority is None else {"certificate-authority-data": self._authority.ca_base64}
        value = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": self.url, **trust, **(cluster or {})}}],
            "users": [{"name": f"{context}-user", "user": dict(user)}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": f"{context}-user"}}],
        }
        path.write_text(json.dumps(value))
        return path

    def certificate_user(self) -> dict[str, str]:
        """A *user* that logs in with a client certificate (TLS only)."""
        assert self._authority is not None
        return self._authority.user()

    # -- objects ---------------------------------------------------------------------------------------------------------------

    def add_kind(self, api_version: str, kind: str, *, plural: str | None = None, namespaced: bool = True) -> None:
        """As if somebody had installed a definition."""
        self.kinds.append(Kind(api_version, kind, plural or plural_of(kind), namespaced))

    def put(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object be so, whether or not there is one; no request is counted."""
        kind = self.kind(item["kind"], item["apiVersion"])
        metadata = item["metadata"]
        return self.objects.put((self.collection(kind), metadata.get("namespace", ""), metadata["name"]), kind, dict(item))

    def object(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """An object as it is now; None: there is none."""
        found = self.objects.get((self.collection(self.kind(kind)), namespace, name))
        return None if found is None else found.item

    def all(self, kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
        """All objects of a kind, of one namespace or of all."""
        return [one.item for _, one in self.objects.members(self.collection(self.kind(kind)), namespace)]

    def remove(self, kind: str, name: str, namespace: str = "") -> None:
        """End an object, as a delete request would."""
        self.objects.delete((self.collection(self.kind(kind)), namespace, name))

    def control(self, controller: Callable[[dict[str, Any]], None]) -> None:
        """Call *controller* with each object that is made or changed: it may put others, as a real one does."""
        self.objects.controllers.append(controller)

    def kind(self, name: str, api_version: str | None = None) -> Kind:
        """A kind by its name."""
        return next(one for one in self.kinds if one.kind == name and api_version in (None, one.api_version))

    @staticmethod
    def collection(kind: Kind) -> str:
        """What its objects are filed under: the same for all versions of a group."""
        return f"{kind.plural}.{kind.group}" if kind.group else kind.plural

    # -- trouble ---------------------------------------------------------------------------------------------------------------

    def fail_next(self, status: int, *, times: int = 1, path: str = "", method: str = "", **what: Any) -> None:
        """Answer the next *times* requests whose path holds *path* with an error; *what*: see :class:`tests.kube.trouble.Fail`."""
        self.trouble(Fail(status, **what), times=times, path=path, method=method)

    def cut_next(self, after_bytes: int = 0, *, times: int = 1, path: str = "", method: str = "") -> None:
        """Do what the next requests ask, and drop the connection after so many bytes of the answer."""
        self.trouble(Cut(after_bytes), times=times, path=path, method=method)

    def stall_next(self, after_bytes: int = 0, *, times: int = 1, path: str = "", method: str = "") -> None:
        """Do what the next requests ask, and fall silent after so many bytes of the answer."""
        self.trouble(Stall(after_bytes), times=times, path=path, method=method)

    def trouble(self, act: Act, *, times: int = 1, path: str = "", method: str = "", watches: bool | None = None) -> None:
        """Do *act* to the next *times* requests of that method whose path holds *path*."""
        self.plan.add(act, times, lambda seen: path in seen.path and method in ("", seen.method) and watches in (None, seen.watches))

    def cut_watches(self) -> None:
        """Drop the connections of all watches that are open."""
        self._to_watches("watches_cut")

    def end_watches(self) -> None:
        """End all watches that are open in good order, as a server does after their time."""
        self._to_watches("watches_ended")

    def silence_watches(self) -> None:
        """Let all watches that are open say nothing more, without ending them."""
        self._to_watches("watches_silent")

    def forget(self) -> None:
        """Forget all versions up to now: watches and lists that were begun before are answered 410."""
        self.objects.forget()

    def _to_watches(self, counter: str) -> None:
        with self.objects.changed:
            setattr(self, counter, getattr(self, counter) + 1)
            self.objects.changed.notify_all()

    # -- what was asked --------------------------------------------------------------------------------------------------------

    @property
    def writes(self) -> list[Seen]:
        """The requests that would change something; dry runs and questions about one's own rights are none."""
        return [seen for seen in tuple(self.requests) if seen.writes]

    def asked(self, path: str = "", method: str = "") -> list[Seen]:
        """The requests of that method whose path holds *path*."""
        return [seen for seen in tuple(self.requests) if path in seen.path and method in ("", seen.method)]
