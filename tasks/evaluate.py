"""Task *evaluate*: thresholds, alarms, and the table of detectors."""

from tasks.caching import later, stage

evaluate = stage("evaluate", later("tasks.stages.evaluate"))
