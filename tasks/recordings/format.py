"""The version of the recording format; see ``docs/reference/recording-format.md``."""

FORMAT = "recording/1"
