"""The line to an archive: an association of pynetdicom that is opened when it is needed, and again when it broke.

The peer is called by our own association first. That one is bounded in every phase, and says in a sentence what is
wrong when the peer cannot be reached, rejects us, or does not offer the service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dicomkit.dictionary.statuses import status_meaning
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.errors import DicomkitError, WireError
from dicomkit.sending import explained
from dicomkit.wire.association import Association as OurAssociation
from dicomkit.wire.pdu import (
    CONTEXT_RESULTS,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    ProposedContext,
)

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

    from dicomkit.wire.socket import Peer

__all__ = ["Broken", "Line", "NoLine", "Offer", "status_words"]

# How often in a row an association may break before the peer is left alone.
_PATIENCE = 2
_THREAD_SECONDS = 10.0  # for pynetdicom's threads to end, once the socket is closed

Offer = tuple[str, tuple[str, ...]]
"""A presentation context: abstract syntax, and transfer syntaxes in the order of preference."""

# PS3.4 Tables C.4-1 and C.4-3: what these mean to a query or retrieval; others as in PS3.7 Annex C.
_QUERY_STATUSES = {
    0xA700: "Refused: Out of Resources",
    0xA701: "Refused: Out of Resources, unable to calculate number of matches",
    0xA702: "Refused: Out of Resources, unable to perform sub-operations",
    0xA801: "Refused: Move Destination unknown",
    0xA900: "Identifier does not match SOP Class",
    0xB000: "Sub-operations complete, one or more failures",
    0xFE00: "Cancel",
}
_UNABLE_TO_PROCESS = 0xC000  # Cxxx


class NoLine(DicomkitError):
    """The peer cannot be asked, now or later; the message is a `verify_detail`."""


class Broken(DicomkitError):
    """One question got no answer; the message is a `verify_detail`. The next one may be asked."""


class Line:
    """A way to ask one peer, closed when the block ends.

    Parameters
    ----------
    peer : Peer
    service : (str, str)
        UID of the SOP class that is asked for, which the peer must accept, and its name.
    instead : str
        What to do where it is not offered.
    offers : sequence of Offer
        Contexts beside that of the service.
    brings : sequence of str
        SOP classes that the peer is to send to us on the same association (PS3.7 D.3.3.4).
    answer_seconds : float
        How long a whole message of the peer may take.
    handlers : sequence
        Events of pynetdicom, each with its handler.
    """

    def __init__(
        self,
        peer: Peer,
        service: tuple[str, str],
        instead: str,
        *,
        offers: Sequence[Offer] = (),
        brings: Sequence[str] = (),
        answer_seconds: float,
        handlers: Sequence[tuple[Any, Callable[[Any], Any]]] = (),
    ) -> None:
        self.peer = peer
        self.answer_seconds = answer_seconds
        self._service, self._service_name = service
        self._instead = instead
        self._offers: list[Offer] = [(self._service, (EXPLICIT_LE, IMPLICIT_LE)), *offers]
        self._brings = brings
        self._handlers: list[Any] = list(handlers)
        self._association: Association | None = None
        self._breaks = 0
        self._asked_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def archive(self) -> str:
        """The peer in words."""
        return f"{self.peer.called_aet} at {self.peer}"

    @property
    def is_open(self) -> bool:
        return self._association is not None and bool(self._association.is_established)

    def ask(self) -> Association:
        """The association, for one question more.

        Raises
        ------
        NoLine
            The peer cannot be reached or does not offer the service, or has let us down too often.
        """
        if not self.is_open:
            self.close()
            if self._breaks >= _PATIENCE:
                raise NoLine(
                    f"{self.archive} did not answer {self._breaks} times in a row, and was not asked any more; look "
                    "into its log, and verify again"
                )
            self._call()
            self._association = self._open()
        assert self._association is not None
        self._asked_at = monotonic()
        return self._association

    def offers(self, abstract_syntax: str) -> bool:
        """Whether the peer took a context for this SOP class on the open association."""
        accepted = self._association.accepted_contexts if self._association is not None else []
        return any(context.abstract_syntax == abstract_syntax for context in accepted)

    def answered(self) -> None:
        """A question was answered to its end."""
        self._breaks = 0

    def broke(self, error: Exception | None = None) -> Broken:
        """A question was not answered, or by what raised this error; end the association, and return what to say."""
        waited = monotonic() - self._asked_at
        self._breaks += 1
        was_open = self.is_open
        self.close()
        if error is not None and was_open:
            return Broken(
                f"what {self.archive} answered to {self._service_name} cannot be read ({type(error).__name__}); ask "
                "its vendor, with its log"
            )
        if waited >= self.answer_seconds:
            return Broken(
                f"{self.archive} did not answer {self._service_name} within {self.answer_seconds:g} s; look into its "
                "log, or give it more time with wait_seconds"
            )
        return Broken(
            f"{self.archive} ended the association instead of answering {self._service_name}; look into its log"
        )

    def close(self) -> None:
        """Release the association, or abort it when that fails."""
        association, self._association = self._association, None
        if association is not None:
            hang_up(association)

    def _call(self) -> None:
        """Find out by our own association what pynetdicom's would not tell."""
        context = ProposedContext(1, *self._offers[0])
        try:
            association = OurAssociation.open(self.peer, [context])
        except WireError as error:
            raise NoLine(f"{self.archive} could not be asked: {explained(error, self.peer)}") from error
        try:
            with suppress(WireError):  # what was negotiated is known all the same
                association.release()
        finally:
            association.abort()
        if not association.accepted_syntaxes(self._service):
            _, reply = association.contexts.get(1, (context, None))
            why = (
                "no answer" if reply is None else CONTEXT_RESULTS.get(reply.result, f"result {reply.result}")
            )
            raise NoLine(f"{self.archive} does not offer {self._service_name} to us ({why}); {self._instead}")

    def _open(self) -> Association:
        from pynetdicom import AE, build_context, build_role
        from pynetdicom.pdu_primitives import UserIdentityNegotiation

        from dicomkit._support.pynetdicom_log import WITHOUT_SECRETS

        entity = AE(self.peer.calling_aet)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.connection_timeout = entity.acse_timeout = self.peer.timeout_seconds
        entity.dimse_timeout = self.answer_seconds
        entity.network_timeout = None  # every wait has its own bound
        extended: list[Any] = [build_role(uid, scp_role=True) for uid in self._brings]
        if (identity := self.peer.identity) is not None:
            item = UserIdentityNegotiation()
            item.user_identity_type = identity.kind
            item.primary_field = identity.primary
            item.secondary_field = identity.secondary or None
            extended.append(item)  # whether it is confirmed was found out by `_call`
        tls = self.peer.tls
        association = entity.associate(
            self.peer.host,
            self.peer.port,
            contexts=[build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in self._offers],
            ae_title=self.peer.called_aet,
            ext_neg=extended,
            tls_args=None if tls is None else (tls.context, tls.server_name),
            evt_handlers=[WITHOUT_SECRETS, *self._handlers],
        )
        if not association.is_established:
            hang_up(association)
            raise NoLine(
                f"{self.archive} took one association and not the next; it may have a limit: verify again when others "
                "have finished"
            )
        return association


def hang_up(association: Association) -> None:
    """End an association of pynetdicom's in whatever state it is, and wait for its threads."""
    import socket

    if association.is_established:
        association.release()
    transport = association.dul.socket
    if transport is not None and transport.socket is not None:
        with suppress(OSError):  # closed already
            transport.socket.shutdown(socket.SHUT_RDWR)
    association.kill()
    if association.is_alive():
        association.join(_THREAD_SECONDS)


def status_of(answer: Dataset) -> int | None:
    """The status that pynetdicom returned; None when the peer did not answer."""
    status: int | None = answer.get("Status")
    return status


def status_words(status: int) -> str:
    """``0xA700 (Refused: Out of Resources)``: a status of a query, a retrieval or an action."""
    meaning = _QUERY_STATUSES.get(status)
    if meaning is None:
        meaning = "Unable to process" if status & 0xF000 == _UNABLE_TO_PROCESS else status_meaning(status)
    return f"0x{status:04X} ({meaning})"
