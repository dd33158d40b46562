"""A data set as the rows of a table, and what each of them says; nothing of the data set is changed."""

from __future__ import annotations

from dicomkit.tags._comparison import Difference as Difference
from dicomkit.tags._comparison import Pair as Pair
from dicomkit.tags._comparison import difference as difference
from dicomkit.tags._comparison import pair_children as pair_children
from dicomkit.tags._comparison import pair_groups as pair_groups
from dicomkit.tags._rows import TagRow as TagRow
from dicomkit.tags._rows import character_problem as character_problem
from dicomkit.tags._rows import children as children
from dicomkit.tags._rows import element as element
from dicomkit.tags._rows import find_rows as find_rows
from dicomkit.tags._rows import groups as groups
from dicomkit.tags._rows import has_children as has_children
from dicomkit.tags._rows import keyword as keyword
from dicomkit.tags._rows import meaning as meaning
from dicomkit.tags._rows import name as name
from dicomkit.tags._rows import search_text as search_text
from dicomkit.tags._rows import searchable as searchable
from dicomkit.tags._rows import tag_text as tag_text
from dicomkit.tags._rows import value as value
from dicomkit.tags._rows import vr as vr
from dicomkit.tags._values import Element as Element
from dicomkit.tags._values import element_of as element_of
from dicomkit.tags._values import hex_dump as hex_dump
from dicomkit.tags._values import is_binary as is_binary
from dicomkit.tags._values import one_line as one_line
from dicomkit.tags._values import shortest_float as shortest_float
from dicomkit.tags._values import terms_of as terms_of
from dicomkit.tags._values import text_at as text_at
from dicomkit.tags._values import text_of as text_of
from dicomkit.tags._values import uid_meaning as uid_meaning
from dicomkit.tags._values import value_bytes as value_bytes
