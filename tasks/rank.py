"""Task *rank*: which service and which metric a fault came from."""

from tasks.caching import later, stage

rank = stage("rank", later("tasks.stages.rank"))
