"""What one writes by hand: a raw selector over HTTP, the reply through json, a data frame a series, one Parquet of all."""

import said  # isort: skip -- the clock starts here
import json

import pandas as pd
import requests

CALL = """\
requests.get(URL + "/api/v1/query", {"query": '{selector}[SECONDSs]', "time": END}).json(); \
pd.concat([pd.DataFrame(one["values"], columns=["time", "value"]).astype(float).assign(series=NUMBER) for one in result]).to_parquet(PATH)"""

arguments = said.asked()
query = f"{arguments.selector}[{arguments.end_s - arguments.start_s}s]"
reply = requests.get(f"{arguments.url}/api/v1/query", {"query": query, "time": arguments.end_s}, timeout=600)
reply.raise_for_status()
result = reply.json()["data"]["result"]
frames = [pd.DataFrame(one["values"], columns=["time", "value"]).astype(float).assign(series=number) for number, one in enumerate(result)]
path = arguments.out / "json.parquet"
pd.concat(frames).to_parquet(path)
(arguments.out / "labels.json").write_text(json.dumps([one["metric"] for one in result]))
said.tell(CALL.replace("{selector}", arguments.selector), path, "requests", "pandas", "numpy", "pyarrow")
