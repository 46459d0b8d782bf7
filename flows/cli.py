"""
``tidegauge``: the command line.

Commands live in ``flows.commands``; nothing heavy is imported until a command needs it. Every command takes
``--json``: then standard output is JSON and nothing else. Exit codes: :mod:`tasks.base.errors`.
"""

import atexit
import gc
import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

HELP = """\
Record a microservice application under load, break it on purpose, and see which anomaly detector notices.

Start with `tidegauge init`, or with the shipped demo: `tidegauge run configs/demo.yaml`.
"""
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "documents": ("init", "check", "plan", "schema", "completion"),
    "running": ("run", "record", "train", "resume", "cancel"),
    "evaluation": ("evaluate", "rank", "report"),
    "importing": ("import",),
    "shop": ("up", "down", "status", "faults"),
    "runs": ("runs",),
    "detectors": ("detectors",),
    "serving": ("serve",),
    "doctor": ("doctor",),
}
"""What each module of ``flows.commands`` adds, in the order of the help."""


def build(command: str | None = None) -> "App":
    """The command tree; where *command* is one of it, without the modules of the others."""
    from cyclopts import App

    import tidegauge

    app = App(name="tidegauge", help=HELP, help_format="plaintext", version=tidegauge.__version__, result_action="return_value")
    for module in [name for name, added in COMMANDS.items() if command in added] or COMMANDS:
        import_module(f"flows.commands.{module}").register(app)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    # tens of thousands of objects come with the imports and stay: to look through them again and again, or at the end, is in vain
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    from cyclopts import CycloptsError

    from flows.console import fail, wants_json
    from tasks.base.errors import DocumentError, TidegaugeError

    tokens = list(sys.argv[1:] if argv is None else argv)
    app, json = build(tokens[0] if tokens else None), wants_json(tokens)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows another one
    try:
        result = app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:  # `tidegauge ... | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered has nowhere to go
        return 128 + signal.SIGPIPE
    except CycloptsError as error:
        return fail(DocumentError(str(error), next_step=f"tidegauge {_command(app, tokens)}--help"), json)
    except TidegaugeError as error:
        return fail(error, json)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # the one place where a traceback would reach a user
        if os.environ.get("TIDEGAUGE_TRACEBACK"):
            raise
        text = f"unexpected {type(error).__name__}: {error}"
        return fail(TidegaugeError(text, next_step="the same command with TIDEGAUGE_TRACEBACK=1 shows where; please report it"), json)
    return result if isinstance(result, int) else 0


def _command(app: "App", tokens: Sequence[str]) -> str:
    """The command that *tokens* begin with, with a space after it; empty where they name none."""
    return f"{tokens[0]} " if tokens and tokens[0] in tuple(app) else ""


if __name__ == "__main__":
    sys.exit(main())
