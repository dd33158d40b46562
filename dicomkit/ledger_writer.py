"""One batch's way into a ledger: rows in from any thread, out in groups.

Strategy: a group is committed by the worker whose row completes it. Such a commit (`synchronous` NORMAL) survives the
end of this process, and does not wait for the disk. A thread of the ledger's own commits what makes no group, and has
the system bring the write-ahead log to the disk, four times a second; nobody waits for that. A power cut costs the
rows since then, and no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from dicomkit.errors import LedgerError
from dicomkit.ledger import read_rows
from dicomkit.ledger_file import as_text, named, open_for_writing, open_log, reading, sync, transaction
from dicomkit.results import ALWAYS_THERE, COLUMNS, Outcome, encodable
from dicomkit.statuses import status_category, status_meaning
from dicomkit.uids import uid_name

if TYPE_CHECKING:
    from dicomkit.results import SendResult
    from dicomkit.settings import DicomSenderSetting

__all__ = ["LedgerWriter", "GROUP_ROWS"]

# How far the ledger may be behind the wire, when the process is killed: a group that is being committed and one that
# comes together meanwhile make 200 rows, and a row waits 0.5 s at most for others.
GROUP_ROWS = 100
TICK_SECONDS = 0.25

# Rows in one statement, which is cheaper than a statement each, and lets go of Python less often. With 27 columns it
# stays below the 999 parameters of an old SQLite.
_ROWS_AT_ONCE = 34

_ADD_BATCH = """
    INSERT INTO batches (batch_id, started_at, calling_aet, called_aet, host, port, setting_id, setting_name,
                         dicomkit_version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNT = """
    UPDATE batches SET attempts = ?, instances = ?, stored = ?, skipped = ?, failed = ? WHERE batch_id = ?
"""
_END = "UPDATE batches SET ended_at = ?, interrupted = ? WHERE batch_id = ?"


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
        self._adding = Lock()
        self._committing = Lock()
        self._is_over = Event()
        self._crash: BaseException | None = None
        self._is_on_disk = True
        self._log: int | None = None
        self._thread = Thread(target=self._keep_up, name="dicomkit ledger", daemon=True)
        self._connection = open_for_writing(self.path)
        try:
            with named(self.path), transaction(self._connection):
                pass  # a ledger that is read-only says so now
        except BaseException:
            self._connection.close()
            raise

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
                self._connection.execute(_ADD_BATCH, values)
            # From here on; what is committed is brought to the disk by `_keep_up`.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._log = open_log(self.path)
        self._batch_id = batch_id
        self._thread.start()

    def add(self, result: SendResult, fingerprint: str, *, is_final: bool) -> None:
        """Take a row, from any thread; the one that completes a group commits it."""
        with self._adding:
            self._waiting.append((result, fingerprint))
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

    def fail(self, error: LedgerError) -> None:
        """Write nothing more; the rows that wait, and all that follow, are kept in memory."""
        self.trouble = self.trouble or str(error)

    def close(self, *, interrupted: bool) -> None:
        """Write what waits, and that the batch has ended."""
        if self._batch_id:
            self._is_over.set()
            self._thread.join()
            with self._committing:
                self._commit(end=(as_text(datetime.now(UTC)), interrupted))
            self._bring_to_disk()  # other processes may have it open, so that closing it need not do so
        if self._log is not None:
            os.close(self._log)
        self._connection.close()
        if self._crash is not None:
            raise self._crash

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the batch: those in the ledger, and those that are in memory still. May raise LedgerError."""
        with self._adding:
            in_memory = [result.as_row() for result, _ in self._waiting]
        with reading(self.path) as connection:
            yield from read_rows(connection, self._batch_id, latest=False)
        yield from in_memory

    def _keep_up(self) -> None:
        """Commit what makes no group, and have all of it on the disk, until the batch is over."""
        try:
            while not self._is_over.wait(TICK_SECONDS):
                with self._committing:
                    if self._waiting:
                        self._commit()
                self._bring_to_disk()
        except BaseException as error:  # noqa: BLE001 - a fault of ours: raised by `close`
            self._crash = error
            self.trouble = self.trouble or f"ledger {self.path.name}: {type(error).__name__}"

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
            with named(self.path), transaction(self._connection):
                for begin in range(0, len(group), _ROWS_AT_ONCE):
                    self._insert(group[begin : begin + _ROWS_AT_ONCE])
                self._connection.execute(_COUNT, (*counts, self._batch_id))
                if end is not None:
                    self._connection.execute(_END, (*end, self._batch_id))
            self._is_on_disk = False
        except BaseException as error:
            with self._adding:
                self._waiting[:0] = group
                if not isinstance(error, LedgerError):
                    raise
                self.fail(error)

    def _insert(self, rows: list[tuple[SendResult, str]]) -> None:
        values, statement = _values(rows), _add_rows(len(rows))
        try:
            self._connection.execute(statement, values)
        except UnicodeEncodeError:  # a name of a file that is no text, say; looked for only when it is there
            escaped = [encodable(value) if isinstance(value, str) else value for value in values]
            self._connection.execute(statement, escaped)


# What `SendResult.as_row` does, at half the price: the fields are taken in one call, what follows from them is known
# from the row before, and SQLite makes null of an empty text.
_DERIVED = ("status_category", "status_meaning", "sop_class_name", "started_at", "fingerprint")
_FIELDS = tuple(name for name in COLUMNS if name not in _DERIVED)
_fields_of = attrgetter(*("outcome._value_" if name == "outcome" else name for name in _FIELDS))


def _values(rows: list[tuple[SendResult, str]]) -> list[Any]:
    """The values of these rows, one after the other: `_FIELDS`, then `_DERIVED`."""
    values: list[Any] = []
    for result, fingerprint in rows:
        values += _fields_of(result)
        values += _words_of(result.status, result.sop_class_uid)
        values.append(None if result.started_at is None else as_text(result.started_at))
        values.append(fingerprint)
    return values


@lru_cache(256)
def _words_of(status: int | None, sop_class_uid: str | None) -> tuple[str | None, str | None, str | None]:
    name = uid_name(sop_class_uid) if sop_class_uid else None
    return (None, None, name) if status is None else (status_category(status), status_meaning(status), name)


@cache
def _add_rows(count: int) -> str:
    names = (*_FIELDS, *_DERIVED)
    marks = ", ".join("?" if name in ALWAYS_THERE else "NULLIF(?, '')" for name in names)
    return f"INSERT INTO attempts ({', '.join(names)}) VALUES {', '.join([f'({marks})'] * count)}"
