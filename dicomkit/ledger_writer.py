"""One batch's way into a ledger: rows in from any thread, groups out from one, and nobody waits for the disk.

Strategy: workers leave their rows here; the thread that conducts the batch commits them, when half a group is
together or a quarter of a second has passed. A worker waits only when a whole group is not on the disk yet, so the
ledger is never more than that behind the wire.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Event, get_ident
from typing import TYPE_CHECKING, Any

from dicomkit.errors import LedgerError
from dicomkit.ledger import read_rows
from dicomkit.ledger_file import as_text, named, open_for_writing, reading, transaction
from dicomkit.results import COLUMNS, Outcome, SendResult

if TYPE_CHECKING:
    from dicomkit.settings import DicomSenderSetting

__all__ = ["LedgerWriter", "GROUP_ROWS"]

# The most rows, and the longest time, by which the ledger may be behind the wire.
GROUP_ROWS = 200
GROUP_SECONDS = 0.5
# A group is committed well before that.
_DUE_ROWS = GROUP_ROWS // 2
_DUE_SECONDS = GROUP_SECONDS / 2

_STARTED_AT = COLUMNS.index("started_at")

_ADD_BATCH = """
    INSERT INTO batches (batch_id, started_at, calling_aet, called_aet, host, port, setting_id, setting_name,
                         dicomkit_version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_ROW = (
    f"INSERT INTO attempts ({', '.join(COLUMNS)}, fingerprint) VALUES ({', '.join('?' * len(COLUMNS))}, ?)"
)
_COUNT = """
    UPDATE batches SET attempts = ?, instances = ?, stored = ?, skipped = ?, failed = ? WHERE batch_id = ?
"""
_END_BATCH = "UPDATE batches SET ended_at = ?, interrupted = ? WHERE batch_id = ?"


class LedgerWriter:
    """A ledger, open for one batch.

    Parameters
    ----------
    path : str or path-like
        An existing ledger, or where a new one is made.

    Attributes
    ----------
    path : Path
    trouble : str
        What keeps rows from the ledger, in a sentence, and that for good; empty when nothing does. The rows that it
        does not have are kept in memory then.

    Raises
    ------
    LedgerError
        It cannot be made, opened or written, is no ledger, or is one of a later version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.trouble = ""
        self._batch_id = ""
        self._waiting: list[tuple[SendResult, str]] = []
        self._counts = [0, 0, 0, 0, 0]  # attempts, instances, stored, skipped, failed
        self._changed = Condition()
        self._due = Event()
        self._committer = 0
        self._connection = open_for_writing(self.path)
        try:
            with named(self.path), transaction(self._connection):
                pass  # a ledger that is read-only says so now
        except BaseException:
            self._connection.close()
            raise

    def begin(self, batch_id: str, setting: DicomSenderSetting) -> None:
        """Write that a batch begins; from here on this thread commits its rows. May raise LedgerError."""
        from dicomkit import __version__

        self._committer = get_ident()
        with named(self.path), transaction(self._connection):
            self._connection.execute(
                _ADD_BATCH,
                (
                    batch_id,
                    as_text(datetime.now(UTC)),
                    setting.our_aet,
                    setting.remote_aet,
                    setting.remote_host,
                    setting.remote_port,
                    setting.id,
                    setting.name,
                    __version__,
                ),
            )
        self._batch_id = batch_id

    def add(self, result: SendResult, fingerprint: str, *, is_final: bool) -> None:
        """Take a row, from any thread; it waits while a whole group is not on the disk."""
        commits = get_ident() == self._committer
        with self._changed:
            while len(self._waiting) >= GROUP_ROWS and not commits and not self.trouble:
                self._changed.wait()
            self._waiting.append((result, fingerprint))
            counts = self._counts
            counts[0] += 1
            if is_final:
                counts[1] += 1
                outcome = result.outcome
                counts[2 if outcome.is_stored else 3 if outcome is Outcome.SKIPPED else 4] += 1
            waiting = len(self._waiting)
        if commits and waiting >= GROUP_ROWS:
            self.commit()
        elif waiting >= _DUE_ROWS:
            self._due.set()

    def wake(self) -> None:
        """Have `keep_up` return at once."""
        self._due.set()

    def keep_up(self) -> None:
        """Wait until a group is due, and commit it."""
        self._due.wait(_DUE_SECONDS)
        self._due.clear()
        self.commit()

    def commit(self) -> None:
        """Write what waits as one group: all of it or, upon trouble, nothing."""
        with self._changed:
            group = list(self._waiting)
            counts = tuple(self._counts)
        if not group or self.trouble:
            return
        try:
            with named(self.path), transaction(self._connection):
                self._connection.executemany(_ADD_ROW, map(_as_stored, group))
                self._connection.execute(_COUNT, (*counts, self._batch_id))
        except LedgerError as error:
            self.fail(error)
            return
        with self._changed:
            del self._waiting[: len(group)]
            self._changed.notify_all()

    def fail(self, error: LedgerError) -> None:
        """Write nothing more; the rows that wait, and all that follow, are kept in memory."""
        with self._changed:
            self.trouble = self.trouble or str(error)
            self._changed.notify_all()
        self._due.set()

    def close(self, *, interrupted: bool) -> None:
        """Write what waits, and that the batch has ended; closing twice does nothing."""
        if self._batch_id:
            self.commit()
            if not self.trouble:
                try:
                    with named(self.path), transaction(self._connection):
                        self._connection.execute(
                            _END_BATCH, (as_text(datetime.now(UTC)), interrupted, self._batch_id)
                        )
                except LedgerError as error:
                    self.fail(error)
        self._connection.close()

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the batch: those in the ledger, and those that are in memory still. May raise LedgerError."""
        with self._changed:
            in_memory = [result.as_row() for result, _ in self._waiting]
        with reading(self.path) as connection:
            yield from read_rows(connection, self._batch_id, latest=False)
        yield from in_memory


def _as_stored(row: tuple[SendResult, str]) -> list[Any]:
    result, fingerprint = row
    values = [*result.as_row(), fingerprint or None]
    if result.started_at is not None:
        values[_STARTED_AT] = as_text(result.started_at)
    return values
