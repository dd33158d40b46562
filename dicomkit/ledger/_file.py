"""The file of a ledger: the one way to open it, which harms no file that is something else.

It is an SQLite database in WAL mode, with the tables of `_schema`. Its application ID tells a ledger from other
databases before anything is written, and one of another version is refused.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from dicomkit._support.files import OWNER_ONLY, as_draft, for_owner, give_name
from dicomkit.errors import LedgerError, without_folder
from dicomkit.ledger._schema import APPLICATION_ID, SCHEMA_VERSION, expect_tables, make_tables

# How long another process may hold the ledger before that is an error. Its groups take milliseconds.
_BUSY_SECONDS = 30.0

_HEADER_BYTES = 100  # of an SQLite database

# Of the write-ahead log, 4 KB each, before it goes into the file itself, for which a sender waits: four times SQLite's
# default, which makes that once in some 25,000 rows.
_CHECKPOINT_PAGES = 4000


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a ledger, or make one that only its owner may read; every function here may raise LedgerError.

    `synchronous` is FULL: when a commit returns, all that was committed so far is on the disk.
    """
    with named(path):
        # What a symbolic link points to may have to be made still.
        if not os.path.lexists(target := Path(os.path.realpath(path))):
            _make(target)
        elif _is_empty(path):
            path.chmod(OWNER_ONLY)
        else:
            _refuse_others(path)
        connection = _connect(path, "mode=rw")
        try:
            _prepare(connection, path)
            expect_tables(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def open_log(path: Path) -> int:
    """A descriptor of the write-ahead log, for `sync`; it is there as long as a connection is open."""
    return os.open(_wal_of(path), os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))


class Watch:
    """Notices when an open ledger is no longer the file at its path, which SQLite would go on writing to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with named(path):
            status = path.stat()
        self._file = _identity(status)
        self._written_ns = status.st_mtime_ns

    def look(self) -> None:
        """Raise LedgerError when the file was deleted, replaced or emptied."""
        with named(self._path):
            try:
                status = self._path.stat()
            except FileNotFoundError:
                raise LedgerError(self._path, f"it was deleted while it was written to; {_AGAIN}") from None
            if _identity(status) != self._file:
                raise LedgerError(self._path, f"another file took its place meanwhile; {_AGAIN}")
            if status.st_size < _HEADER_BYTES:
                raise damaged(self._path, "it was emptied while it was written to")

    def expect_sound(self, connection: sqlite3.Connection) -> None:
        """Raise LedgerError when the file was damaged meanwhile, by what a connection that reads it finds.

        All of it is only read when it was written to: by us too, when the log has grown long.
        """
        with named(self._path):
            if self._path.stat().st_mtime_ns == self._written_ns:
                return
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(self._path, "something else wrote to it")

    def remove_log(self, descriptor: int) -> None:
        """Take the log (by `open_log`) from where the ledger was, if that is gone.

        SQLite reads whatever log lies beside a file into it, also beside another ledger that took the place of ours.
        """
        log = _wal_of(self._path)
        with suppress(FileNotFoundError):
            if _identity(self._path.stat()) == self._file:
                return
        with suppress(OSError):  # what cannot be removed is no worse than what there was
            if _identity(log.stat()) == _identity(os.fstat(descriptor)):
                log.unlink()
                log.with_name(log.name.removesuffix("-wal") + "-shm").unlink()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def sync(descriptor: int) -> None:
    """Wait until what was written to a file is on the disk; on macOS fsync alone leaves it in the drive's cache."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees the ledger as it is now, whoever writes to it meanwhile."""
    with named(path):
        if not _is_empty(path):
            _refuse_others(path)
        with closing(connect_for_reading(path)) as connection:
            connection.execute("BEGIN")
            yield connection


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction on a ledger: committed at the end of the block, undone when it raises."""
    with reading(path):
        pass  # it must be there
    with closing(open_for_writing(path)) as connection, named(path), transaction(connection):
        yield connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction, begun at once so that it waits for others before it has read anything."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Make whatever the operating system or SQLite says a LedgerError that names the file and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(path, _reason(error)) from error
    except FileNotFoundError as error:
        raise LedgerError(path, "there is no such file or folder; check the path") from without_folder(error)
    except IsADirectoryError as error:
        raise LedgerError(path, _NO_FILE) from without_folder(error)
    except OSError as error:
        without_folder(error)
        raise LedgerError(path, f"{error.strerror or error}; {_ELSEWHERE}") from error
    except ValueError as error:  # a NUL in the path, for one
        raise LedgerError(path, f"{error}; {_ELSEWHERE}") from error


def damaged(path: Path, what: object) -> LedgerError:
    """The error for a ledger that holds what none of ours does."""
    return LedgerError(path, f"{what}: {_DAMAGED}")


def as_text(moment: datetime) -> str:
    """A moment as the ledger has it."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


