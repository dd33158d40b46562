"""What became of each instance at each peer, over all batches: the one place that says what is stored."""

from __future__ import annotations

import pandas as pd

from dicomkit.analysis._attempts import PEER, STORED, Rows, attempts_of, is_held, results_of

_ONE = ["batch_id", "instance"]


def current(rows: Rows) -> pd.DataFrame:
    """Return what became of each instance at each peer, over all batches: one row each.

    An instance is its SOP Instance UID, and a peer its host, port and called AE title. What was stored stays stored,
    whatever happened later: it failed, was cancelled, or was skipped because the ledger holds it. Only a verification
    that did not find it there as it was sent ends that. Of what was never stored the latest row counts; rows without
    a time, which were never tried, come at the end of their batch, and batches without any in the order of the frame.

    Rows without a UID, of what could not be read, are known by their source, until a later row says which instance
    that source holds; one in memory (``<bytes>``) is an instance of its own in each batch.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        Results, as `Batch.to_frame`, `Ledger.to_frame` and `read_results` give them, in any order; those of several
        batches as `pandas.concat` puts them together.

    Returns
    -------
    pandas.DataFrame
        The rows that count, with all columns they have, in the order in which their instances were first met. Where
        ``outcome`` is ``skipped`` and ``detail`` begins with `dicomkit.ledger.HELD`, the instance is stored too, by a
        batch that is not among the rows.

    Raises
    ------
    TypeError
        These are no rows.
    ValueError
        The frame lacks columns; they are named.
    """
    frame = results_of(rows)
    return frame.loc[current_of(attempts_of(frame)).index].reset_index(drop=True)


def current_of(attempts: pd.DataFrame) -> pd.DataFrame:
    """The rows of `current`, with their index, and as ``tries`` how many attempts each stands for."""
    rows = _in_time(attempts)
    rows["key"] = _instances(rows)
    held = is_held(rows)
    rows["rank"] = (2 * rows["outcome"].isin(STORED) + held).where(~_is_missed(rows), 0)
    last = rows.drop_duplicates([*_ONE, "key"], keep="last")
    # What was skipped since it was stored is no attempt at it, unless there is nothing else.
    tries = last["attempt"].where(~held[last.index], 0).groupby(last["key"]).sum().clip(lower=1)
    met = pd.Series(rows.index, rows.index).groupby(rows["key"]).min()
    chosen = rows.sort_values("rank", kind="stable").drop_duplicates("key", keep="last")
    chosen = chosen.assign(tries=chosen["key"].map(tries), met=chosen["key"].map(met)).sort_values("met")
    return chosen[[*attempts.columns, "tries"]]


def _in_time(attempts: pd.DataFrame) -> pd.DataFrame:
    """The rows in order of time, and that as ``moment``: when the last attempt at its instance in its batch began."""
    # One moment for all attempts, so that their numbers order them even where the clock was set back meanwhile.
    begun = attempts.groupby(_ONE)["started_at"].transform("max")
    batch = pd.Series(attempts["batch_id"].factorize()[0], attempts.index)
    ends = begun.groupby(batch).max().ffill()  # of batches in the order of the frame
    moment = begun.fillna(ends.reindex(batch).set_axis(begun.index))
    rows = attempts.assign(moment=moment, batch=batch)
    return rows.sort_values(["moment", "batch", "instance", "attempt"], na_position="first", kind="stable")


def _instances(rows: pd.DataFrame) -> pd.Series[int]:
    """A number for each instance at each peer, of rows in order of time."""
    uid, source = rows["sop_instance_uid"], rows["source"]
    is_unknown = uid.isna()
    if is_unknown.any():
        in_memory = source.str.startswith("<")  # "<bytes>" and its like are no names
        own = source + " " + rows["batch_id"] + " " + rows["instance"].astype("string")
        name = source.where(~in_memory, own)
        uid = uid.fillna(uid.groupby([name, *(rows[column] for column in PEER)], dropna=False).bfill())
        is_unknown = uid.isna()
        uid = uid.fillna(name)
    keys = rows[PEER].assign(uid=uid, is_unknown=is_unknown)
    return keys.groupby([*keys.columns], dropna=False, sort=False).ngroup()


def _is_missed(rows: pd.DataFrame) -> pd.Series[bool]:
    """Whether the newest verification of the instance did not find what was sent until then."""
    if "verified" not in rows.columns or "verified_at" not in rows.columns:
        return pd.Series(False, rows.index)
    # Of a ledger's frame they have dtypes, of a CSV file they are texts.
    verdicts = pd.DataFrame(
        {
            "key": rows["key"],
            "verified": rows["verified"].astype("string"),
            "at": pd.to_datetime(rows["verified_at"], utc=True, format="ISO8601"),
        }
    )
    verdicts = verdicts[verdicts["verified"].isin(["yes", "no"])].sort_values("at", kind="stable")
    newest = verdicts.drop_duplicates("key", keep="last").set_index("key")
    missed_at = newest["at"].where(newest["verified"] == "no")
    found_missing = missed_at.reindex(rows["key"]).set_axis(rows.index)
    return found_missing.notna() & ~(rows["moment"] > found_missing)
