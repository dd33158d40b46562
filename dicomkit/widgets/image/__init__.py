"""ImageViewer: pictures of a series."""

from __future__ import annotations

from dicomkit.widgets.image._sources import header_of, load, series_from
from dicomkit.widgets.image._viewer import ImageViewer

__all__ = ["ImageViewer", "header_of", "load", "series_from"]
