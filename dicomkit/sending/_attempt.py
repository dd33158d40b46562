"""One try at one instance over an open association, which `send` makes once and a batch many times."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from dicomkit._support.descriptors import is_shortage
from dicomkit.dictionary.statuses import SUCCESS, status_advice
from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import PEER_SAYS, Interrupted, ProtocolError, UnreadableError, WireError
from dicomkit.results import Outcome, SendResult
from dicomkit.sending._remedies import explained, other_uids, takes_only, why_not_accepted
from dicomkit.sending._rows import RowMaker, joined
from dicomkit.sources import Padded, SourceChanged
from dicomkit.wire.association import Association
from dicomkit.wire.pdu import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicomkit.conversion import Converted
    from dicomkit.sources import DataSource, Instance

    Convert = Callable[[Instance, str], Converted]

STORED = "the peer stored it"

# A source that changes each time between the look at it and its first byte is given up after so many looks.
MOST_LOOKS = 5
KEEPS_CHANGING = (
    "it changed each time that it was looked at; send it again when nothing writes to it any more"
)


class Attempt:
    """One instance over one open association, in four steps: `load`, `transmit`, `receive`, `result`.

    Whatever goes wrong on the way is kept, and `result` makes it a row. Between `transmit` and `receive` the peer is
    at work on this one, and there is time to load the next, and to make the row of the one before.

    `start` is when it began, on the clock of `time.perf_counter`. `lacks_a_descriptor` says that `load` could not open
    the source for want of a file descriptor, which is not the source's fault.
    """

    def __init__(
        self,
        association: Association,
        which: int,
        index: int,
        number: int,
        instance: Instance,
        row: RowMaker,
        *,
        note: str = "",
        transcode: bool = True,
        convert: Convert | None = None,
        since: tuple[datetime, float] | None = None,
    ) -> None:
        self.association = association
        self.index = index
        self.number = number
        self.instance = instance
        self.note = note
        self.lacks_a_descriptor = False
        self._which = which
        self._row = row
        self._transcode = transcode
        self._convert = convert
        self._data: DataSource | None = None
        self._context_id = 0
        self._sent_uids = ("", "")
        self._syntax: str | None = None
        self._refusal = ""
        self._error: UnreadableError | WireError | None = None
        self._response: Response | None = None
        self._was_cut = False
        self._size_bytes = 0
        self._duration_ms = 0.0
        self._response_ms: float | None = None
        self.start = 0.0
        self._started_at: datetime | None = None
        if since is not None:
            self._started_at, self.start = since

    def load(self) -> bool:
        """Choose the context and read the first megabyte; False when there is nothing to transmit.

        `SourceChanged` when it may not be what was looked at any more: it is to be looked at again.
        """
        if not is_settled(self.instance):
            raise SourceChanged.before(self.instance.source)
        try:
            outgoing = self._in_accepted_syntax()
            if outgoing is None:
                self._begin()
                self._duration_ms = 1e3 * (perf_counter() - self.start)
                return False
            self._sent_uids = self.instance.sop_class_uid, self.instance.sop_instance_uid
            self._data, length = outgoing.open(), outgoing.length
            if length & 1:
                self._data, length = Padded(self._data, length), length + 1
                self.note = joined(self.note, "its data set has an odd length, and a NUL was added after it")
            self.association.load(
                self._data,
                length,
                self._context_id,
                *self._sent_uids,
            )
        except SourceChanged:
            self.close()
            raise
        except UnreadableError as error:
            self.lacks_a_descriptor = is_shortage(error.__cause__)
            self._error = _without_frames(error)
            self._syntax = self._started_at = None  # nothing of it was tried
            self.close()
            return False
        return True

    def _in_accepted_syntax(self) -> Instance | Converted | None:
        """The instance as the peer takes it, with its context; None, and the reason kept, when it takes none."""
        instance, association = self.instance, self.association
        sop_class, syntax = instance.sop_class_uid, instance.transfer_syntax
        context_id = association.context_for(sop_class, syntax)
        if context_id is not None:
            self._context_id = context_id
            self._syntax = syntax
            return instance
        from dicomkit.conversion import NotConverted, convert

        target = conversion_target(association, instance) if self._transcode else None
        if target is None:
            self._refusal = why_not_accepted(association, instance, transcode=self._transcode)
            return None
        try:
            converted = (self._convert or convert)(instance, target)
        except NotConverted as error:
            self._refusal = f"{takes_only(association, sop_class)}; {error}"
            return None
        self.note = joined(
            self.note,
            f"converted from {uid_name(syntax)} to {uid_name(target)}, which is what the peer takes",
        )
        self.note = joined(self.note, converted.notes)
        context_id = association.context_for(sop_class, target)
        assert context_id is not None, "the target is among the accepted syntaxes"
        self._context_id = context_id
        self._syntax = target
        return converted

    def transmit(self) -> None:
        """Hand it to the socket; `result` says what went wrong."""
        self._begin()
        try:
            self.association.transmit()
        except (UnreadableError, WireError) as error:
            self._error = _without_frames(error)
        finally:
            self.close()

    def receive(self) -> None:
        """Wait for the response, unless something went wrong before. The association is not needed after that."""
        association = self.association
        if self._error is None:
            try:
                self._response = association.response()
                self._response_ms = 1e3 * (association.answered_at - association.sent_at)
            except WireError as error:
                self._error = _without_frames(error)
        if isinstance(self._error, Interrupted):
            association.abort()
        self._size_bytes = association.data_bytes_sent
        self._duration_ms = 1e3 * (perf_counter() - self.start)
        self._was_cut = not association.is_open

    @property
    def error(self) -> UnreadableError | WireError | None:
        """What ended it in place of a response."""
        return self._error

    @property
    def may_pass(self) -> bool | None:
        """Whether another attempt may end otherwise, where that is known beside the outcome."""
        return False if isinstance(self._error, ProtocolError) and not self._error.may_pass else None

    def result(self) -> SendResult:
        """The row of this attempt."""
        error = self._error
        if self._refusal:
            return self._row_of(Outcome.NOT_ACCEPTED, self._refusal)
        if isinstance(error, Interrupted):
            doubt = "; the peer may have stored it" if error.may_be_stored else ""
            return self._row_of(Outcome.CANCELLED, f"cancelled while it was being sent, so we aborted{doubt}")
        if isinstance(error, UnreadableError):
            aborted = "; the association had to be aborted" if self._was_cut else ""
            return self._row_of(Outcome.UNREADABLE, f"{error}{aborted}")
        if error is not None:
            return self._row_of(Outcome.of_error(error), explained(error, self.association.peer))
        assert self._response is not None, "result needs a receive"
        status, comment = self._response.status, self._response.error_comment
        detail = STORED if status == SUCCESS else status_advice(status)
        detail += other_uids(self._response, *self._sent_uids)
        if comment:
            detail += f'{PEER_SAYS}"{comment}"'
        return self._row_of(Outcome.of_status(status), detail, status)

    def _row_of(self, outcome: Outcome, detail: str, status: int | None = None) -> SendResult:
        if self.note or self.instance.note:
            detail = joined(joined(detail, self.note), self.instance.note)
        tried = self._started_at is not None
        return self._row.tried(
            self.index,
            self.number,
            self.instance.source,
            outcome,
            detail,
            self.instance,
            status=status,
            size_bytes=self._size_bytes if tried else None,
            sent_transfer_syntax=self._syntax,
            association=self._which if tried else None,
            started_at=self._started_at,
            duration_ms=self._duration_ms if tried else None,
            response_ms=self._response_ms,
        )

    def _begin(self) -> None:
        if self._started_at is None:
            self._started_at, self.start = datetime.now(UTC), perf_counter()

    def close(self) -> None:
        """Close the source, if it is open; for an attempt that will not be transmitted after all."""
        if self._data is not None:
            self._data.close()
            self._data = None


def conversion_target(association: Association, instance: Instance) -> str | None:
    """The transfer syntax to convert to; None when it is taken as it is stored, or in none that we can make."""
    from dicomkit.conversion import target_for

    if association.context_for(instance.sop_class_uid, instance.transfer_syntax) is not None:
        return None
    return target_for(association.accepted_syntaxes(instance.sop_class_uid))


def is_settled(instance: Instance) -> bool:
    """Whether it would show if the source were another one by now than the one that was looked at."""
    return instance.stamp is None or instance.stamp.is_settled


def _without_frames(error: UnreadableError | WireError) -> UnreadableError | WireError:
    """The error as it is kept: its traceback would hold the association, whose buffers are large, in a circle."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
