"""A table of any length, of which the browser holds a window."""

from __future__ import annotations

from dicomkit.widgets.table._records import RecordSource, cell_text
from dicomkit.widgets.table._sources import (
    Cell,
    Choice,
    Column,
    Fact,
    Filter,
    Key,
    Order,
    Row,
    RowSource,
    Tone,
)
from dicomkit.widgets.table._table import UPDATE_SECONDS, Rows

__all__ = [
    "Cell",
    "Choice",
    "Column",
    "Fact",
    "Filter",
    "Key",
    "Order",
    "RecordSource",
    "Row",
    "RowSource",
    "Rows",
    "Tone",
    "UPDATE_SECONDS",
    "cell_text",
]
