"""TagBrowser: the elements of a data set."""

from __future__ import annotations

from dicomkit.widgets.tags._browser import TagBrowser

__all__ = ["TagBrowser"]
