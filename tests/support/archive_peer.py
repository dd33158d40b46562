"""A small archive by pynetdicom: it answers queries, retrievals and requests for commitment as a test wants it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from socketserver import BaseServer
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import ThreadedAssociationServer

from dicomkit.settings import DicomSenderSetting
from tests.support.peers import HOST, free_port

__all__ = ["ArchivePeer", "FIND", "GET", "PUSH_MODEL", "References"]

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"

_POLL_SECONDS = 0.01  # how soon the accept loop notices that it is to stop

References = list[tuple[str, str]]


class ArchivePeer:
    """An SCP in this process; what it does upon a request is what it was given, and else it refuses.

    Attributes
    ----------
    queries : list of str
        What stood in the SOP Instance UID of each C-FIND; UIDs of a list with a backslash between.
    transactions : list of (str, list of (str, str))
        Transaction UID of each N-ACTION, and its instances by SOP Class and SOP Instance UID.
    statuses : list of int
        With which our N-EVENT-REPORTs were answered.
    associations : list of Association
        On which a query or retrieval came, one for each.
    """

    aet = "ARCHIVE"
    host = HOST

    def __init__(
        self,
        *,
        offers: Sequence[str],
        on_find: Callable[[Dataset], Iterator[tuple[int, Dataset | None]]] | None = None,
        on_get: Callable[[Dataset], Iterator[Any]] | None = None,
        on_action: Callable[[ArchivePeer, Association, str, References], int] | None = None,
    ) -> None:
        self.queries: list[str] = []
        self.transactions: list[tuple[str, References]] = []
        self.statuses: list[int] = []
        self.associations: list[Association] = []
        self._on_find, self._on_get, self._on_action = on_find, on_get, on_action
        self._waiting: list[threading.Thread] = []
        self._threads: list[threading.Thread] = []
        self._entity = AE(self.aet)
        for uid in offers:
            self._entity.add_supported_context(uid)
        self._entity.add_supported_context(CT, scu_role=True, scp_role=True)
        self._entity.network_timeout = self._entity.acse_timeout = self._entity.dimse_timeout = 10

    def __enter__(self) -> Self:
        self.port = free_port()
        self._server = self._entity.make_server(
            (HOST, self.port),
            server_class=ThreadedAssociationServer,
            evt_handlers=[
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_C_GET, self._get),
                (evt.EVT_N_ACTION, self._act),
                (evt.EVT_PDU_SENT, self._start_waiting),
            ],
        )
        self._serving = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,))
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._threads:
            thread.join()
        BaseServer.shutdown(self._server)
        self._serving.join()
        self._server.server_close()
        for association in self._entity.active_associations:
            association.abort()

    def setting(self, **changes: Any) -> DicomSenderSetting:
        """A setting for this peer."""
        given = {"remote_host": HOST, "remote_port": self.port, "remote_aet": self.aet, "timeout_seconds": 5}
        return DicomSenderSetting(**{**given, **changes})

    def later(self, what: Callable[[], object]) -> None:
        """Do something in a thread of its own, once the request under way is answered."""
        self._waiting.append(threading.Thread(target=what))

    def report_on(
        self,
        association: Association,
        transaction_uid: str,
        committed: References,
        failed: dict[tuple[str, str], int] | None = None,
    ) -> None:
        """Send an N-EVENT-REPORT."""
        report = Dataset()
        report.TransactionUID = transaction_uid
        report.ReferencedSOPSequence = Items([_reference(*one) for one in committed])
        if failed:
            report.FailedSOPSequence = Items([_reference(*one) for one in failed])
            for item, reason in zip(report.FailedSOPSequence, failed.values(), strict=True):
                item.FailureReason = reason
        status, _ = association.send_n_event_report(
            report, 2 if failed else 1, PUSH_MODEL, PUSH_MODEL_INSTANCE
        )
        self.statuses.append(status.get("Status", -1))

    def report_to(
        self,
        port: int,
        transaction_uid: str,
        committed: References,
        failed: dict[tuple[str, str], int] | None = None,
    ) -> None:
        """Send an N-EVENT-REPORT on a new association, as the SCP of it (PS3.7 D.3.3.4)."""
        entity = AE(self.aet)
        entity.acse_timeout = entity.dimse_timeout = 5
        entity.add_requested_context(PUSH_MODEL)
        association = entity.associate(HOST, port, ext_neg=[build_role(PUSH_MODEL, scp_role=True)])
        assert association.is_established
        self.report_on(association, transaction_uid, committed, failed)
        association.release()

    def _start_waiting(self, event: Any) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            while self._waiting:
                thread = self._waiting.pop()
                self._threads.append(thread)
                thread.start()

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.associations.append(event.assoc)
        asked = event.identifier.SOPInstanceUID or ""
        self.queries.append(asked if isinstance(asked, str) else "\\".join(asked))
        assert self._on_find is not None
        return self._on_find(event.identifier)

    def _get(self, event: Any) -> Iterator[Any]:
        self.associations.append(event.assoc)
        assert self._on_get is not None
        return self._on_get(event.identifier)

    def _act(self, event: Any) -> tuple[int, None]:
        information = event.action_information
        references = [
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in information.ReferencedSOPSequence
        ]
        self.transactions.append((str(information.TransactionUID), references))
        assert self._on_action is not None
        return self._on_action(self, event.assoc, str(information.TransactionUID), references), None


def _reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item
