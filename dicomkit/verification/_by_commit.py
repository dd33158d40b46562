"""Does the archive answer for it: storage commitment, push model (PS3.4 Annex J).

An N-ACTION names the instances and a Transaction UID, and the peer reports when it has decided: on the same
association, or on a new one that it opens to the port where it knows us. A report that comes too late is not lost: its
Transaction UID is in the ledger, and the next call that listens takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Condition
from time import monotonic
from typing import Any
from uuid import uuid4

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import evt
from pynetdicom.pdu import P_DATA_TF

from dicomkit.dictionary.statuses import PROCESSING_FAILURE, SUCCESS
from dicomkit.dictionary.uids import COMMITMENT_INSTANCE, COMMITMENT_PUSH_MODEL
from dicomkit.verification._listener import listening
from dicomkit.verification._scu import NoAnswer, Scu, Unavailable, status_of, status_words
from dicomkit.verification._subjects import Finding, Group, Inquiry, Subject

_REQUEST_COMMITMENT = 1  # Action Type ID, PS3.4 Table J.3-1
_LARGEST_REQUEST = 1000  # instances in one transaction

# Failure Reason (0008,1197), PS3.3 C.14.1.1, in words; and whether it says that the instance is not there as sent.
_REASONS: dict[int, tuple[str, bool]] = {
    0x0110: ("processing failure: look into its log, and verify again", False),
    0x0112: ("no such object instance: it does not have it; send it again", True),
    0x0119: ("class/instance conflict: it has the UID with another SOP Class; compare the two", True),
    0x0122: ("referenced SOP Class not supported for commitment: use method='find' or 'get'", False),
    0x0131: ("duplicate Transaction UID: verify again, which makes a new one", False),
    0x0213: ("resource limitation: it has no room or no time now; verify again later", False),
}
_OWN_REASON = ("a reason of its own, which its conformance statement explains", False)


@dataclass(frozen=True, slots=True)
class _Report:
    """What one N-EVENT-REPORT says: the instances by SOP Class and SOP Instance UID, failed ones with the reason."""

    transaction_uid: str
    committed: dict[tuple[str, str], int]
    failed: dict[tuple[str, str], int]


class _Reports:
    """The reports that came, from whatever thread, and those that are still waited for.

    A report goes three steps: while its transaction is waiting it is taken; it is unanswered until our response to it
    is sent, or cannot be any more; only then it has arrived, since whoever waits for it may end the association.
    """

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._changed = Condition()
        self._waiting: dict[str, list[Subject]] = {}  # by transaction
        self._unanswered: list[tuple[object, _Report]] = []  # with their associations
        self._arrived: list[_Report] = []

    def expect(self, transaction_uid: str, subjects: Sequence[Subject]) -> None:
        with self._changed:
            self._waiting.setdefault(transaction_uid, []).extend(subjects)

    def cancel(self, transaction_uid: str) -> None:
        with self._changed:
            self._waiting.pop(transaction_uid, None)

    def endings(self) -> list[tuple[Any, Callable[[Any], Any]]]:
        """The events by which a report is answered, or cannot be any more, with their handlers."""
        ends = (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
        return [(evt.EVT_PDU_SENT, self._sent), *((end, self._settle) for end in ends)]

    def take(self, event: Any) -> tuple[int, None]:
        """Handle an N-EVENT-REPORT; the status for its response."""
        try:
            report = _read(event.event_information)
        except Exception:  # noqa: BLE001 (pydicom raises whatever its parts raise)
            return PROCESSING_FAILURE, None
        with self._changed:
            if report.transaction_uid not in self._waiting:
                return PROCESSING_FAILURE, None  # another's, who may be asked again later
            self._unanswered.append((event.assoc, report))
        return SUCCESS, None

    def _sent(self, event: Any) -> None:
        if isinstance(event.pdu, P_DATA_TF):  # our answer: now the association may be released
            self._settle(event)

    def _settle(self, event: Any) -> None:
        """Whatever an association brought is answered, or cannot be any more; a wait should look at that."""
        with self._changed:
            self._arrived += [report for its, report in self._unanswered if its is event.assoc]
            self._unanswered = [one for one in self._unanswered if one[0] is not event.assoc]
            self._changed.notify_all()

    def wait(self, deadline: float, scu: Scu, *, listens: bool) -> Group | None:
        """The next findings; None when the deadline has passed, or nothing can come any more."""
        with self._changed:
            while True:
                if self._arrived:
                    return self._findings(self._arrived.pop(0))
                left = deadline - monotonic()
                if left <= 0 and self._unanswered:
                    self._arrived.append(self._unanswered.pop(0)[1])
                elif left <= 0 or not self._waiting or not (listens or scu.is_open):
                    return None
                else:
                    self._changed.wait(left)

    def _findings(self, report: _Report) -> Group:
        subjects = self._waiting.pop(report.transaction_uid, [])
        found = [(subject, self._finding(subject, report)) for subject in subjects]
        # What has an answer waits for no other transaction.
        answered = {subject.key for subject, finding in found if finding.verified != "unknown"}
        for transaction_uid, others in list(self._waiting.items()):
            others[:] = [subject for subject in others if subject.key not in answered]
            if not others:
                del self._waiting[transaction_uid]
        return found

    def _finding(self, subject: Subject, report: _Report) -> Finding:
        reference = subject.sop_class_uid, subject.sop_instance_uid
        transaction = f"transaction {report.transaction_uid}"
        if reference in report.committed:
            words = f"{self._archive} has committed itself to keep it ({transaction})"
            return Finding("yes", words, report.transaction_uid)
        reason = report.failed.get(reference)
        if reason is None:
            return Finding(
                "unknown",
                f"the report of {self._archive} does not mention it ({transaction}); use method='find' or 'get'",
            )
        why, is_missing = _REASONS.get(reason, _OWN_REASON)
        words = f"{self._archive} does not commit itself to keep it: 0x{reason:04X}, {why} ({transaction})"
        return Finding("no", words, report.transaction_uid) if is_missing else Finding("unknown", words)


def ask_by_commit(inquiry: Inquiry) -> Generator[Group]:
    """Ask for commitment, and yield what is found out; OSError when we cannot listen, and nothing was asked."""
    peer = inquiry.peer
    reports = _Reports(inquiry.archive)
    listens = bool(inquiry.listen_port)
    with ExitStack() as stack:
        if listens:
            where = inquiry.listen_host, inquiry.listen_port
            others, tls = reports.endings(), inquiry.listen_tls
            stack.enter_context(
                listening(*where, peer, COMMITMENT_PUSH_MODEL, reports.take, others=others, tls=tls)
            )
        for subject in inquiry.subjects:
            if subject.transaction_uid is not None:
                reports.expect(subject.transaction_uid, [subject])
        scu = stack.enter_context(
            Scu(
                peer,
                (COMMITMENT_PUSH_MODEL, "storage commitment"),
                "use method='find' or 'get'",
                answer_seconds=float(peer.timeout_seconds),
                handlers=[(evt.EVT_N_EVENT_REPORT, reports.take), *reports.endings()],
            )
        )
        for begin in range(0, len(inquiry.subjects), _LARGEST_REQUEST):
            yield _request(scu, reports, inquiry, inquiry.subjects[begin : begin + _LARGEST_REQUEST])
        deadline = monotonic() + inquiry.wait_seconds
        # A peer that serves one association at a time reports when ours has ended; one that reports on ours needs it
        # open. Half of the time is for each.
        half = deadline - inquiry.wait_seconds / 2 if listens else deadline
        for until in (half, deadline):
            while (group := reports.wait(until, scu, listens=listens)) is not None:
                yield group
            scu.close()


def _request(scu: Scu, reports: _Reports, inquiry: Inquiry, subjects: Sequence[Subject]) -> Group:
    """Ask for the commitment of some instances; what is known of them until the report comes."""
    transaction_uid = f"2.25.{uuid4().int}"  # PS3.5 B.2
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = Items()
    for sop_class, uid in dict.fromkeys((one.sop_class_uid, one.sop_instance_uid) for one in subjects):
        reference = Dataset()
        reference.ReferencedSOPClassUID = sop_class
        reference.ReferencedSOPInstanceUID = uid
        information.ReferencedSOPSequence.append(reference)
    reports.expect(transaction_uid, subjects)  # before it can come
    try:
        status = _act(scu, information)
    except NoAnswer as error:  # it may have taken the request all the same, and report
        detail, may_report = str(error), True
    except Unavailable as error:
        detail, may_report = str(error), False
    else:
        may_report = status == SUCCESS
        detail = (
            _until_the_report(inquiry, transaction_uid)
            if may_report
            else f"{scu.archive} refused storage commitment with {status_words(status)}; look into its log, or use "
            "method='find' or 'get'"
        )
    if not may_report:
        reports.cancel(transaction_uid)
    return [
        (one, Finding("unknown", detail, transaction_uid if may_report else one.transaction_uid))
        for one in subjects
    ]


def _act(scu: Scu, information: Dataset) -> int:
    """The status of an N-ACTION. Raises NoAnswer and Unavailable."""
    association = scu.ask()
    try:
        answer, _ = association.send_n_action(
            information, _REQUEST_COMMITMENT, COMMITMENT_PUSH_MODEL, COMMITMENT_INSTANCE
        )
        status = status_of(answer)
    except Exception as error:  # whatever pynetdicom and pydicom raise upon what a peer sends
        raise scu.broke(error) from error
    if status is None:
        raise scu.broke()
    scu.answered()
    return status


def _until_the_report(inquiry: Inquiry, transaction_uid: str) -> str:
    ours = inquiry.peer.calling_aet
    where = (
        f"it must know {ours} at port {inquiry.listen_port} of this computer: check that, and call verify again to "
        "collect the report"
        if inquiry.listen_port
        else f"most report on a new association: call verify again with listen_port, the port where it knows {ours}"
    )
    return (
        f"{inquiry.archive} took the request for storage commitment (transaction {transaction_uid}) and did not report "
        f"within {inquiry.wait_seconds:g} s; {where}"
    )


def _read(information: Dataset) -> _Report:
    def references(keyword: str) -> dict[tuple[str, str], int]:
        return {
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)): int(
                item.get("FailureReason") or PROCESSING_FAILURE
            )
            for item in information.get(keyword) or []
        }

    committed, failed = references("ReferencedSOPSequence"), references("FailedSOPSequence")
    return _Report(str(information.TransactionUID), committed, failed)
