"""BatchPanel: a batch under way, as a widget."""

from __future__ import annotations

from dicomkit.widgets.batch._job import running_jobs
from dicomkit.widgets.batch._panel import BatchPanel, refuse_strange_options
from dicomkit.widgets.batch._scan import UNREADABLE, Cargo, SeriesFound

__all__ = ["BatchPanel", "Cargo", "SeriesFound", "UNREADABLE", "refuse_strange_options", "running_jobs"]
