"""A ledger as it is read: in the columns of every other frame of results; and what a verification adds to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dicomkit._support.frozen import Frozen
from dicomkit.errors import LedgerError
from dicomkit.ledger._file import as_text, damaged, reading, writing
from dicomkit.results import COLUMNS

if TYPE_CHECKING:
    import sqlite3

    import pandas as pd

    from dicomkit.results import Row

Verified = Literal["yes", "no", "unknown"]

VERIFICATION_COLUMNS = ("verified", "verified_by", "verified_at", "verify_detail", "transaction_uid")
"""What `Ledger.to_frame` adds to the columns of `dicomkit.results.COLUMNS` once anything was verified."""

_STARTED_AT = COLUMNS.index("started_at")

_BATCH_KINDS = {
    "batch_id": "string",
    "started_at": "datetime64[us, UTC]",
    "ended_at": "datetime64[us, UTC]",
    "calling_aet": "string",
    "called_aet": "string",
    "host": "string",
    "port": "int64",
    "setting_id": "string",
    "setting_name": "string",
    "dicomkit_version": "string",
    "attempts": "int64",
    "instances": "int64",
    "stored": "int64",
    "skipped": "int64",
    "failed": "int64",
    "interrupted": "bool",
}


class Verdict(Frozen, kw_only=True):
    """What a verification found out about one instance of a batch.

    Attributes
    ----------
    batch_id, instance : str, int
        Which row, as in the columns of the same names.
    verified : {"yes", "no", "unknown"}
    verified_by : str
        The method: ``find``, ``commit`` or ``get``.
    verified_at : datetime
        Aware.
    verify_detail : str
        One sentence.
    transaction_uid : str, optional
        Of a storage commitment (PS3.4 J.3.2), by which a later report is recognised.
    """

    batch_id: str
    instance: int
    verified: Verified
    verified_by: str
    verified_at: datetime
    verify_detail: str
    transaction_uid: str | None = None


class Ledger:
    """A ledger that `send_batch` wrote, or is writing: every call sees it as it is then.

    It stands for the path wherever a path is taken, and holds nothing open.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    LedgerError
        There is none, it is no ledger, is damaged, or was written by a later version of dicomkit; every method may
        raise it. The file is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with reading(self.path):
            pass

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        return f"<Ledger {self.path.name}>"

    def to_frame(self, batch_id: str | None = None, latest: bool = True) -> pd.DataFrame:
        """Return the rows of one batch, or of all of them, oldest first, by instance and attempt.

        Parameters
        ----------
        batch_id : str, optional
            Of which batch; by default of all.
        latest : bool
            Only the last attempt of each instance of each batch, rather than every attempt.

        Returns
        -------
        pandas.DataFrame
            The columns and dtypes of every frame of results. Those of `VERIFICATION_COLUMNS` follow when an
            instance among the rows was verified: what the newest verification found.

        Raises
        ------
        LedgerError
            It holds no batch of that ID, too.
        """
        from dicomkit.results import frame_of_rows

        with reading(self.path) as connection:
            batches = [one for (one,) in connection.execute("SELECT batch_id FROM batches ORDER BY rowid")]
            if batch_id is not None:
                if batch_id not in batches:
                    raise LedgerError(self.path, f"it has no batch {batch_id}; batches() lists those it has")
                batches = [batch_id]
            frame = _undamaged(
                self.path,
                lambda: frame_of_rows(
                    row for one in batches for row in read_rows(connection, one, latest=latest)
                ),
            )
            verdicts = {
                (one, instance): found
                for one in batches
                for instance, *found in connection.execute(_VERDICTS, (one,))
            }
        return frame if not verdicts else _with_verdicts(frame, verdicts)

    def batches(self) -> pd.DataFrame:
        """Return a row for each batch, oldest first.

        Returns
        -------
        pandas.DataFrame
            `batch_id`, `started_at`, `ended_at` (null while it runs, and when it was killed), the peer, the
            setting's ID and name, `dicomkit_version`; `attempts` and `instances` with a final row, of these
            `stored` (with a warning or without), `skipped` and `failed`; and `interrupted`.

        Raises
        ------
        LedgerError
            It cannot be read.
        """
        import pandas as pd

        with reading(self.path) as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_BATCH_KINDS)} FROM batches ORDER BY rowid"
            ).fetchall()
        frame = pd.DataFrame(rows, columns=[*_BATCH_KINDS], dtype=object)

        def typed() -> pd.DataFrame:
            for name in ("started_at", "ended_at"):
                frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
            return frame.astype(_BATCH_KINDS)

        return _undamaged(self.path, typed)

    def fingerprints(self, instances: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """By what the content was known when it was sent, of instances given by batch ID and number.

        Parameters
        ----------
        instances
            Batch ID and instance number of each.

        Returns
        -------
        dict of (str, int) to str
            As `dicomkit.ledger._resume.fingerprint` makes them; without those that the ledger has none of.

        Raises
        ------
        LedgerError
            It cannot be read.
        """
        found = {}
        with reading(self.path) as connection:
            for one in instances:
                row = connection.execute(_FINGERPRINT, one).fetchone()
                if row is not None and row[0] is not None:
                    found[one] = str(row[0])
        return found

    def set_verified(self, verdicts: Iterable[Verdict]) -> None:
        """Add what a verification found; all of it, or, when that fails, nothing.

        An instance's newest verdict is the one that counts; older ones stay in the ledger. What was found missing
        or different is sent again by the next `send_batch` with this ledger.

        Parameters
        ----------
        verdicts
            One for each instance, of any batch of this ledger.

        Raises
        ------
        LedgerError
            The ledger has no such instance, or cannot be written.
        """
        with writing(self.path) as connection:
            for verdict in verdicts:
                added = connection.execute(
                    _ADD_VERDICT,
                    {name: getattr(verdict, name) for name in Verdict.__slots__}
                    | {"verified_at": as_text(verdict.verified_at)},
                )
                if not added.rowcount:
                    raise LedgerError(
                        self.path,
                        f"it has no instance {verdict.instance} in batch {verdict.batch_id}, so none was verified",
                    )


# The peer and the UID are copied, so that a later batch finds by them what was found missing.
_ADD_VERDICT = """
    INSERT INTO verifications (batch_id, instance, verified, verified_by, verified_at, verify_detail,
                               transaction_uid, sop_instance_uid, called_aet, host, port, up_to)
    SELECT batch_id, instance, :verified, :verified_by, :verified_at, :verify_detail,
           :transaction_uid, sop_instance_uid, called_aet, host, port, (SELECT max(id) FROM attempt_values)
    FROM attempts WHERE batch_id = :batch_id AND instance = :instance ORDER BY attempt DESC LIMIT 1
"""
_FINGERPRINT = (
    "SELECT fingerprint FROM attempts WHERE batch_id = ? AND instance = ? ORDER BY attempt DESC LIMIT 1"
)
_VERDICTS = (
    f"SELECT instance, {', '.join(VERIFICATION_COLUMNS)} FROM verifications WHERE batch_id = ? ORDER BY rowid"
)
_ROWS = f"SELECT {', '.join(COLUMNS)} FROM attempts AS one WHERE batch_id = ? %s ORDER BY instance, attempt"
_ONLY_LATEST = """
    AND NOT EXISTS (SELECT 1 FROM attempts AS later WHERE later.batch_id = one.batch_id
                    AND later.instance = one.instance AND later.attempt > one.attempt)
"""


def read_rows(connection: sqlite3.Connection, batch_id: str, *, latest: bool) -> Iterator[Row]:
    """Yield the rows of a batch as `SendResult.as_row` makes them, by instance and attempt."""
    for row in connection.execute(_ROWS % (_ONLY_LATEST if latest else ""), (batch_id,)):
        if (moment := row[_STARTED_AT]) is not None:
            row = (*row[:_STARTED_AT], datetime.fromisoformat(moment), *row[_STARTED_AT + 1 :])
        yield row


def _undamaged(path: Path, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return make()
    except (ValueError, TypeError, OverflowError) as error:
        raise damaged(path, f"a value is not of its column ({type(error).__name__})") from error


def _with_verdicts(frame: pd.DataFrame, verdicts: dict[tuple[str, int], list[str | None]]) -> pd.DataFrame:
    import pandas as pd

    nothing = [None] * len(VERIFICATION_COLUMNS)
    keys = zip(frame["batch_id"], frame["instance"], strict=True)
    rows = [verdicts.get(key, nothing) for key in keys]
    for name, values in zip(VERIFICATION_COLUMNS, zip(*rows, strict=True), strict=True):
        if name == "verified":
            frame[name] = pd.Categorical(values, ["yes", "no", "unknown"])
        elif name == "verified_at":
            moments = pd.to_datetime(pd.Series(values), utc=True, format="ISO8601")
            frame[name] = moments.astype("datetime64[us, UTC]")
        else:
            frame[name] = pd.array(list(values), dtype=pd.StringDtype())
    return frame
