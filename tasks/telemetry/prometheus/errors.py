"""What can be wrong with a server's reply; both end in a retry or in a clear error of the export, never in a number."""

from __future__ import annotations


class MalformedReply(Exception):
    """The reply is cut off, damaged, or not what was asked for; the message says what."""


class UnknownEncoding(MalformedReply):
    """The reply is whole, and has chunks of a kind that is not known here; asking the same way again gives the same."""


class ServerRefused(Exception):
    """
    The server understood and said no.

    Args:
        kind: Its own word for the kind of error, such as ``bad_data`` or ``execution``.
        said: Its message.
    """

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(f"{kind}: {said}")
        self.kind = kind
        self.said = said
