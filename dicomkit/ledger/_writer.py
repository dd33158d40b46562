"""One batch's way into a ledger: rows come from any thread, and are written in groups.

A group is committed by the worker whose row completes it. Such a commit (`synchronous` NORMAL) survives the end of
this process, and does not wait for the disk. Four times a second the thread that runs the batch commits what makes no
group, and has the system bring the write-ahead log to the disk, for which no worker waits. A power cut costs the rows
since then, and no more.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from dicomkit.errors import LedgerError
from dicomkit.ledger._file import (
    Watch,
    as_text,
    damaged,
    named,
    open_for_writing,
    open_log,
    reading,
    sync,
    transaction,
)
from dicomkit.ledger._ledger import read_rows
from dicomkit.ledger._schema import VALUE_COLUMNS
from dicomkit.results import COLUMNS, Outcome, encodable

if TYPE_CHECKING:
    from dicomkit.results import Row, SendResult
    from dicomkit.settings import DicomSenderSetting

# How far the ledger may be behind the wire, when the process is killed: a group that is being committed and one that
# comes together meanwhile make 200 rows, and a row waits 0.5 s at most for others.
GROUP_ROWS = 100
TICK_SECONDS = 0.25

# Rows in one statement, which is cheaper than a statement each. With 23 columns it stays below the 999 parameters of
# an old SQLite.
_ROWS_AT_ONCE = 20

_LIST = """
    INSERT INTO stored_instances SELECT sop_instance_uid, id FROM attempt_values
    WHERE id > (SELECT up_to FROM listed) AND outcome IN ('stored', 'stored_with_warning')
    ORDER BY sop_instance_uid, id
"""
# With nothing new it changes no page, and so there is none to wait for.
_LISTED = """
    UPDATE listed SET up_to = (SELECT max(id) FROM attempt_values)
    WHERE up_to < (SELECT max(id) FROM attempt_values)
