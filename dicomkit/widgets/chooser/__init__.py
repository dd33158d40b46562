"""SourceChooser: pick what to send."""

from __future__ import annotations

from dicomkit.widgets.chooser._chooser import SourceChooser

__all__ = ["SourceChooser"]
