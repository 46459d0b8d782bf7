"""Why a container waits: the API's own words for what does not pass by itself."""

from __future__ import annotations

NEVER_STARTS = frozenset(
    {
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
    }
)
"""Without its image, or without what its settings name, it waits in vain."""
