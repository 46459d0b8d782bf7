"""Whether a forest read from a file can be walked: scikit-learn follows its indices without looking."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest

from tasks.base.errors import StorageError

LEAF = -1


def sound_forest(forest: Any, columns: int) -> None:
    """
    Check that each tree of *forest* ends: children lie after their parents, features exist, leaves hold values.

    Args:
        forest: What a model file held.
        columns: Number of columns that the detector takes.

    Raises:
        StorageError: It is not an isolation forest, or one of its trees points outside itself or back.
    """
    if not isinstance(forest, IsolationForest) or forest.n_features_in_ != columns:
        raise StorageError("the estimator is not an isolation forest of the detector's columns")
    if len(forest.estimators_) != len(forest.estimators_features_):
        raise StorageError("the forest's trees and their features differ in number")
    for estimator, features in zip(forest.estimators_, forest.estimators_features_, strict=True):
        tree = estimator.tree_
        if features.size and (features.min() < 0 or features.max() >= columns):
            raise StorageError("a tree asks for a metric that is not there")
        _sound_tree(tree, int(features.size))


def _sound_tree(tree: Any, features: int) -> None:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    places = np.arange(tree.node_count)
    leaf = left == LEAF
    inner = ~leaf
    sound = (
        tree.node_count > 0
        and tree.n_features == features
        and len(left) == tree.node_count
        and bool((right[leaf] == LEAF).all())
        and bool((left[inner] > places[inner]).all() and (right[inner] > places[inner]).all())
        and bool((left < tree.node_count).all() and (right < tree.node_count).all())
        and bool((feature[inner] >= 0).all() and (feature[inner] < features).all())
        and tree.value.shape[0] == tree.node_count
    )
    if not sound:
        raise StorageError("a tree of the forest points outside itself")
