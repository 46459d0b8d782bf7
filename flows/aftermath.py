"""What a new flow finds of runs that ended without a word: told, closed and cleared away before anything else happens."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.records import reconcile
from tasks.artifacts.store import Store
from tasks.base.errors import LockedError, TidegaugeError
from tasks.base.process import stat_of

if TYPE_CHECKING:
    from tasks.recordings.standing import Standing


def aftermath(store: Store, say: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """
    A sentence on each thing found: runs marked failed, shops of dead recordings taken down, what is left in staging.

    Args:
        store: Where it is looked for.
        say: Told meanwhile what is removed, and when somebody has to log in for that.
    """
    for record, sentence in reconcile(store):
        yield sentence
        mark_crashed(record)
    yield from _shops(store, say)
    yield from _staging(store)


def mark_crashed(record: Mapping[str, Any]) -> None:
    """Let Prefect know that the flow run of *record* is over; nothing happens when this server never heard of it."""
    flow_run = record["prefect"]["flow_run"]
    if flow_run is None:
        return
    with get_client(sync_client=True) as client:
        try:
            found = client.read_flow_run(UUID(flow_run))
            if found.state is not None and not found.state.is_final():
                client.set_flow_run_state(found.id, Crashed(message=record["error"]), force=True)
        except ObjectNotFound:
            return


def _shops(store: Store, say: Callable[[str], None]) -> Iterator[str]:
    live = store.root / "live"
    if not live.is_dir() or not any(live.iterdir()):
        return  # as nearly always; what takes shops down brings along all that is known of recordings
    from tasks.recordings.hold import shop_lock
    from tasks.recordings.standing import standings

    dead = [shop for shop in standings(store.root) if shop.address is None]
    if not dead:
        return
    try:
        with shop_lock(store.root, "the clean-up of a new run"):
            for shop in dead:
                yield _taken_down(shop, say)
    except LockedError:
        return  # they belong to a recording that goes on


def _taken_down(shop: "Standing", say: Callable[[str], None]) -> str:
    from tasks.recordings.standing import take_down

    try:
        left = [text.splitlines()[0] for text in take_down(shop, say)]  # `down` tells the rest
    except TidegaugeError as error:
        left = [error.message]
    if left:
        return f"the shop {shop.name} of a recording that died is not wholly gone: {'; '.join(left)}; next: tidegauge down --all"
    return f"the shop {shop.name} of a recording that died is taken down, its faults are reverted"


def _staging(store: Store) -> Iterator[str]:
    for folder in sorted((store.root / "staging").glob("recording-*")):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and int(pid) != os.getpid() and stat_of(int(pid)) is None and any(folder.iterdir()):
            yield f"what a recording had measured before it died is in {folder}, until `tidegauge runs gc` removes it"
