"""What a batch keeps of itself: its rows, its associations and who listens.

Rows go to a results file when there is one, and are kept in memory only when there is none, or when the disk is
full: then the file has the first rows and the memory has the rest, so that none is lost.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from threading import Lock, RLock
from typing import TYPE_CHECKING

from dicomkit.events import AssociationClosed, AssociationOpened, Event, RowAdded
from dicomkit.results import Outcome, SendResult

if TYPE_CHECKING:
    import pandas as pd

    from dicomkit.wire.association import Association

Listener = Callable[[Event], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRow:
    """One association of a batch, or one that did not come about; the columns of `Batch.associations`."""

    association: int
    opened_at: datetime | None
    closed_at: datetime
    ended: str
    peer_implementation_uid: str | None
    peer_implementation_version: str | None
    max_pdu: int | None
    contexts_proposed: int
    contexts_accepted: int | None
    instances: int
    size_bytes: int


class Record:
    """The rows of one batch, added from any thread.

    Attributes
    ----------
    finals : Counter of Outcome
        How many instances ended in which outcome.
    trouble : str
        What kept rows from the results file, in a sentence; empty when nothing did.
    """

    def __init__(self, results: str | PathLike[str] | None, on_event: Listener | None) -> None:
        self.finals: Counter[Outcome] = Counter()
        self.trouble = ""
        self.associations: list[AssociationRow] = []
        self._on_event = on_event
        self._lock = Lock()
        self._telling = RLock()
        self._rows: deque[SendResult] = deque()
        self._file = None
        self._path: str | PathLike[str] | None = None
        self._dropped = 0
        if results is not None:
            from dicomkit.results_file import ResultsFile

            self._file = ResultsFile(results)
            self._path = results

    @property
    def has_listener(self) -> bool:
        return self._on_event is not None

    def add(self, result: SendResult, *, is_final: bool) -> None:
        """Keep a row, and tell of it."""
        with self._lock:
            if is_final:
                self.finals[result.outcome] += 1
            self._rows.append(result)
            if self._file is not None:
                self._write(result)
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
                from logging import getLogger

                getLogger("dicomkit").exception("on_event failed upon %s", type(event).__name__)

    def opened(self, which: int, association: Association) -> None:
        if self._on_event is not None:
            contexts = tuple(
                (
                    context.id,
                    context.abstract_syntax,
                    context.transfer_syntaxes,
                    reply.result,
                    reply.transfer_syntax,
                )
                for context, reply in association.contexts.values()
            )
            self.tell(
                AssociationOpened(
                    which,
                    association.peer_implementation_uid,
                    association.peer_implementation_version,
                    association.max_pdu,
                    contexts,
                )
            )

    def closed(
        self,
        which: int,
        association: Association | None,
        ended: str,
        *,
        opened_at: datetime | None,
        proposed: int,
        instances: int = 0,
        size_bytes: int = 0,
    ) -> None:
        """An association has ended, or (None) did not come about."""
        peer = association
        row = AssociationRow(
            association=which,
            opened_at=opened_at,
            closed_at=datetime.now(UTC),
            ended=ended,
            peer_implementation_uid=peer.peer_implementation_uid or None if peer else None,
            peer_implementation_version=peer.peer_implementation_version or None if peer else None,
            max_pdu=peer.max_pdu if peer else None,
            contexts_proposed=proposed,
            contexts_accepted=peer.accepted_count if peer else None,
            instances=instances,
            size_bytes=size_bytes,
        )
        with self._lock:
            self.associations.append(row)
        self.tell(AssociationClosed(which, ended, instances))

    def close(self) -> None:
        """Finish the results file."""
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

        from dicomkit.results import to_frame

        with self._lock:
            rows = list(self._rows)
        frame = to_frame(rows)
        if self._path is not None and self._dropped:
            from dicomkit.results_reader import read_results

            frame = pd.concat([read_results(self._path).head(self._dropped), frame], ignore_index=True)
        frame = frame.sort_values(["instance", "attempt"], kind="stable", ignore_index=True)
        if latest:
            frame = frame.drop_duplicates("instance", keep="last", ignore_index=True)
        return frame

    def associations_frame(self) -> pd.DataFrame:
        """A row for each association, in the order of their numbers."""
        import pandas as pd

        with self._lock:
            rows = sorted(self.associations, key=lambda row: row.association)
        columns = {name: [getattr(row, name) for row in rows] for name in AssociationRow.__slots__}
        frame = pd.DataFrame(columns)
        for name in ("opened_at", "closed_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        kinds = {
            "ended": "string",
            "peer_implementation_uid": "string",
            "peer_implementation_version": "string",
        }
        counts = ("max_pdu", "contexts_accepted")
        plain = ("association", "contexts_proposed", "instances", "size_bytes")
        return frame.astype(kinds | dict.fromkeys(counts, "Int64") | dict.fromkeys(plain, "int64"))

    def _write(self, result: SendResult) -> None:
        assert self._file is not None
        try:
            self._file.write(result)
        except OSError as error:
            self._give_up_file(error)
        else:
            self._forget_written()

    def _give_up_file(self, error: OSError) -> None:
        """The disk is full, say: the file keeps the rows it has, and the memory those that it may not have."""
        self._file = None
        self.trouble = f"{error}; the rows after that are in memory only: save them with to_frame()"

    def _forget_written(self) -> None:
        """Rows that the file holds need not be held here."""
        assert self._file is not None
        while self._dropped < self._file.rows_written:
            self._rows.popleft()
            self._dropped += 1
