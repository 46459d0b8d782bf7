"""Facts about the machine and the software that a measurement was made with."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

LOADED = ("numpy", "pyarrow", "urllib3")
PACKAGES = ("locust", "starlette", "uvicorn", "httpx", "prometheus-client", "pyarrow", "numpy", "psutil")


def machine() -> dict[str, Any]:
    """Processors, memory, kernel, boot id, and both clocks now."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "boot_id": boot_id(),
    }


def boot_id() -> str:
    """The kernel's random id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def clocks() -> dict[str, float]:
    """Wall and monotonic time, read together."""
    return {"wall_s": time.time(), "monotonic_s": time.monotonic()}


def versions() -> dict[str, str]:
    """Versions of Python, of Tidegauge and of the libraries that measured."""
    from importlib.metadata import PackageNotFoundError, version

    found = own_versions()
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def loaded_versions() -> dict[str, str]:
    """The same of what an import goes through, as the libraries say themselves: to look them up takes longer than a second of samples."""
    return own_versions() | {name: str(sys.modules[name].__version__) for name in LOADED if name in sys.modules}


def own_versions() -> dict[str, str]:
    """Versions of Python and of Tidegauge."""
    import tidegauge

    return {"python": sys.version.split()[0], "tidegauge": tidegauge.__version__}
