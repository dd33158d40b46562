"""`send`: one message, one attempt, one row; and the attempt itself, which a batch makes many times.

The runtime model of the seed, in its order: the setting must be enabled, the message must be a `DicomMessage`, its
bytes must hold an instance, a C-STORE-RQ is made of it and sent, the status decides, and a text response says so.
Nothing that the network or the peer does is raised: it becomes the row's outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from dicomkit.content import Padded, SourceChanged, SourceError
from dicomkit.descriptors import is_shortage
from dicomkit.errors import PEER_SAYS, Interrupted, ProtocolError, UnreadableError, WireError
from dicomkit.frozen import Frozen
from dicomkit.results import Outcome, SendResult
from dicomkit.statuses import SUCCESS, status_advice
from dicomkit.uids import EXPLICIT_LE, IMPLICIT_LE, uid_name
from dicomkit.wire.association import MAX_UID, Association
from dicomkit.wire.connection import Peer
from dicomkit.wire.pdu import (
    CONTEXT_ACCEPTED,
    CONTEXT_RESULTS,
    MAX_CONTEXTS,
    ProposedContext,
    Response,
    why_unusable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicomkit.content import HeaderFacts
    from dicomkit.conversion import Converted
    from dicomkit.instances import DataSource, Instance
    from dicomkit.messages import Message
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting

    Convert = Callable[[Instance, str], Converted]

Kind = tuple[str, str]
"""SOP Class UID and transfer syntax UID: what has to be negotiated to send an instance."""

STORED = "the peer stored it"
# A source that changes each time between the look at it and its first byte is given up after so many looks.
MOST_LOOKS = 5
KEEPS_CHANGING = (
    "it changed each time that it was looked at; send it again when nothing writes to it any more"
)


def send(
    setting: DicomSenderSetting,
    message: Message,
    *,
    tls: TlsOptions | None = None,
    identity: UserIdentity | None = None,
) -> SendResult:
    """Send one message by C-STORE, once, over an association of its own.

    Parameters
    ----------
    setting
        Where to, and in whose name. `MessageTemplate`, `Filters` and `Transformers` belong to a workflow run and
        are not looked at here.
    message
        The object decides: anything but a `DicomMessage` gives ``invalid_message``, whatever `MessageType` says.
    tls
        Sends under TLS, with the peer's certificate verified; None sends without.
    identity
        The user in whose name the association is asked for.

    Returns
    -------
    SendResult
        What happened; `raise_for_outcome` turns a failure into a `SendError`.

    Raises
    ------
    SecurityError
        A file of `tls` cannot be used; nothing was sent.
    """
    from dicomkit.messages import DicomMessage

    row = RowMaker(new_batch_id(), peer_of(setting, tls, identity))
    source = getattr(message, "source", f"<{type(message).__name__}>")
    refusal = why_not(setting)
    if refusal is not None:
        return row.untried(0, source, *refusal)
    if not isinstance(message, DicomMessage):
        return row.untried(0, source, Outcome.INVALID_MESSAGE, not_a_dicom_message(message))
    try:
        instance = message.instance
    except UnreadableError as error:
        header = error.header if isinstance(error, SourceError) else None
        return row.untried(0, source, Outcome.UNREADABLE, str(error), header)
    try:
        return _send_instance(instance, row, MOST_LOOKS)
    except UnreadableError as error:
        return row.unsent(0, 1, instance, Outcome.UNREADABLE, str(error))


def _send_instance(instance: Instance, row: RowMaker, looks: int) -> SendResult:
    """Send it over an association of its own; another one where it turns out to be of another kind meanwhile.

    Raises
    ------
    UnreadableError
        It changed, and cannot be sent as it is now; nothing of it was sent.
    """
    from dicomkit.second_look import look_again

    if not is_settled(instance):
        instance = look_again(instance)
    started_at, start = datetime.now(UTC), perf_counter()
    kind = instance.sop_class_uid, instance.transfer_syntax
    try:
        # Packing saves time only where many instances follow, and some peers abort upon it.
        association = Association.open(row.peer, propose([kind])[0], packs=False)
    except WireError as error:
        return row.failed_to_open(0, 1, instance, error, started_at, 1e3 * (perf_counter() - start))
    attempt = None
    try:
        while looks > 0 and kind == (instance.sop_class_uid, instance.transfer_syntax):
            looks -= 1
            attempt = Attempt(association, 1, 0, 1, instance, row, since=(started_at, start))
            try:
                is_loaded = attempt.load()
            except SourceChanged:
                instance = look_again(instance)
                continue
            if is_loaded:
                attempt.transmit()
                attempt.receive()
            association.end()
            return attempt.result()
        association.end()
    finally:
        if attempt is not None:
            attempt.close()
        association.abort()
    if not looks:
        raise UnreadableError(KEEPS_CHANGING)
    return _send_instance(instance, row, looks)


def is_settled(instance: Instance) -> bool:
    """Whether it would show if the source were another one by now than the one that was looked at."""
    return instance.stamp is None or instance.stamp.is_settled


def why_not(setting: DicomSenderSetting) -> tuple[Outcome, str] | None:
    """The outcome and detail of everything sent by a setting that is disabled or cannot be used; else None."""
    if setting.disabled:
        return Outcome.SKIPPED, "the setting is disabled, so nothing was sent; set Disabled to false"
    problems = [problem for problem in setting.usability_problems() if problem.severity == "error"]
    if problems:
        return Outcome.INVALID_MESSAGE, "the setting cannot be used: " + "; ".join(map(str, problems))
    return None


def not_a_dicom_message(message: object) -> str:
    """The detail of a message that is of another kind; the seed's pitfall of MessageType 16."""
    return (
        f"the message is a {type(message).__name__}, not a DicomMessage: its type decides, whatever MessageType says; "
        "make a DicomMessage of the DICOM bytes, or remove the transformer that turned it into something else"
    )


