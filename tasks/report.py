"""Task *report*: the page of a run."""

from tasks.caching import later, stage

report = stage("report", later("tasks.stages.report"))
