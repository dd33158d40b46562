"""Tables of one batch or several: the outcomes, the series, and why what is not stored is not."""

from __future__ import annotations

import re

import pandas as pd

from dicomkit.analysis._attempts import BYTES_IN_MB, STORED, Rows, attempts_of, ends_of, is_held, plain_rows
from dicomkit.analysis._current import current_of
from dicomkit.dictionary.statuses import status_meaning, status_remedy
from dicomkit.results import count_outcomes, dtypes

EXAMPLES_SHOWN = 3
"""How many sources stand for a cause in `failures`."""

_NOT_TRIED_AGAIN = "not tried again: "
_COUNT_OF_BYTES = re.compile(r"\bbyte \d+|\d+ bytes?\b")


def summary(rows: Rows) -> pd.DataFrame:
    """Return one row for each outcome that occurs, in the order of the outcomes.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        Results, as `Batch.to_frame`, `Ledger.to_frame` and `read_results` give them. An instance counts once for
        each peer, over all batches, by what became of it there as `current` says.

    Returns
    -------
    pandas.DataFrame
        By ``outcome``: ``instances``; the ``attempts`` behind them in all batches, of which what was never tried has
        one; ``size_bytes`` handed to the socket in the attempts that count; the ``share`` of all instances, from 0 to
        1; ``first`` and ``last``, when the earliest and the latest of these attempts began, null when none did.

    Raises
    ------
    TypeError
        These are no rows.
    ValueError
        The frame lacks columns; they are named.
    """
    ends = current_of(attempts_of(rows))
    table = count_outcomes(ends, "tries", first=("started_at", "min"), last=("started_at", "max"))
    table.insert(3, "share", (table["instances"] / table["instances"].sum()).astype("float64"))
    return table


def by_study(rows: Rows) -> pd.DataFrame:
    """Return one row for each series, in the order in which they were met.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`.

    Returns
    -------
    pandas.DataFrame
        ``study_instance_uid`` and ``series_instance_uid``, null where a data set has none or could not be read;
        ``modality``; ``instances``, which are the sum of ``stored``, ``stored_before`` (skipped, since the ledger
        holds them as stored, by a batch that is not among the rows) and ``not_stored``; ``size_bytes`` stored;
        ``seconds`` from the beginning of the series' first attempt in a batch to the end of its last, of all batches
        together; ``instances_per_second`` and ``mb_per_second`` (10^6 bytes) stored in that time. What has no times
        has null seconds and rates.

    Raises
    ------
    TypeError, ValueError
        As for `summary`.
    """
    attempts = attempts_of(rows)
    final = current_of(attempts)
    final["is_stored"], final["is_held"] = final["outcome"].isin(STORED), is_held(final)
    final["stored_bytes"] = final["size_bytes"].where(final["is_stored"])
    series = ["study_instance_uid", "series_instance_uid"]
    table = (
        final.groupby(series, dropna=False, sort=False)
        .agg(
            modality=("modality", "first"),
            instances=("instance", "size"),
            stored=("is_stored", "sum"),
            stored_before=("is_held", "sum"),
            size_bytes=("stored_bytes", "sum"),
        )
        .astype(dict.fromkeys(("instances", "stored", "stored_before"), "int64"))
    )
    table.insert(4, "not_stored", table["instances"] - table["stored"] - table["stored_before"])
    times = attempts.assign(ended=ends_of(attempts)).groupby([*series, "batch_id"], dropna=False, sort=False)
    spans = (times["ended"].max() - times["started_at"].min()).dt.total_seconds()
    by_series = spans.groupby(level=series, dropna=False, sort=False).sum(min_count=1)
    table["seconds"] = seconds = by_series.reindex(table.index)
    # What took no measurable time has no rate, rather than an infinite one.
    table["instances_per_second"] = table["stored"] / seconds.where(seconds > 0)
    table["mb_per_second"] = table["size_bytes"].astype("float64") / BYTES_IN_MB / seconds.where(seconds > 0)
    return table.reset_index()


def failures(rows: Rows) -> pd.DataFrame:
    """Return one row for each cause for which instances are not stored, and what to do about it.

    Instances count as `current` says: what a retry or another batch stored is not here, nor is what was skipped
    because the ledger holds it as stored. Details that differ only in their own file, instance or number of bytes are
    one cause.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`.

    Returns
    -------
    pandas.DataFrame
        ``outcome``; ``status``, null when no response came; ``meaning``, of the status (PS3.4 B.2.3, PS3.7 C) or what
        happened instead of one; ``instances`` and the ``attempts`` behind them; ``remedy``, what to do next, empty
        when sending again is all there is to do; ``examples``, a tuple of the first few sources. By outcome, the most
        frequent first; empty when everything is stored.

    Raises
    ------
    TypeError, ValueError
        As for `summary`.
    """
    final = current_of(attempts_of(rows))
    final = final[~(final["outcome"].isin(STORED) | is_held(final))].astype({"source": "object"})
    causes = [_cause(*row) for row in plain_rows(final, ["status", "detail", "source", "sop_instance_uid"])]
    final[["meaning", "remedy", "gist"]] = pd.DataFrame(causes, final.index, range(3), dtype=pd.StringDtype())
    grouped = final.groupby(["outcome", "status", "gist"], observed=True, dropna=False, sort=False)
    table = grouped.agg(
        meaning=("meaning", "first"),
        instances=("instance", "size"),
        attempts=("tries", "sum"),
        remedy=("remedy", "first"),
        examples=("source", lambda sources: tuple(sources[:EXAMPLES_SHOWN])),
    )
    table = table.reset_index().drop(columns="gist")
    table = table.sort_values(
        ["outcome", "instances"], ascending=[True, False], kind="stable", ignore_index=True
    )
    kinds = {"outcome": dtypes()["outcome"], "status": "UInt16", "instances": "int64", "attempts": "int64"}
    return table.astype({**kinds, "examples": "object"})


def _cause(status: int | None, detail: str, source: str, uid: str | None) -> tuple[str, str, str]:
    """What it means, what to do, and what the details of one cause have in common."""
    if status is not None:
        # The peer's comment may differ for each instance, and may name a patient: the code is the cause.
        return status_meaning(status), status_remedy(status), ""
    words = detail.removeprefix(_NOT_TRIED_AGAIN)
    meaning, _, remedy = words.partition("; ")
    gist = _COUNT_OF_BYTES.sub("", words.replace(source, "").replace(uid or source, ""))
    return meaning[:1].upper() + meaning[1:], remedy[:1].upper() + remedy[1:], gist