_ELSEWHERE = "name another file for the ledger"
_AGAIN = "find out what does so, then send again"
_NO_FILE = f"it is a folder, pipe or device, not a file; {_ELSEWHERE}"
_DAMAGED = (
    f"it is damaged; {_ELSEWHERE}, and keep this one: `sqlite3 FILE .recover` may get most of its rows back"
)
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; make room, then send again to resume",
    sqlite3.SQLITE_IOERR: f"the disk does not take it (full, over a quota, or failing); make room or {_ELSEWHERE}",
    sqlite3.SQLITE_READONLY: f"the file or its folder is read-only; {_ELSEWHERE}",
    sqlite3.SQLITE_CANTOPEN: f"the file or its folder may not be read or written; {_ELSEWHERE}",
    sqlite3.SQLITE_PERM: f"the file or its folder may not be read or written; {_ELSEWHERE}",
    sqlite3.SQLITE_BUSY: f"another process has kept it locked for {_BUSY_SECONDS:g} s; find and end that one",
    sqlite3.SQLITE_NOTADB: f"it is no ledger, nor any SQLite database; {_ELSEWHERE}",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
}


def _code(error: sqlite3.Error) -> int:
    # The primary result code is the lowest byte of the extended one; errors of the module itself have none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _reason(error: sqlite3.Error) -> str:
    return _REASONS.get(_code(error)) or f"{error}: {_DAMAGED}"  # no such table, say


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def connect_for_reading(path: Path) -> sqlite3.Connection:
    # SQLite itself falls back to read-only where it may not write.
    connection = _connect(path, "mode=rw")
    try:
        if not _version(path, connection):  # killed before its first batch: a ledger without rows
            connection.close()
            connection = sqlite3.connect(":memory:", isolation_level=None)
            make_tables(connection)
        connection.execute("PRAGMA query_only = ON")
        expect_tables(connection)
        return connection
    except sqlite3.Error as error:
        connection.close()
        # In a folder where nothing can be made, WAL mode has no place for its index. Nobody can be writing there.
        if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or _wal_of(path).exists():
            raise
    except BaseException:
        connection.close()
        raise
    return _connect(path, "mode=ro&immutable=1")


def _wal_of(path: Path) -> Path:
    # Where the path is a symbolic link, SQLite has it beside the target.
    return Path(os.path.realpath(path) + "-wal")


def _is_empty(path: Path) -> bool:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise LedgerError(path, _NO_FILE)
    return status.st_size == 0


def _refuse_others(path: Path) -> None:
    """Raise LedgerError, and leave the file as it is, when it is no ledger, or one of another version."""
    try:
        found = _look(path, "mode=ro&immutable=1")
    except sqlite3.DatabaseError as error:
        if _code(error) != sqlite3.SQLITE_CORRUPT:
            raise
        found = _look(path, "mode=ro")  # it was growing just then, or it is damaged
    if found != APPLICATION_ID:
        raise LedgerError(path, f"it is an SQLite database, but no ledger; {_ELSEWHERE}")


def _look(path: Path, options: str) -> int:
    with closing(_connect(path, options)) as connection:
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        if found == APPLICATION_ID:
            _version(path, connection)
        return int(found)


def _version(path: Path, connection: sqlite3.Connection) -> int:
    """The version of its schema, or 0 where nothing was written yet; LedgerError when that is none of ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA_VERSION):
        raise LedgerError(
            path,
            f"it was written by another version of dicomkit (schema {version}; this one knows {SCHEMA_VERSION}); "
            f"update dicomkit, or {_ELSEWHERE}",
        )
    return int(version)


def _make(path: Path) -> None:
    """Make a new ledger under another name, and give it its own when it is whole: so it is never met half made."""
    with as_draft(path) as draft:
        # Not by SQLite, which would let others read it for a moment. Nobody else has it open, so closing it takes no
        # locks away, as POSIX has it for any descriptor of a file.
        FileIO(draft, "x", opener=for_owner).close()
        with closing(_connect(draft, "mode=rw")) as connection:
            _prepare(connection, path)
        with suppress(FileExistsError):  # another process was faster
            give_name(draft, path)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves it in the cache of the drive
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    if not _version(path, connection):
        # Not in WAL mode yet, so that the application ID is in the file itself, by which others know it.
        with transaction(connection):
            if not _version(path, connection):  # or another process was faster
                make_tables(connection)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            path, f"SQLite's WAL mode does not work there (a network folder?); {_ELSEWHERE}, on a local disk"
        )
