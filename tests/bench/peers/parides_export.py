"""parides, by its own command line: a wide Parquet at the instants of a grid of 5 s; its default grid is 15 s, all else is as it comes."""

import said  # isort: skip -- the clock starts here
import datetime as dt
import sys

from parides.cli import main

STEP = "5s"


def iso(time_s: int) -> str:
    """As its command line wants times."""
    return dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat()


arguments = said.asked()
options = {"--start-date": iso(arguments.start_s), "--end-date": iso(arguments.end_s), "--resolution": STEP, "--format": "parquet"}
words = [word for pair in options.items() for word in pair]
sys.argv = ["parides", arguments.url, arguments.selector, *words, "--output-directory", str(arguments.out)]
main()
(path,) = arguments.out.glob("*.parquet")
said.tell(f"parides URL '{arguments.selector}' {' '.join(words)}", path, "parides", "pandas", "numpy", "pyarrow")
