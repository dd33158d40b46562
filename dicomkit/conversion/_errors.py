"""What is raised when a data set cannot be brought into another encoding."""

from __future__ import annotations

from dicomkit.errors import UnreadableError

__all__ = ["NotConverted"]


class NotConverted(UnreadableError):
    """It could not be brought into another transfer syntax; the message says why and what would help."""
