"""Owns a deployment as ``run`` does: starts it, prints its state folder's supervisor pid, and waits to be killed."""

import sys
import time
from pathlib import Path

from tests.cluster.parts import start

handle = start(Path(sys.argv[1]), *sys.argv[2:], owned=True)
print(handle.state().supervisor.pid, flush=True)
time.sleep(300)
