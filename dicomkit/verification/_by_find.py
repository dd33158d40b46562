"""Is it listed: C-FIND at IMAGE level of the Study Root model, one query for each series (PS3.4 C.6.2).

A whole series is asked for by leaving the SOP Instance UID open, a part of it by a list of UIDs (PS3.4 C.2.2.2.2). Not
every peer knows lists, and some cut long answers short, so what is missing then is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from dicomkit.dictionary.statuses import SUCCESS
from dicomkit.dictionary.uids import uid_name
from dicomkit.verification._scu import Broken, Line, NoLine, status_of, status_words
from dicomkit.verification._subjects import NO_SERIES, Finding, Inquiry, Subject

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["DAMAGED_COPY", "STUDY_ROOT_FIND", "ask_by_find", "find"]

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"  # PS3.4 C.6.2.3
PENDING = (0xFF00, 0xFF01)  # PS3.4 Table C.4-1
_LONGEST_LIST = 100
_PATIENCE = 3  # refusals in a row, after which the rest is not asked about one by one

DAMAGED_COPY = "if that stays so its copy is damaged: send it again with resume=False"
"""What to do about one instance that fails where others do not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query brought.

    Attributes
    ----------
    classes : dict of str to (str or None)
        SOP Class UID, where the peer told it, by the SOP Instance UID of each match.
    status : int
        With which it ended; anything but 0 says that there may be more.
    """

    classes: dict[str, str | None]
    status: int


Group = list[tuple[Subject, Finding]]


def ask_by_find(inquiry: Inquiry) -> Generator[Group]:
    """Ask for every series; yield what was found out about its instances."""
    by_series: dict[tuple[str, str] | None, list[Subject]] = {}
    for subject in inquiry.subjects:
        by_series.setdefault(subject.series, []).append(subject)
    nowhere = by_series.pop(None, [])
    if nowhere:
        yield [(subject, Finding("unknown", NO_SERIES)) for subject in nowhere]
    with Line(
        inquiry.peer,
        (STUDY_ROOT_FIND, "C-FIND (Study Root)"),
        "use method='commit' or 'get'",
        answer_seconds=inquiry.peer.timeout_seconds + inquiry.wait_seconds,
    ) as line:
        for series, subjects in by_series.items():
            assert series is not None, "those were taken out"
            yield _Search(line, series, inquiry.series_sizes[series]).look_for(subjects)


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for instances of one series."""

    line: Line
    series: tuple[str, str]
    size: int

    def look_for(self, subjects: Sequence[Subject]) -> Group:
        uids = list(dict.fromkeys(subject.sop_instance_uid for subject in subjects))
        classes: dict[str, str | None] = {}
        doubts: dict[str, str] = {}
        count = ""
        try:
            is_part = len(uids) < self.size and len(uids) <= _LONGEST_LIST
            if is_part:
                classes |= find(self.line, *self.series, uids).classes
            if not classes.keys() >= set(uids):
                answer = find(self.line, *self.series, "")
                classes |= answer.classes
                if answer.status == SUCCESS:
                    count = f"; of its series it lists {len(classes)}, and {self.size} were sent from here"
                doubts = self._look_again([uid for uid in uids if uid not in classes], classes, answer.status)
        except (Broken, NoLine) as error:
            doubts = {uid: str(error) for uid in uids if uid not in classes}
        return [(subject, self._finding(subject, classes, doubts, count)) for subject in subjects]

    def _look_again(
        self, missing: Sequence[str], classes: dict[str, str | None], status: int
    ) -> dict[str, str]:
        """Ask for the missing ones by themselves, and add those that are there; return why others are not known."""
        may_be_cut_short = status != SUCCESS
        doubts: dict[str, str] = {}
        refusals = 0
        for index, uid in enumerate(missing):
            answer = find(self.line, *self.series, uid)
            refusals = 0 if answer.status == SUCCESS else refusals + 1
            if uid in answer.classes:
                classes[uid] = answer.classes[uid]
                may_be_cut_short = True
            elif answer.status != SUCCESS:
                # Orthanc, for one, ends the answer for a series at an instance that it cannot read any more.
                refused = f"{self.line.archive} answered C-FIND with {status_words(answer.status)}; look into its log, "
                doubts[uid] = refused + (f"and {DAMAGED_COPY}" if classes else "or use method='get'")
                if not classes or refusals == _PATIENCE:
                    return dict.fromkeys(missing[index:], refused + "or use method='get'") | doubts
            elif not may_be_cut_short:
                break  # the answer for the series left nothing out
        return doubts

    def _finding(
        self, subject: Subject, classes: dict[str, str | None], doubts: dict[str, str], count: str
    ) -> Finding:
        uid = subject.sop_instance_uid
        archive = self.line.archive
        if uid in doubts:
            return Finding("unknown", doubts[uid])
        if uid not in classes:
            return Finding(
                "no", f"{archive} does not list it, though it said that it stored it; send it again"
            )
        sop_class = classes[uid]
        if sop_class is not None and sop_class != subject.sop_class_uid:
            return Finding(
                "no",
                f"{archive} lists it as {uid_name(sop_class)}, and not as {uid_name(subject.sop_class_uid)}",
            )
        return Finding("yes", f"{archive} lists it{count}")


def find(line: Line, study: str, series: str, instances: str | list[str]) -> Answer:
    """Ask for one instance, a list of them, or (an empty text) all of a series.

    Raises
    ------
    Broken
        No answer, or none that came to an end in time.
    NoLine
        The peer cannot be asked.
    """
    from pydicom.dataset import Dataset

    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = study
    identifier.SeriesInstanceUID = series
    identifier.SOPInstanceUID = instances
    identifier.SOPClassUID = ""
    association = line.ask()
    deadline = monotonic() + line.answer_seconds
    classes: dict[str, str | None] = {}
    try:
        for answer, match in association.send_c_find(identifier, STUDY_ROOT_FIND):
            status = status_of(answer)
            if status is None or monotonic() > deadline:
                break
            if status not in PENDING:
                line.answered()
                return Answer(classes, status)
            if match is not None and match.get("SOPInstanceUID"):
                classes[str(match.SOPInstanceUID)] = _class_of(match)
    except Exception as error:  # whatever pynetdicom and pydicom raise upon what a peer sends
        raise line.broke(error) from error
    raise line.broke()


def _class_of(match: Dataset) -> str | None:
    sop_class = match.get("SOPClassUID")
    return str(sop_class) if sop_class else None
