"""Is it the same: C-GET brings an instance back over our own association (PS3.4 C.4.3), and it is compared.

One instance at a time, so that no more than one is held, together with what was sent.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import evt

from dicomkit.dictionary.statuses import PENDING, SUCCESS
from dicomkit.dictionary.uids import (
    EXPLICIT_LE,
    IMPLICIT_LE,
    RLE_LOSSLESS,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    uid_name,
)
from dicomkit.verification._by_find import DAMAGED_COPY, find, image_identifier
from dicomkit.verification._elements import Encoded
from dicomkit.verification._judge import judge
from dicomkit.verification._scu import NoAnswer, Offer, Scu, Unavailable, status_of, status_words
from dicomkit.verification._sources import Sources
from dicomkit.verification._subjects import Finding, Group, Inquiry, Subject
from dicomkit.wire.pdu import MAX_CONTEXTS

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE

_NOT_ASKED_FOR = 0xC000  # PS3.4 Table B.2-1, cannot understand: our answer to what we did not ask for

# In which an archive may keep what it compressed by itself; each is a context, so that it need not convert.
_LOSSLESS = (
    RLE_LOSSLESS,
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
)


def ask_by_get(inquiry: Inquiry) -> Generator[Group]:
    """Bring every instance back and compare it; yield what was found out about each."""
    by_class: dict[str, list[Subject]] = {}
    for subject in inquiry.subjects:
        by_class.setdefault(subject.sop_class_uid, []).append(subject)
    for offers in offers_by_association(by_class):
        classes = list(dict.fromkeys(sop_class for sop_class, _ in offers))
        with Sources() as sources, _Getter(inquiry, classes, offers) as getter:
            for sop_class in classes:
                by_uid: dict[str, list[Subject]] = {}
                for subject in by_class[sop_class]:
                    by_uid.setdefault(subject.sop_instance_uid, []).append(subject)
                for subjects in by_uid.values():
                    yield _look_at(getter, sources, subjects)


def offers_by_association(by_class: dict[str, list[Subject]]) -> Iterator[list[Offer]]:
    """The contexts for all the classes, as many at a time as an association carries beside the two of the services."""
    offers: list[Offer] = []
    for sop_class, subjects in by_class.items():
        more = _offers(sop_class, [subject.syntax_on_the_wire for subject in subjects])
        if len(offers) + len(more) > MAX_CONTEXTS - 2:
            yield offers
            offers = []
        offers = [*offers, *more]
    if offers:
        yield offers


def _offers(sop_class: str, sent_as: Iterable[str]) -> list[Offer]:
    """The contexts for one SOP class: each syntax it was sent in, uncompressed, and compressed without loss."""
    alone = dict.fromkeys((*sent_as, *_LOSSLESS))
    return [(sop_class, (EXPLICIT_LE, IMPLICIT_LE)), *((sop_class, (syntax,)) for syntax in alone if syntax)]


class _Getter(Scu):
    """An SCU of C-GET, which takes what the peer sends to us, and keeps the one that was asked for."""

    def __init__(self, inquiry: Inquiry, classes: Sequence[str], offers: Sequence[Offer]) -> None:
        super().__init__(
            inquiry.peer,
            (STUDY_ROOT_GET, "C-GET (Study Root)"),
            "use method='find' or 'commit'",
            offers=[(STUDY_ROOT_FIND, (EXPLICIT_LE, IMPLICIT_LE)), *offers],
            received=classes,
            answer_seconds=inquiry.peer.timeout_seconds + inquiry.wait_seconds,
            handlers=[(evt.EVT_C_STORE, self._take)],
        )
        self._wanted = ""
        self._arrived: Encoded | None = None

    def _take(self, event: Any) -> int:
        request = cast("C_STORE", event.request)
        if str(request.AffectedSOPInstanceUID) != self._wanted or request.DataSet is None:
            return _NOT_ASKED_FOR
        self._arrived = Encoded(request.DataSet.getvalue(), str(event.context.transfer_syntax))
        return SUCCESS

    def get(self, subject: Subject) -> Encoded | Finding:
        """Ask for one instance. Raises NoAnswer and Unavailable."""
        assert subject.series is not None, "those were answered before"
        association = self.ask()
        if not self.accepted(subject.sop_class_uid):
            return Finding(
                "unknown",
                f"{self.archive} does not send {uid_name(subject.sop_class_uid)} back over our association; "
                "use method='find' or 'commit'",
            )
        self._wanted, self._arrived = subject.sop_instance_uid, None
        deadline = monotonic() + self.answer_seconds
        status: int | None = None
        failed = 0
        try:
            identifier = image_identifier(*subject.series, subject.sop_instance_uid)
            for answer, _ in association.send_c_get(identifier, STUDY_ROOT_GET):
                status = status_of(answer)
                failed = answer.get("NumberOfFailedSuboperations") or 0
                if status is None or status not in PENDING or monotonic() > deadline:
                    break
        except Exception as error:  # whatever pynetdicom and pydicom raise upon what a peer sends
            raise self.broke(error) from error
        arrived, self._arrived = self._arrived, None
        if status is None or status in PENDING:
            raise self.broke()
        self.answered()
        return arrived or self._not_there(subject, status, failed)

    def _not_there(self, subject: Subject, status: int, failed: int) -> Finding:
        """Tell an instance that the peer does not have from one that it does not send."""
        archive = self.archive
        if status == SUCCESS and not failed:
            return Finding(
                "no", f"{archive} does not have it, though it said that it stored it; send it again"
            )
        assert subject.series is not None, "those were answered before"
        answered = f"{archive} did not bring it back: it answered C-GET with {status_words(status)}"
        if not self.accepted(STUDY_ROOT_FIND):
            return Finding("unknown", f"{answered}; look into its log, or use method='commit'")
        # Some answer with an error when there is nothing to send; others list what they cannot read any more.
        listed = find(self, *subject.series, subject.sop_instance_uid)
        if listed.status == SUCCESS and not listed.classes:
            return Finding(
                "no", f"{archive} does not list it any more, though it said that it stored it; send it again"
            )
        still = (
            "though it lists it, which is all that method='find' would say"
            if listed.classes
            else f"and C-FIND with {status_words(listed.status)}"
        )
        return Finding("unknown", f"{answered}, {still}; look into its log, and {DAMAGED_COPY}")


def _look_at(getter: _Getter, sources: Sources, subjects: Sequence[Subject]) -> Group:
    """Bring one instance back, and compare it with each source that it was sent from."""
    group: Group = []
    back: Encoded | Finding | None = None
    for subject in subjects:
        source = sources.find(subject)
        if isinstance(source, Finding):
            group.append((subject, source))
            continue
        if back is None:
            try:
                back = getter.get(subject)
            except (NoAnswer, Unavailable) as error:
                back = Finding("unknown", str(error))
        finding = back if isinstance(back, Finding) else judge(getter.archive, subject, source, back)
        group.append((subject, finding))
    return group