def new_batch_id() -> str:
    """A random UUID, without the 10 ms that importing `uuid` costs on some systems (RFC 9562 section 5.4)."""
    from os import urandom

    number = int.from_bytes(urandom(16), "big") & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def peer_of(
    setting: DicomSenderSetting, tls: TlsOptions | None = None, identity: UserIdentity | None = None
) -> Peer:
    """The peer that a setting names, with its timeout for every phase.

    Raises
    ------
    TypeError
        One of the three is something else; the message names it.
    SecurityError
        A file of `tls` cannot be used.
    """
    from dicomkit.settings import DicomSenderSetting

    _expect("setting", setting, DicomSenderSetting)
    if tls is not None:
        from dicomkit.security import TlsOptions

        _expect("tls", tls, TlsOptions)
    if identity is not None:
        from dicomkit.security import UserIdentity

        _expect("identity", identity, UserIdentity)
    return Peer(
        setting.remote_host,
        setting.remote_port,
        setting.our_aet,
        setting.remote_aet,
        setting.timeout_seconds,
        None if tls is None else tls.for_client(setting.remote_host),
        identity,
    )


def _expect(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; it takes a {kind.__name__}")


def propose(
    kinds: Iterable[Kind], most: int = MAX_CONTEXTS
) -> tuple[list[ProposedContext], dict[Kind, None]]:
    """The presentation contexts for these kinds, as far as one association carries them.

    One context for each SOP class and transfer syntax as stored, in the given order, then for each SOP class one
    that offers Explicit and Implicit VR Little Endian (PS3.5 section 10.1).

    Returns
    -------
    (contexts, covered)
        At most so many contexts, 128 unless told otherwise, and the kinds that they cover, in order.
    """
    covered: dict[Kind, None] = {}
    classes: dict[str, None] = {}
    for kind in kinds:
        if kind in covered:
            continue
        if len(covered) + len(classes) + 1 + (kind[0] not in classes) > most:
            break
        covered[kind] = None
        classes[kind[0]] = None
    offers = [(sop_class, (syntax,)) for sop_class, syntax in covered]
    offers += [(sop_class, (EXPLICIT_LE, IMPLICIT_LE)) for sop_class in classes]  # type: ignore[misc]
    contexts = [ProposedContext(2 * index + 1, *offer) for index, offer in enumerate(offers)]
    return contexts, covered


class RowMaker(Frozen):
    """Makes the rows of one batch: what they all share, and one method for each way they come about."""

    batch_id: str
    peer: Peer

    def untried(
        self, index: int, source: str, outcome: Outcome, detail: str, header: HeaderFacts | None = None
    ) -> SendResult:
        """For what is no instance that could be sent, and so was never tried."""
        return self.tried(index, 1, source, outcome, detail, header)

    def unsent(
        self, index: int, attempt: int, instance: Instance, outcome: Outcome, detail: str
    ) -> SendResult:
        """For an instance that was looked at, and then not tried."""
        return self.tried(index, attempt, instance.source, outcome, _joined(detail, instance.note), instance)

    def failed_to_open(
        self,
        index: int,
        attempt: int,
        instance: Instance,
        error: WireError,
        started_at: datetime,
        duration_ms: float,
        association: int | None = 1,
        note: str = "",
    ) -> SendResult:
        """For an instance whose association did not come about."""
        return self.tried(
            index,
            attempt,
            instance.source,
            Outcome.of_error(error),
            _joined(_joined(str(error), note), instance.note),
            instance,
            association=association,
            started_at=started_at,
            duration_ms=duration_ms,
            size_bytes=0,
        )

    def tried(
        self,
        index: int,
        attempt: int,
        source: str,
        outcome: Outcome,
        detail: str,
        instance: Instance | HeaderFacts | None = None,
        *,
        status: int | None = None,
        size_bytes: int | None = None,
        sent_transfer_syntax: str | None = None,
        association: int | None = None,
        started_at: datetime | None = None,
        duration_ms: float | None = None,
        response_ms: float | None = None,
    ) -> SendResult:
        """For an attempt; its parameters are the columns."""
        peer = self.peer
        return SendResult(
            batch_id=self.batch_id,
            instance=index,
            attempt=attempt,
            outcome=outcome,
            status=status,
            detail=detail,
            source=source,
            sop_class_uid=instance.sop_class_uid if instance else None,
            sop_instance_uid=instance.sop_instance_uid if instance else None,
            study_instance_uid=instance.study_instance_uid if instance else None,
            series_instance_uid=instance.series_instance_uid if instance else None,
            modality=instance.modality if instance else None,
            size_bytes=size_bytes,
            transfer_syntax=instance.transfer_syntax if instance else None,
            sent_transfer_syntax=sent_transfer_syntax,
            calling_aet=peer.calling_aet,
            called_aet=peer.called_aet,
            host=peer.host,
            port=peer.port,
            association=association,
            started_at=started_at,
            duration_ms=duration_ms,
            response_ms=response_ms,
        )


class Attempt:
    """One instance over one open association, in four steps: `load`, `transmit`, `receive`, `result`.

    Whatever goes wrong on the way is kept, and `result` makes it a row. Between `transmit` and `receive` the peer is
    at work on this one, and there is time to load the next, and to make the row of the one before.

    Attributes
    ----------
    start : float
        When it began, on the clock of `time.perf_counter`; 0.0 before.
    lacks_a_descriptor : bool
        Whether `load` could not open the source for want of a file descriptor, which says nothing of the source.
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

        Raises
        ------
        SourceChanged
            The instance is not what was looked at any more, or that cannot be told: it is to be looked at again.
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
                self.note = _joined(self.note, "its data set has an odd length, and a NUL was added after it")
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
            self._refusal = f"{_takes_only(association, sop_class)}; {error}"
            return None
        self.note = _joined(
            self.note,
            f"converted from {uid_name(syntax)} to {uid_name(target)}, which is what the peer takes",
        )
        self.note = _joined(self.note, converted.notes)
        context_id = association.context_for(sop_class, target)
        assert context_id is not None, "the target is among the accepted syntaxes"
        self._context_id = context_id
        self._syntax = target
        return converted

    def transmit(self) -> None:
        """Hand it to the socket; what goes wrong is told by `result`."""
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
            return self._row_of(Outcome.of_error(error), str(error))
        assert self._response is not None, "result needs a receive"
        status, comment = self._response.status, self._response.error_comment
        detail = STORED if status == SUCCESS else status_advice(status)
        detail += _other_uids(self._response, *self._sent_uids)
        if comment:
            detail += f'{PEER_SAYS}"{comment}"'
        return self._row_of(Outcome.of_status(status), detail, status)

    def _row_of(self, outcome: Outcome, detail: str, status: int | None = None) -> SendResult:
        if self.note or self.instance.note:
            detail = _joined(_joined(detail, self.note), self.instance.note)
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


def why_not_accepted(association: Association, instance: Instance, *, transcode: bool) -> str:
    """Why no accepted context carries this instance, and what the peer would have taken (PS3.8 Table 9-18)."""
    sop_class, syntax = instance.sop_class_uid, instance.transfer_syntax
    if oddities := _oddities(association, sop_class):
        return f"{oddities}, so that it cannot be sent; report it to the maker of the peer"
    if association.accepted_syntaxes(sop_class):
        return (
            f"{_takes_only(association, sop_class)}, and not in {uid_name(syntax)} as it is stored; have the peer "
            "accept that transfer syntax, or convert the file first"
            f"{'' if transcode else ': transcode=True does where it can be done without loss'}"
        )
    replies = [
        (context, reply)
        for context, reply in association.contexts.values()
        if context.abstract_syntax == sop_class
    ]
    results = {reply.result for context, reply in replies if context.transfer_syntaxes == (syntax,)}
    why = ", ".join(CONTEXT_RESULTS.get(result, f"result {result}") for result in sorted(results))
    return (
        f"the peer takes {uid_name(sop_class)} in no transfer syntax that we offered"
        f"{f' ({why})' if why else ''}; enable the SOP class for {association.peer.calling_aet!r} at the peer"
    )


def _oddities(association: Association, sop_class: str) -> str:
    """What is wrong with contexts of this SOP class that the peer accepted (PS3.8 section 9.3.3.2)."""
    return " and ".join(
        f"the peer answered presentation context {context.id}, {uid_name(sop_class)} in "
        f"{' or '.join(map(uid_name, context.transfer_syntaxes))}, with {why}"
        for context, reply in association.contexts.values()
        if context.abstract_syntax == sop_class
        and reply.result == CONTEXT_ACCEPTED
        and (why := why_unusable(context, reply))
    )


def _other_uids(response: Response, sop_class_uid: str, sop_instance_uid: str) -> str:
    """What the response says it is for, where that is another instance than the one sent (PS3.7 section 9.3.1.2)."""
    if response.affected_instance == sop_instance_uid.encode() and (
        response.affected_class == sop_class_uid.encode()
    ):
        return ""
    answered = (
        ("SOP Class UID", response.affected_class, sop_class_uid),
        ("SOP Instance UID", response.affected_instance, sop_instance_uid),
    )
    others = []
    for name, uid, sent in answered:
        if uid and uid != sent.encode():
            is_uid = len(uid) <= MAX_UID and not uid.strip(b"0123456789.")
            others.append(f"{name} {uid.decode()}" if is_uid else f"{name} that is no UID")
    if not others:
        return ""
    return f"; its response names another {' and another '.join(others)}: look there under which it has the instance"


def _takes_only(association: Association, sop_class: str) -> str:
    accepted = " or ".join(uid_name(syntax) for syntax in association.accepted_syntaxes(sop_class))
    return f"the peer takes {uid_name(sop_class)} only in {accepted}"


def _without_frames(error: UnreadableError | WireError) -> UnreadableError | WireError:
    """The error as it is kept: its traceback would hold the association, whose buffers are large, in a circle."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _joined(detail: str, note: str) -> str:
    return f"{detail}; {note}" if detail and note else detail or note


__all__ = [
    "send",
    "Attempt",
    "Kind",
    "RowMaker",
    "conversion_target",
    "new_batch_id",
    "not_a_dicom_message",
    "peer_of",
    "propose",
    "why_not",
    "why_not_accepted",
]
