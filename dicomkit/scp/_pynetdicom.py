"""The ordinary receiver: pynetdicom's acceptor, taking any storage class and leaving no thread behind.

No global switch of pynetdicom is touched: each association's proposals are read first, and pynetdicom is given
exactly the contexts that it is to accept.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ABORT, A_ASSOCIATE, SOPClassCommonExtendedNegotiation
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from dicomkit._support.pynetdicom_log import WITHOUT_SECRETS
from dicomkit.dictionary import statuses
from dicomkit.dictionary.uids import VERIFICATION
from dicomkit.scp._faults import Delay, FaultPlan, Occasion, Stage, Status
from dicomkit.scp._journal import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Journal, What
from dicomkit.scp._lobby import Lobby
from dicomkit.scp._service import (
    ACCEPTED,
    CLASS_REFUSED,
    UNDECODABLE,
    ClaimedIdentity,
    Service,
    answer_context,
    longest_pdu,
    refused_by,
)

__all__ = ["PynetdicomServer"]

_HEADER = struct.Struct(">BxI")  # type, reserved, length: PS3.8 section 9.3.1
_ASSOCIATE_RQ = 0x01
_NEVER_PROPOSED = IMPLEMENTATION_CLASS_UID  # stands where pynetdicom wants a transfer syntax and we take none
_STORAGE_SERVICE = UID("1.2.840.10008.4.2")  # PS3.6 Table A-1


class _Listening(ThreadedAssociationServer):
    request_queue_size = 128  # socketserver's 5 makes the system refuse a batch that opens many at once


class _Entity(AE):
    """Of its associations only those count that were asked for: a caller that says too little keeps nobody out."""

    @property
    def maximum_associations(self) -> int:
        unasked = sum(1 for one in self.active_associations if one.requestor.primitive is None)
        return super().maximum_associations + unasked

    @maximum_associations.setter
    def maximum_associations(self, value: int) -> None:
        AE.maximum_associations.fset(self, value)  # type: ignore[attr-defined]


class _CheckedSocket(AssociationSocket):
    """Hides the PDUs that pynetdicom cannot cope with, so that it answers A-ABORT (PS3.8 section 9.2, Evt19).

    One that is longer than its type can be: it would read all of it before it looks at it. A request that it can decode
    and not understand: its thread would end, and nobody be told.
    """

    _header = b""  # of the PDU whose rest is asked for next

    def recv(self, nr_bytes: int) -> bytearray:
        received = super().recv(nr_bytes)
        header, self._header = self._header, b""
        if header:
            if header[0] == _ASSOCIATE_RQ and not _is_understood(header + received):
                return bytearray(len(received))
        elif len(received) == _HEADER.size:
            kind, length = _HEADER.unpack(received)
            limit = longest_pdu(kind, self.assoc.acceptor.maximum_length or 0)
            if limit is not None and length > limit:
                return bytearray(_HEADER.size)  # there is no type 0
            self._header = bytes(received)
        return received


def _is_understood(request: bytes) -> bool:
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(request)
        pdu.to_primitive()
    except UNDECODABLE:
        return False
    return True


class _Handler(RequestHandler):
    def _create_association(self) -> Association:
        association = super()._create_association()
        # Making another one would tell the state machine of a second connection.
        cast(AssociationSocket, association.dul.socket).__class__ = _CheckedSocket
        return association


class PynetdicomServer:
    """pynetdicom's acceptor, with what it needs to take private classes and to end without a trace."""

    def __init__(self, host: str, port: int, service: Service, plan: FaultPlan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._stopping = threading.Event()
        self._numbers: WeakKeyDictionary[Association, int] = WeakKeyDictionary()
        self._ae = _Entity(service.aet)
        self._ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self._ae.maximum_pdu_size = service.maximum_pdu_size
        self._ae.maximum_associations = service.maximum_associations
        self._ae.network_timeout = service.network_timeout_seconds
        self._ae.require_called_aet = service.check_called_aet
        self._ae.require_calling_aet = sorted(service.allowed_calling_aets or ())
        self._ae.add_supported_context(VERIFICATION)
        self._server = self._ae.make_server(
            (host, port),
            evt_handlers=[
                WITHOUT_SECRETS,
                (evt.EVT_CONN_OPEN, self._on_open),
                (evt.EVT_REQUESTED, self._on_request),
                (evt.EVT_SOP_COMMON, self._on_common_negotiation),
                (evt.EVT_ACCEPTED, self._on_accepted),
                (evt.EVT_REJECTED, self._noting("rejected")),
                (evt.EVT_C_ECHO, self._on_echo),
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_RELEASED, self._noting("released")),
                (evt.EVT_ABORTED, self._noting("aborted")),
                (evt.EVT_CONN_CLOSE, self._noting("closed")),
            ],
            server_class=_Listening,
            request_handler=_Handler,
        )
        self.port: int = self._server.server_address[1]
        self._timeout_seconds = service.network_timeout_seconds
        self._lobby = Lobby(
            cast(socket.socket, self._server.socket),
            self._receive,
            lambda why: journal.note("closed", None, why),
            service.network_timeout_seconds,
        )

    def _receive(self, sock: socket.socket, address: Any) -> None:
        sock.settimeout(
            self._timeout_seconds
        )  # of each read: a request that is never finished ends some time
        self._server.process_request(sock, address)
        self._server.service_actions()

    def stop(self) -> None:
        """Close what is open and wait for pynetdicom's threads."""
        self._lobby.stop()
        self._server.server_close()
        remaining = self._ae.active_associations
        for association in remaining:
            if (sock := _socket_of(association)) is not None:
                with suppress(OSError):  # closed already
                    sock.shutdown(socket.SHUT_RDWR)
        self._stopping.set()  # after the sockets: what was waiting must not answer any more
        for association in remaining:
            if association.requestor.primitive is None:
                # It waits for a request, for as long as the ACSE timeout: anything in its queue ends that.
                association.is_aborted = True
                association.dul.to_user_queue.put(A_ABORT())
            association.kill()
            if association is not threading.current_thread():
                association.join()

    def _noting(self, what: What) -> Callable[[evt.Event], None]:
        return lambda event: self._journal.note(what, self._numbers.get(event.assoc))

    @staticmethod
    def _on_open(event: evt.Event) -> None:
        # Its responses leave in small writes, which Nagle's algorithm would hold back until we acknowledge.
        if (sock := _socket_of(event.assoc)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_request(self, event: evt.Event) -> None:
        """Number the association and decide what it is given, before pynetdicom negotiates."""
        association = event.assoc
        if association.is_aborted:  # by stop(), which had to wake it
            return
        request = cast(A_ASSOCIATE, association.requestor.primitive)
        user = association.requestor.user_identity
        number = self._journal.next_association(
            request.calling_ae_title,
            request.called_ae_title,
            ""
            if user is None
            else repr(ClaimedIdentity(user.user_identity_type or 0, user.primary_field or b"", b"", False)),
        )
        self._numbers[association] = number
        self._delay("association", Occasion(number))
        proposed = request.presentation_context_definition_list
        refused = refused_by(
            self._plan,
            Occasion(number),
            frozenset(str(context.abstract_syntax) for context in proposed),
            frozenset(str(syntax) for context in proposed for syntax in context.transfer_syntax),
        )
        # pynetdicom prefers in the order of the acceptor, by SOP class. Narrowing each proposal to the syntax
        # that we choose for it makes it the proposer's order, context by context.
        taken: dict[str, list[str]] = {}
        for context in proposed:
            sop_class = str(context.abstract_syntax)
            result, syntax = answer_context(sop_class, [str(uid) for uid in context.transfer_syntax], refused)
            if result == ACCEPTED:
                context.transfer_syntax = [syntax]
            if result != CLASS_REFUSED:
                taken.setdefault(sop_class, []).append(syntax if result == ACCEPTED else _NEVER_PROPOSED)
        association.acceptor.supported_contexts = [
            build_context(sop_class, list(dict.fromkeys(syntaxes))) for sop_class, syntaxes in taken.items()
        ]

    def _on_common_negotiation(self, event: evt.Event) -> dict[UID, SOPClassCommonExtendedNegotiation]:
        """Tell pynetdicom that every class taken is served as storage, whether it knows the class or not."""
        served: dict[UID, SOPClassCommonExtendedNegotiation] = {}
        for context in event.assoc.acceptor.supported_contexts:
            if context.abstract_syntax != VERIFICATION:
                sop_class = UID(str(context.abstract_syntax))
                item = SOPClassCommonExtendedNegotiation()
                item.sop_class_uid = sop_class
                item.service_class_uid = _STORAGE_SERVICE
                served[sop_class] = item
        return served

    def _on_accepted(self, event: evt.Event) -> None:
        accepted, refused = event.assoc.accepted_contexts, event.assoc.rejected_contexts
        self._journal.note(
            "accepted",
            self._numbers.get(event.assoc),
            f"{len(accepted)} of {len(accepted) + len(refused)} contexts",
        )

    def _on_echo(self, event: evt.Event) -> int:
        self._journal.note("echoed", self._numbers.get(event.assoc))
        return statuses.SUCCESS

    def _on_store(self, event: evt.Event) -> Dataset:
        association, request = event.assoc, cast(C_STORE, event.request)
        titles = cast(A_ASSOCIATE, association.requestor.primitive)
        sop_class, instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        occasion = Occasion(self._numbers[association], sop_class, instance)
        fault = self._plan.first(Status, "response", occasion)
        self._delay("response", occasion)
        answer = Dataset()
        if self._stopping.is_set():
            answer.Status = statuses.PROCESSING_FAILURE  # which nobody will read: the socket is shut down
            return answer
        arrival = self._journal.arrival(
            calling_aet=titles.calling_ae_title,
            called_aet=titles.called_ae_title,
            association=occasion.association,
            sop_class_uid=sop_class,
            sop_instance_uid=instance,
            transfer_syntax=str(event.context.transfer_syntax),
        )
        arrival.write(event.encoded_dataset(include_meta=False))
        answer.Status = arrival.finish(statuses.SUCCESS if fault is None else fault.status)
        if fault is not None:
            self._journal.note("fault", occasion.association, f"{fault} {occasion.sop_instance_uid}")
            if fault.error_comment is not None:
                answer.ErrorComment = fault.error_comment
        return answer

    def _delay(self, stage: Stage, occasion: Occasion) -> None:
        if (delay := self._plan.first(Delay, stage, occasion)) is not None:
            detail = f"{delay} {occasion.sop_instance_uid or ''}".rstrip()
            self._journal.note("fault", occasion.association, detail)
            self._stopping.wait(delay.seconds)


def _socket_of(association: Association) -> socket.socket | None:
    return association.dul.socket.socket if association.dul.socket is not None else None
