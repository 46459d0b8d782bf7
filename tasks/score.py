"""Task *score*: the scores of one fitted detector."""

from tasks.caching import later, stage

score = stage("score", later("tasks.stages.score"))
