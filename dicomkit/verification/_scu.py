"""An association with an archive, as the user of one of its services: opened when it is needed, and again if it breaks.

The peer is called by our own association first. That one is bounded in every phase, and says in a sentence what is
wrong when the peer cannot be reached, rejects us, or does not offer the service. pynetdicom's then asks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from pydicom import Dataset
from pynetdicom import AE, build_context, build_role
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicomkit._support.pynetdicom_log import WITHOUT_SECRETS
from dicomkit.dictionary.statuses import query_status_meaning
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
from dicomkit.wire.socket import Peer

_MOST_BREAKS = 2  # in a row, after which the peer is left alone
_THREAD_SECONDS = 10.0  # for pynetdicom's threads to end, once the socket is closed

Offer = tuple[str, tuple[str, ...]]
"""A presentation context: abstract syntax, and transfer syntaxes in the order of preference."""


class Unavailable(DicomkitError):
    """The peer cannot be asked, now or later; the message is a `verify_detail`."""


class NoAnswer(DicomkitError):
    """One question got no answer; the message is a `verify_detail`. The next one may be asked."""


class Scu:
    """A way to ask one peer for one service, closed when the block ends; `instead` says what else could be
    done.

    `received` are the SOP classes that the peer is to send to us on the same association (PS3.7 D.3.3.4),
    `answer_seconds` is how long a whole message may take, and `handlers` are events of pynetdicom with
    handlers.
    """

    def __init__(
        self,
        peer: Peer,
        service: tuple[str, str],
        instead: str,
        *,
        offers: Sequence[Offer] = (),
        received: Sequence[str] = (),
        answer_seconds: float,
        handlers: Sequence[tuple[Any, Callable[[Any], Any]]] = (),
    ) -> None:
        self.peer = peer
        self.answer_seconds = answer_seconds
        self._service, self._service_name = service
        self._instead = instead
        self._offers: list[Offer] = [(self._service, (EXPLICIT_LE, IMPLICIT_LE)), *offers]
        self._received = received
        self._handlers = handlers
        self._association: Association | None = None
        self._breaks = 0
        self._asked_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def archive(self) -> str:
        """The peer in words."""
        return f"{self.peer.called_aet} at {self.peer}"

    @property
    def is_open(self) -> bool:
        return self._association is not None and bool(self._association.is_established)

    def ask(self) -> Association:
        """The association, for one question more; raises Unavailable when there is none to be had."""
        if not self.is_open:
            self.close()
            if self._breaks >= _MOST_BREAKS:
                raise Unavailable(
                    f"{self.archive} did not answer {self._breaks} times in a row, and was not asked any more; look "
                    "into its log, and verify again"
                )
            self._try_first()
            self._association = self._open()
        assert self._association is not None
        self._asked_at = monotonic()
        return self._association

    def accepted(self, abstract_syntax: str) -> bool:
        """Whether the peer took a context for this SOP class on the open association."""
        contexts = self._association.accepted_contexts if self._association is not None else []
        return any(context.abstract_syntax == abstract_syntax for context in contexts)

    def answered(self) -> None:
        """A question was answered to its end."""
        self._breaks = 0

    def broke(self, error: Exception | None = None) -> NoAnswer:
        """A question was not answered, or by what raised this error; end the association, and return what to say."""
        waited = monotonic() - self._asked_at
        self._breaks += 1
        was_open = self.is_open
        self.close()
        if error is not None and was_open:
            return NoAnswer(
                f"what {self.archive} answered to {self._service_name} cannot be read ({type(error).__name__}); ask "
                "its vendor, with its log"
            )
        if waited >= self.answer_seconds:
            return NoAnswer(
                f"{self.archive} did not answer {self._service_name} within {self.answer_seconds:g} s; look into its "
                "log, or give it more time with wait_seconds"
            )
        return NoAnswer(
            f"{self.archive} ended the association instead of answering {self._service_name}; look into its log"
        )

    def close(self) -> None:
        """Release the association, or abort it when that fails."""
        association, self._association = self._association, None
        if association is not None:
            end_association(association)

    def _try_first(self) -> None:
        """Find out by our own association what pynetdicom's would not tell."""
        context = ProposedContext(1, *self._offers[0])
        try:
            association = OurAssociation.open(self.peer, [context])
        except WireError as error:
            raise Unavailable(f"{self.archive} could not be asked: {explained(error, self.peer)}") from error
        try:
            with suppress(WireError):  # what was negotiated is known all the same
                association.release()
        finally:
            association.abort()
        if not association.accepted_syntaxes(self._service):
            _, reply = association.contexts.get(1, (context, None))
            why = "no answer"
            if reply is not None:
                why = CONTEXT_RESULTS.get(reply.result, f"result {reply.result}")
            raise Unavailable(
                f"{self.archive} does not offer {self._service_name} to us ({why}); {self._instead}"
            )

    def _open(self) -> Association:
        entity = entity_of(self.peer)
        entity.connection_timeout = entity.acse_timeout = self.peer.timeout_seconds
        entity.dimse_timeout = self.answer_seconds
        entity.network_timeout = None  # every wait has its own bound
        extended: list[Any] = [build_role(uid, scp_role=True) for uid in self._received]
        if (identity := self.peer.identity) is not None:
            item = UserIdentityNegotiation()
            item.user_identity_type = identity.kind
            item.primary_field = identity.primary
            item.secondary_field = identity.secondary or None
            extended.append(item)  # whether it is confirmed was found out by `_try_first`
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
            end_association(association)
            raise Unavailable(
                f"{self.archive} took one association and not the next; it may have a limit: verify again when others "
                "have finished"
            )
        return association


def entity_of(peer: Peer) -> AE:
    """pynetdicom's application entity, in the name that the peer knows us by."""
    entity = AE(peer.calling_aet)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return entity


def end_association(association: Association, *, releases: bool = True) -> None:
    """End an association of pynetdicom's in whatever state it is, and wait for its threads."""
    if association.is_established and releases:
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
    return f"0x{status:04X} ({query_status_meaning(status)})"
