"""SourceChooser: pick what to send."""

from __future__ import annotations

from dicomkit.widgets.chooser._chooser import SourceChooser, keep_apart

__all__ = ["SourceChooser", "keep_apart"]