"""
_ADD_BATCH = """
    INSERT INTO batches (batch_id, started_at, calling_aet, called_aet, host, port, setting_id, setting_name,
                         dicomkit_version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNT = """
    UPDATE batches SET attempts = ?, instances = ?, stored = ?, skipped = ?, failed = ? WHERE number = ?
"""
_END = "UPDATE batches SET ended_at = ?, interrupted = ? WHERE number = ?"


class LedgerWriter:
    """A ledger, open for one batch; made where there is none. May raise LedgerError."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.trouble = ""  # what keeps rows from the ledger, for good; those are kept in memory then
        self.is_lost = False  # no longer gives the rows that it had: all that can be had are in memory
        self._batch_id = ""
        self._batch: int | None = None
        self._waiting: list[tuple[Row, str]] = []
        self._written = 0
        self._read_back: list[Row] = []
        self._counts = [0, 0, 0, 0, 0]  # attempts, instances, stored, skipped, failed
        self._adding = Lock()
        self._committing = Lock()
        self._is_on_disk = True
        self._log: int | None = None
        self._connection = open_for_writing(self.path)
        try:
            with named(self.path), transaction(self._connection):
                pass  # a ledger that is read-only says so now
            self._watch = Watch(self.path)
        except BaseException:
            self._connection.close()
            raise

    def list_stored(self) -> None:
        """Have the list of what is stored reach to the newest row, before a batch begins. May raise
        LedgerError.
        """
        with named(self.path), transaction(self._connection):
            self._connection.execute(_LIST)
            self._connection.execute(_LISTED)

    def begin(self, batch_id: str, setting: DicomSenderSetting) -> None:
        """Write that a batch begins. May raise LedgerError."""
        from dicomkit import __version__

        values = (
            batch_id,
            as_text(datetime.now(UTC)),
            encodable(setting.our_aet),
            encodable(setting.remote_aet),
            encodable(setting.remote_host),
            setting.remote_port,
            setting.id,
            encodable(setting.name),
            __version__,
        )
        with named(self.path):
            with transaction(self._connection):
                self._batch = self._connection.execute(_ADD_BATCH, values).lastrowid
            # From here on; what is committed is brought to the disk by `keep_up`.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._log = open_log(self.path)
        self._batch_id = batch_id

    def add(self, result: SendResult, fingerprint: str, *, is_final: bool) -> None:
        """Take a row, from any thread; the one that completes a group commits it."""
        row = result.as_row()  # now, while the processor has its values at hand
        with self._adding:
            self._waiting.append((row, fingerprint))
            counts = self._counts
            counts[0] += 1
            if is_final:
                counts[1] += 1
                outcome = result.outcome
                counts[2 if outcome.is_stored else 3 if outcome is Outcome.SKIPPED else 4] += 1
            is_complete = len(self._waiting) >= GROUP_ROWS
        if is_complete and not self.trouble:
            with self._committing:
                if len(self._waiting) >= GROUP_ROWS:  # or else another thread was faster
                    self._commit()

    def keep_up(self) -> float:
        """Commit what waits, and have all of it on the disk; return in how many seconds to call this again."""
        with self._committing:
            if self._waiting:
                self._commit()
            else:
                self._look()
        self._bring_to_disk()
        return TICK_SECONDS

    def fail(self, error: LedgerError) -> None:
        """Write nothing more; the rows that wait, and all that follow, are kept in memory."""
        self.trouble = self.trouble or str(error)

    def close(self, *, interrupted: bool) -> None:
        """Write what waits, and that the batch has ended."""
        if self._batch is not None:
            with self._committing:
                self._commit(end=(as_text(datetime.now(UTC)), interrupted))
                self._expect_rows()
            self._bring_to_disk()  # other processes may have it open, so that closing it need not do so
        if self._log is not None:
            if self.is_lost:
                self._watch.remove_log(self._log)
            os.close(self._log)
        self._connection.close()

    def rows(self) -> Iterator[Row]:
        """The rows of the batch: those in the ledger, and those that are in memory still. May raise LedgerError."""
        with self._adding:
            in_memory = [*self._read_back, *(row for row, _ in self._waiting)]
        if not self.is_lost:
            with reading(self.path) as connection:
                yield from read_rows(connection, self._batch_id, latest=False)
        yield from in_memory

    def _look(self) -> None:
        """Whether the file is still there."""
        if not self.trouble:
            try:
                self._watch.look()
            except LedgerError as error:
                self.fail(error)

    def _expect_rows(self) -> None:
        """Who opens the ledger from now on finds what was written; or else it is read back while we have it open.

        SQLite goes on reading a file that was deleted, and of a damaged one what its log and its cache have.
        """
        try:
            self._watch.look()
            with reading(self.path) as connection:
                held = connection.execute(
                    "SELECT attempts FROM batches WHERE batch_id = ?", (self._batch_id,)
                )
                if held.fetchone() != (self._written,):
                    raise damaged(self.path, "it lacks what was written to it")
                self._watch.expect_sound(connection)
        except LedgerError as error:
            self.fail(error)
            self.is_lost = True
            with suppress(sqlite3.Error):
                self._read_back += read_rows(self._connection, self._batch_id, latest=False)
            if missing := self._written - len(self._read_back):
                self.trouble += f"; {missing} rows are lost with it"

    def _bring_to_disk(self) -> None:
        """Without a lock: who commits meanwhile does not wait."""
        if self._is_on_disk or self.trouble or self._log is None:
            return
        self._is_on_disk = True
        try:
            with named(self.path):
                sync(self._log)
        except LedgerError as error:
            self.fail(error)

    def _commit(self, *, end: tuple[str, bool] | None = None) -> None:
        """Write what waits as one group: all of it or, upon trouble, nothing. Called with `_committing` held."""
        with self._adding:
            if self.trouble:
                return
            group, self._waiting = self._waiting, []
            counts = tuple(self._counts)
        try:
            self._watch.look()
            with named(self.path), transaction(self._connection):
                for begin in range(0, len(group), _ROWS_AT_ONCE):
                    rows = group[begin : begin + _ROWS_AT_ONCE]
                    self._connection.execute(_add_rows(len(rows)), self._values(rows))
                self._connection.execute(_COUNT, (*counts, self._batch))
                if end is not None:
                    self._connection.execute(_END, (*end, self._batch))
            self._written = counts[0]
            self._is_on_disk = False
        except BaseException as error:
            with self._adding:
                self._waiting[:0] = group
                if not isinstance(error, LedgerError):
                    raise
                self.fail(error)

    def _values(self, rows: list[tuple[Row, str]]) -> list[Any]:
        """The values of these rows, one after the other."""
        values: list[Any] = []
        for row, fingerprint in rows:
            values.append(self._batch)
            values += _own(row)
            values.append(fingerprint or None)
            if (moment := row[_STARTED_AT]) is not None:
                values[_STARTED_AT_FROM_END] = as_text(moment)
        return values


@cache
def _add_rows(count: int) -> str:
    marks = ", ".join("?" * (1 + len(VALUE_COLUMNS)))
    rows = ", ".join([f"({marks})"] * count)
    return f"INSERT INTO attempt_values (batch, {', '.join(VALUE_COLUMNS)}) VALUES {rows}"


_own = itemgetter(*map(COLUMNS.index, VALUE_COLUMNS[:-1]))
_STARTED_AT = COLUMNS.index("started_at")
_STARTED_AT_FROM_END = VALUE_COLUMNS.index("started_at") - len(VALUE_COLUMNS)
