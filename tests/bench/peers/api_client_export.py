"""prometheus-api-client as its README has it: raw samples of a range, made a data frame by its own class, saved as Parquet."""

import said  # isort: skip -- the clock starts here
import datetime as dt

from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

CALL = """\
MetricRangeDataFrame(PrometheusConnect(url=URL).get_metric_range_data(metric_name='{selector}', start_time=START, end_time=END))\
.to_parquet(PATH)"""

arguments = said.asked()
start, end = (dt.datetime.fromtimestamp(time_s, dt.UTC) for time_s in (arguments.start_s, arguments.end_s))
client = PrometheusConnect(url=arguments.url)
data = client.get_metric_range_data(metric_name=arguments.selector, start_time=start, end_time=end)
path = arguments.out / "prometheus-api-client.parquet"
MetricRangeDataFrame(data).to_parquet(path)
said.tell(CALL.replace("{selector}", arguments.selector), path, "prometheus-api-client", "pandas", "numpy", "pyarrow")
