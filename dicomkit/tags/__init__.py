"""A data set as the rows of a table, and what each of them says.

The one idea: rows are where something lies, and say it when they are asked; nothing of the data set is changed.
"""

from __future__ import annotations

from dicomkit.tags.comparison import Difference as Difference
from dicomkit.tags.comparison import Pair as Pair
from dicomkit.tags.comparison import difference as difference
from dicomkit.tags.comparison import pair_children as pair_children
from dicomkit.tags.comparison import pair_groups as pair_groups
from dicomkit.tags.rows import TagRow as TagRow
from dicomkit.tags.rows import character_problem as character_problem
from dicomkit.tags.rows import children as children
from dicomkit.tags.rows import element as element
from dicomkit.tags.rows import find_rows as find_rows
from dicomkit.tags.rows import groups as groups
from dicomkit.tags.rows import has_children as has_children
from dicomkit.tags.rows import keyword as keyword
from dicomkit.tags.rows import meaning as meaning
from dicomkit.tags.rows import name as name
from dicomkit.tags.rows import search_text as search_text
from dicomkit.tags.rows import searchable as searchable
from dicomkit.tags.rows import tag_text as tag_text
from dicomkit.tags.rows import value as value
from dicomkit.tags.rows import vr as vr
from dicomkit.tags.values import text_at as text_at
