"""Task *featurize*: the samples of one recording to a matrix on a regular grid."""

from tasks.caching import later, stage

featurize = stage("featurize", later("tasks.stages.featurize"))
