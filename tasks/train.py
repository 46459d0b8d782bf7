"""Task *train*: one detector, fitted on the training recordings."""

from tasks.caching import later, stage

train = stage("train", later("tasks.stages.train"))
