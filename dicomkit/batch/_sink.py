"""Where the rows and associations of a batch go, and what it tells its listener.

Rows go to a ledger and a results file when there are any, and are kept in memory only when there are none, or
when the disk is full: then the ledger or file has the first rows and the memory has the rest, so that none is
lost.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from os import PathLike
from threading import Lock, RLock
from typing import TYPE_CHECKING

from dicomkit.batch._packed_rows import PackedRows
from dicomkit.events import AssociationClosed, AssociationOpened, Event, RowAdded
from dicomkit.results import Outcome, SendResult

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from dicomkit.batch._worker import Carrier, Request
    from dicomkit.ledger import LedgerWriter, Resume
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.wire.association import Association
    from dicomkit.wire.socket import Peer

Listener = Callable[[Event], object]


MOMENT = "datetime64[us, UTC]"
# The columns of `Batch.associations`: a row for each association, also for one that did not come about.
ASSOCIATION_DTYPES = {
    "association": "int64",
    "opened_at": MOMENT,
    "closed_at": MOMENT,
    "ended": "string",
    "peer_implementation_uid": "string",
    "peer_implementation_version": "string",
    "max_pdu": "Int64",
    "contexts_proposed": "int64",
    "contexts_accepted": "Int64",
    "instances": "int64",
    "size_bytes": "int64",
}


class Sink:
    """The rows of one batch, added from any thread."""

    def __init__(
        self,
        results: str | PathLike[str] | None,
        on_event: Listener | None,
        ledger: str | PathLike[str] | None = None,
    ) -> None:
        # How many instances ended in which outcome, and how many were skipped since the ledger holds them as
        # stored.
        self.finals: Counter[Outcome] = Counter()
        self.held = 0
        # What kept rows from the ledger or the results file, in a sentence.
        self.trouble = ""
        # Called, once, when the listener wants everything to end: by a SystemExit or KeyboardInterrupt, say.
        self.on_stop: Callable[[], None] = lambda: None
        self.stopped_by = ""  # what it raised, in a sentence
        self.has_listener = on_event is not None
        self._associations: list[tuple[object, ...]] = []
        self._on_event = on_event
        self._listener_failed = False
        self._lock = Lock()
        self._telling = RLock()
        self._rows = PackedRows()
        self._unwritten: deque[SendResult] = deque()
        self._file = None
        self._path: str | PathLike[str] | None = None
        self._in_file = 0
        self._ledger: LedgerWriter | None = None
        self._resume: Resume | None = None
        if ledger is not None:
            from dicomkit.ledger import LedgerWriter

            self._ledger = LedgerWriter(ledger)
        if results is not None:
            from dicomkit.results import ResultsFile

            try:
                self._file = ResultsFile(results)
            except BaseException:
                self.close()
                raise
            self._path = results

    def resume(self, peer: Peer, batch_id: str, *, skips: bool) -> Resume | None:
        """What to look instances up with in the ledger; None without one. May raise LedgerError."""
        if self._ledger is not None:
            from dicomkit.ledger import Resume

            self._resume = Resume(self._ledger, peer, batch_id, skips=skips)
        return self._resume

    def begin(self, batch_id: str, setting: DicomSenderSetting) -> None:
        """Tell the ledger that a batch begins. May raise LedgerError."""
        if self._ledger is not None:
            self._ledger.begin(batch_id, setting)

    @property
    def ledger_path(self) -> Path | None:
        """The ledger that the rows are written to, if there is one."""
        return None if self._ledger is None else self._ledger.path

    @property
    def ledger_trouble(self) -> str:
        """What keeps rows from the ledger, if there is one and anything does."""
        return "" if self._ledger is None else self._ledger.trouble

    def keep_up(self) -> float | None:
        """Bring the ledger up to date; return in how many seconds to do so again, None without one."""
        return None if self._ledger is None else self._ledger.keep_up()

    def add(
        self, result: SendResult, *, is_final: bool, fingerprint: str = "", is_held: bool = False
    ) -> None:
        """Keep a row, and tell of it."""
        with self._lock:
            if is_final:
                self.finals[result.outcome] += 1
                self.held += is_held
            if self._file is not None:
                self._write(result)
            elif self._ledger is None:
                self._rows.append(result.as_row())
        if self._ledger is not None:
            self._ledger.add(result, fingerprint, is_final=is_final)
        if self._on_event is not None:
            self.tell(RowAdded(result, is_final))

    def tell(self, event: Event) -> None:
        """Hand an event to the listener; never with a lock that the listener might need."""
        if self._on_event is None:
            return
        with self._telling:
            try:
                self._on_event(event)
            except Exception:
                if not self._listener_failed:  # a listener that is broken would fill the log
                    self._listener_failed = True
                    from logging import getLogger

                    name = type(event).__name__
                    getLogger("dicomkit").exception("on_event failed upon %s; said once in a batch", name)
            except BaseException as error:  # noqa: BLE001 - it wants an end: a cancel
                is_first = not self.stopped_by
                self.stopped_by = f"on_event raised {type(error).__name__}, which ended the batch"
                if is_first:
                    self.on_stop()

    def opened(self, number: int, association: Association) -> None:
        """An association was accepted."""
        if self.has_listener:
            contexts = tuple(
                (
                    asked.id,
                    asked.abstract_syntax,
                    asked.transfer_syntaxes,
                    reply.result,
                    reply.transfer_syntax,
                )
                for asked, reply in association.contexts.values()
            )
            peer = association.peer_implementation_uid, association.peer_implementation_version
            self.tell(AssociationOpened(number, *peer, association.max_pdu, contexts))

    def closed(self, request: Request, ended: str, carrier: Carrier | None = None) -> None:
        """An association has ended, or (None) did not come about."""
        peer = None if carrier is None else carrier.association
        instances, size_bytes = (carrier.instances, carrier.size_bytes) if carrier else (0, 0)
        row = (
            request.number,
            request.started_at if peer else None,
            datetime.now(UTC),
            ended,
            peer.peer_implementation_uid or None if peer else None,
            peer.peer_implementation_version or None if peer else None,
            peer.max_pdu if peer else None,
            request.proposed,
            peer.accepted_count if peer else None,
            instances,
            size_bytes,
        )
        with self._lock:
            self._associations.append(row)
        self.tell(AssociationClosed(request.number, ended, instances))

    def close(self, *, interrupted: bool = False) -> None:
        """Finish the ledger and the results file."""
        if self._resume is not None:
            self._resume.close()
        if self._ledger is not None:
            self._ledger.close(interrupted=interrupted)
            if self._ledger.trouble:
                which = "all rows that are left" if self._ledger.is_lost else "the rows after that"
                self._note_trouble(
                    f"{self._ledger.trouble}; {which} are in memory only: save them with to_frame()"
                )
        with self._lock:
            if self._file is not None:
                try:
                    self._file.close()
                except OSError as error:
                    self._give_up_file(error)
                else:
                    self._forget_written()

    def to_frame(self, *, latest: bool) -> pd.DataFrame:
        """All rows, by instance and attempt; with `latest` only the last of each instance."""
        import pandas as pd

        from dicomkit.results import frame_of_rows

        with self._lock:
            frame = frame_of_rows(self._rows if self._ledger is None else self._ledger.rows())
        if self._path is not None and self._in_file:
            from dicomkit.results import read_in_file_order

            frame = pd.concat([read_in_file_order(self._path).head(self._in_file), frame], ignore_index=True)
        frame = frame.sort_values(["instance", "attempt"], kind="stable", ignore_index=True)
        if latest:
            frame = frame.drop_duplicates("instance", keep="last", ignore_index=True)
        return frame

    def associations_frame(self) -> pd.DataFrame:
        """A row for each association, in the order of their numbers."""
        import pandas as pd

        with self._lock:
            frame = pd.DataFrame(self._associations, columns=list(ASSOCIATION_DTYPES))
        for name in ("opened_at", "closed_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        return frame.astype(ASSOCIATION_DTYPES).sort_values("association", ignore_index=True)

    def _write(self, result: SendResult) -> None:
        assert self._file is not None
        if self._ledger is None:
            self._unwritten.append(result)
        try:
            self._file.write(result)
        except OSError as error:
            self._give_up_file(error)
        else:
            self._forget_written()

    def _give_up_file(self, error: OSError) -> None:
        """The disk is full, say: the file keeps the rows that it has, the memory those it may not have."""
        self._file = None
        for result in self._unwritten:
            self._rows.append(result.as_row())
        where = "in memory only: save them with to_frame()" if self._ledger is None else "in the ledger"
        self._note_trouble(f"{error}; the rows after that are {where}")

    def _note_trouble(self, trouble: str) -> None:
        self.trouble = "; ".join(filter(None, (self.trouble, trouble)))

    def _forget_written(self) -> None:
        """Rows that the file holds need not be held here."""
        assert self._file is not None
        if self._ledger is not None:
            return
        while self._in_file < self._file.rows_written:
            self._unwritten.popleft()
            self._in_file += 1
