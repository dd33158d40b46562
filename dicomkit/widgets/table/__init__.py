"""A table of any length, of which the browser holds a window."""

from __future__ import annotations

from dicomkit.widgets._ticker import UPDATE_SECONDS as UPDATE_SECONDS
from dicomkit.widgets.table._records import RecordSource as RecordSource
from dicomkit.widgets.table._records import cell_text as cell_text
from dicomkit.widgets.table._sources import Cell as Cell
from dicomkit.widgets.table._sources import Choice as Choice
from dicomkit.widgets.table._sources import Column as Column
from dicomkit.widgets.table._sources import Fact as Fact
from dicomkit.widgets.table._sources import Filter as Filter
from dicomkit.widgets.table._sources import Key as Key
from dicomkit.widgets.table._sources import Order as Order
from dicomkit.widgets.table._sources import Row as Row
from dicomkit.widgets.table._sources import RowSource as RowSource
from dicomkit.widgets.table._sources import Tone as Tone
from dicomkit.widgets.table._table import Rows as Rows
