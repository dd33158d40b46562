"""From paths, bytes and data sets to instances that can be sent.

`elements` is the walk over the elements of an instance, `readers` how its bytes are read. `part10`, `dataset_reader`,
`contradictions` and `second_look` are imported where they are needed, which is seldom.
"""

from __future__ import annotations

from dicomkit.sources._inspect import PREFIX_END, Instance, has_prefix, look_at
from dicomkit.sources._instances import (
    IN_MEMORY,
    Broken,
    Found,
    NotDicomMessage,
    PassedOver,
    Unreadable,
    ended_with,
    find_all,
    find_instances,
    holds_itself,
    is_dataset,
)
from dicomkit.sources.readers import (
    MEMBER_MARK,
    DataSource,
    HeaderFacts,
    Padded,
    SourceChanged,
    SourceError,
    as_on_disk,
    describe_os_error,
    open_file,
)

__all__ = [
    "Broken",
    "DataSource",
    "Found",
    "HeaderFacts",
    "IN_MEMORY",
    "Instance",
    "MEMBER_MARK",
    "NotDicomMessage",
    "PREFIX_END",
    "Padded",
    "PassedOver",
    "SourceChanged",
    "SourceError",
    "Unreadable",
    "as_on_disk",
    "describe_os_error",
    "ended_with",
    "find_all",
    "find_instances",
    "has_prefix",
    "holds_itself",
    "is_dataset",
    "look_at",
    "open_file",
]
