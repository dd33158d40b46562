"""Is it listed: C-FIND at IMAGE level of the Study Root model, one query for each series (PS3.4 C.6.2).

A whole series is asked for by leaving the SOP Instance UID open, a part of it by a list of UIDs (PS3.4 C.2.2.2.2). Not
every peer knows lists, and some cut long answers short, so what is missing then is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from pydicom import Dataset

from dicomkit.dictionary.statuses import PENDING, SUCCESS
from dicomkit.dictionary.uids import STUDY_ROOT_FIND, uid_name
from dicomkit.verification._scu import NoAnswer, Scu, Unavailable, status_of, status_words
from dicomkit.verification._subjects import NO_SERIES, Finding, Group, Inquiry, Series, Subject

_LONGEST_LIST = 100
_MOST_REFUSALS = 3  # in a row, after which the rest is not asked about one by one

DAMAGED_COPY = "if that stays so its copy is damaged: send it again with resume=False"
"""What to do about one instance that fails where others do not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query brought: SOP Class UIDs by SOP Instance UID; any `status` but 0 says that there may be
    more.
    """

    classes: dict[str, str | None]
    status: int


def ask_by_find(inquiry: Inquiry) -> Generator[Group]:
    """Ask for every series; yield what was found out about its instances."""
    by_series: dict[Series, list[Subject]] = {}
    for subject in inquiry.subjects:
        by_series.setdefault(subject.series, []).append(subject)
    without_series = by_series.pop(None, [])
    if without_series:
        yield [(subject, Finding("unknown", NO_SERIES)) for subject in without_series]
    with Scu(
        inquiry.peer,
        (STUDY_ROOT_FIND, "C-FIND (Study Root)"),
        "use method='commit' or 'get'",
        answer_seconds=inquiry.peer.timeout_seconds + inquiry.wait_seconds,
    ) as scu:
        for series, subjects in by_series.items():
            assert series is not None, "those were taken out"
            yield _Search(scu, series, inquiry.series_sizes[series]).look_for(subjects)


@dataclass(slots=True)
class _Search:
    """The search for instances of one series."""

    scu: Scu
    series: tuple[str, str]
    size: int
    classes: dict[str, str | None] = field(default_factory=dict)  # of what was listed
    doubts: dict[str, str] = field(default_factory=dict)  # why it is not known of others
    count: str = ""  # how many are listed, in words

    def look_for(self, subjects: Sequence[Subject]) -> Group:
        uids = list(dict.fromkeys(subject.sop_instance_uid for subject in subjects))
        try:
            if len(uids) < self.size and len(uids) <= _LONGEST_LIST:
                self.classes |= find(self.scu, *self.series, uids).classes
            if not self.classes.keys() >= set(uids):
                answer = find(self.scu, *self.series, "")
                self.classes |= answer.classes
                if answer.status == SUCCESS:
                    listed = len(self.classes)
                    self.count = f"; of its series it lists {listed}, and {self.size} were sent from here"
                self._look_again([uid for uid in uids if uid not in self.classes], answer.status)
        except (NoAnswer, Unavailable) as error:
            self.doubts = {uid: str(error) for uid in uids if uid not in self.classes}
        return [(subject, self._finding(subject)) for subject in subjects]

    def _look_again(self, missing: Sequence[str], status: int) -> None:
        """Ask for the missing ones by themselves."""
        may_be_cut_short = status != SUCCESS
        refusals = 0
        for index, uid in enumerate(missing):
            answer = find(self.scu, *self.series, uid)
            refusals = 0 if answer.status == SUCCESS else refusals + 1
            if uid in answer.classes:
                self.classes[uid] = answer.classes[uid]
                may_be_cut_short = True
            elif answer.status != SUCCESS:
                # Orthanc, for one, ends the answer for a series at an instance that it cannot read any more.
                refused = f"{self.scu.archive} answered C-FIND with {status_words(answer.status)}; look into its log, "
                self.doubts[uid] = refused + (
                    f"and {DAMAGED_COPY}" if self.classes else "or use method='get'"
                )
                if not self.classes or refusals == _MOST_REFUSALS:
                    self.doubts = (
                        dict.fromkeys(missing[index:], refused + "or use method='get'") | self.doubts
                    )
                    return
            elif not may_be_cut_short:
                return  # the answer for the series left nothing out

    def _finding(self, subject: Subject) -> Finding:
        uid, archive = subject.sop_instance_uid, self.scu.archive
        if uid in self.doubts:
            return Finding("unknown", self.doubts[uid])
        if uid not in self.classes:
            return Finding(
                "no", f"{archive} does not list it, though it said that it stored it; send it again"
            )
        sop_class = self.classes[uid]
        if sop_class is not None and sop_class != subject.sop_class_uid:
            names = f"{uid_name(sop_class)}, and not as {uid_name(subject.sop_class_uid)}"
            return Finding("no", f"{archive} lists it as {names}")
        return Finding("yes", f"{archive} lists it{self.count}")


def image_identifier(study: str, series: str, instances: str | list[str]) -> Dataset:
    """What a query or retrieval at IMAGE level names."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = study
    identifier.SeriesInstanceUID = series
    identifier.SOPInstanceUID = instances
    return identifier


def find(scu: Scu, study: str, series: str, instances: str | list[str]) -> Answer:
    """Ask for one instance, a list of them, or (an empty text) all of a series. Raises NoAnswer and Unavailable."""
    identifier = image_identifier(study, series, instances)
    identifier.SOPClassUID = ""
    association = scu.ask()
    deadline = monotonic() + scu.answer_seconds
    classes: dict[str, str | None] = {}
    try:
        for answer, match in association.send_c_find(identifier, STUDY_ROOT_FIND):
            status = status_of(answer)
            if status is None or monotonic() > deadline:
                break
            if status not in PENDING:
                scu.answered()
                return Answer(classes, status)
            if match is not None and match.get("SOPInstanceUID"):
                sop_class = match.get("SOPClassUID")
                classes[str(match.SOPInstanceUID)] = str(sop_class) if sop_class else None
    except Exception as error:  # whatever pynetdicom and pydicom raise upon what a peer sends
        raise scu.broke(error) from error
    raise scu.broke()
