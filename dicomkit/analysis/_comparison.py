"""Two batches, or sets of them, side by side: what became of each instance the first time and the second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd

from dicomkit.analysis._attempts import STORED, Rows, attempts_of, is_held, plain_rows
from dicomkit.analysis._current import current
from dicomkit.results import column_array, final_rows

CHANGES = (
    "now stored",
    "same failure",
    "another failure",
    "failed this time",
    "stays stored",
    "not sent again",
    "new",
)
"""What `compare` may say of an instance, the most telling first."""


def compare(first: Rows, second: Rows) -> pd.DataFrame:
    """Return what became of each instance the first time and the second, for sending the failed again.

    Instances are the same when both SOP Instance UID and source are, or else the UID; one that could not be read
    the one time is known by its source. Of several batches on one side, `current` says what became of an instance at a
    peer; within one batch, two files of the same UID are told apart.

    Parameters
    ----------
    first, second : DataFrame, Batch or Ledger
        As for `summary`.

    Returns
    -------
    pandas.DataFrame
        One row for each instance, in the order of the first, then what only the second has: ``source``,
        ``sop_instance_uid``, ``before`` and ``after`` (outcomes), ``status_before`` and ``status_after``, and the
        ``change``, one of `CHANGES`. "failed this time" was stored the first time, and most likely still is.

    Raises
    ------
    TypeError, ValueError
        As for `summary`.
    """
    old, new = (_outcomes(attempts_of(rows)) for rows in (first, second))
    columns = ["source", "sop_instance_uid", "outcome", "status", "is_there"]
    olds, news = (
        plain_rows(final.assign(is_there=final["outcome"].isin(STORED) | is_held(final)), columns)
        for final in (old, new)
    )
    partner = _partners([row[:2] for row in olds], [row[:2] for row in news])
    nothing = (None,) * len(columns)
    pairs = [(row, news[partner[place]] if place in partner else nothing) for place, row in enumerate(olds)]
    matched = set(partner.values())
    pairs += [(nothing, row) for place, row in enumerate(news) if place not in matched]
    befores, afters = zip(*pairs, strict=True) if pairs else ((), ())
    either = [(before[0] or after[0], before[1] or after[1]) for before, after in pairs]
    changes = [_change(before[2:], after[2:]) for before, after in pairs]
    return pd.DataFrame(
        {
            "source": column_array("source", [source for source, _ in either]),
            "sop_instance_uid": column_array("sop_instance_uid", [uid for _, uid in either]),
            "before": column_array("outcome", [row[2] for row in befores]),
            "after": column_array("outcome", [row[2] for row in afters]),
            "status_before": column_array("status", [row[3] for row in befores]),
            "status_after": column_array("status", [row[3] for row in afters]),
            "change": pd.Categorical(changes, categories=list(CHANGES)),
        }
    )


def _outcomes(attempts: pd.DataFrame) -> pd.DataFrame:
    return current(attempts) if attempts["batch_id"].nunique() > 1 else final_rows(attempts)


def _change(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    """One of `CHANGES`, from outcome, status and whether the peer has it, of both times; all None for never."""
    if after[0] is None:
        return "not sent again"
    if before[0] is None:
        return "new"
    if after[2]:
        return "stays stored" if before[2] else "now stored"
    if before[2]:
        return "failed this time"
    return "same failure" if before[:2] == after[:2] else "another failure"


def _partners(olds: list[tuple[Any, ...]], news: list[tuple[Any, ...]]) -> dict[int, int]:
    """Which place of `news` is the instance at which place of `olds`, from source and SOP Instance UID of each."""
    keys: tuple[Callable[[str, str | None], Hashable], ...] = (
        lambda source, uid: (source, uid),
        lambda source, uid: uid,
        lambda source, uid: None if source.startswith("<") else source,  # "<bytes>" and its like are no names
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for key_of in keys:
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for place in range(len(news) - 1, -1, -1):
            if place not in taken:
                waiting[key_of(*news[place])].append(place)
        for place, old in enumerate(olds):
            key = key_of(*old)
            if place in partner or key is None or not waiting.get(key):
                continue
            candidate = waiting[key][-1]
            if key_of is keys[-1] and old[1] and news[candidate][1]:
                continue  # the file was replaced by another instance
            taken.add(waiting[key].pop())
            partner[place] = candidate
    return partner
