"""The report of batches, to be shown and filed: what went where and when, what did not, why, what to do about it.

A report goes to others, so by default it names no patient: patients are masked, and folders and the peer's comments,
into which people put names, are left out. What identifies an instance is its UID.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from dicomkit._support.files import save_whole
from dicomkit._support.html import Marked, as_text, facts_table, marked, note, rows_table, shown
from dicomkit._support.quantities import counted, in_bytes, in_time
from dicomkit.analysis._attempts import PEER, STORED, Rows, attempts_of, ends_of, is_held, plain_rows
from dicomkit.analysis._current import current
from dicomkit.analysis._tables import by_study, failures, summary
from dicomkit.batch import Batch
from dicomkit.errors import UnreadableError, file_name
from dicomkit.results import Outcome, final_rows, in_words, tone_of

STUDIES_SHOWN = 500
"""How many studies a report lists at most; all are counted."""

# What tells people whose study it is: the heading, the column that a frame may have for it, the attribute of a source.
_PATIENT = (
    ("Patient", "patient_name", "PatientName"),
    ("Patient ID", "patient_id", "PatientID"),
    ("Study date", "study_date", "StudyDate"),
)
_NOT_HELPED_BY_SENDING_AGAIN = (Outcome.UNREADABLE, Outcome.INVALID_MESSAGE, Outcome.SKIPPED)

# Nothing is loaded from anywhere, and no script runs, whatever a value may look like.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 2.5em auto; max-width: 72em;
  padding: 0 1.5em; }
h1 { font-size: 1.6em; margin: 0; } h2 { font-size: 1.15em; margin: 1.8em 0 0.4em; }
table { border-collapse: collapse; }
th, td { padding: 0.3em 1.2em 0.3em 0; border-bottom: 1px solid #8884; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } }
"""


class Report:
    """A report as HTML: shown by a notebook, and a document of its own when saved.

    Attributes
    ----------
    html : str
        The whole document. It needs nothing from elsewhere.
    """

    def __init__(self, title: str, parts: Sequence[Marked]) -> None:
        self._parts = (Marked(f"<h1>{as_text(title)}</h1>"), *parts)
        self.html = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f"<title>{as_text(title)}</title><style>{_STYLE}</style></head>"
            f"<body>{shown(*self._parts)}</body></html>\n"
        )

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the document to a file that its owner alone may read, where the operating system has such permissions.

        Parameters
        ----------
        path
            Where to; ``.html`` is usual.
        overwrite
            Replaces a file that is there, at once or not at all.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        FileExistsError
            There is such a file, and `overwrite` is false.
        OSError
            It cannot be written.
        """
        target = Path(path)
        try:
            save_whole(target, self.html.encode("utf-8"), is_private=True, overwrite=overwrite)
        except FileExistsError:
            raise FileExistsError(
                f"{target.name} is there already; save with overwrite=True to replace it"
            ) from None
        return target

    def __repr__(self) -> str:
        return f"<Report: {counted(len(self.html), 'character')} of HTML; save(path) writes it to a file>"

    def _repr_html_(self) -> str:
        return shown(*self._parts)


def report(rows: Rows, *, show_patients: bool = False, title: str = "DICOM storage report") -> Report:
    """Return a report of what was sent where and when, how it ended, why the failed ones did, and of each study.

    Each batch has its numbers under "Where and when"; everything after that is what became of each instance in the
    end, over all batches, as `current` says.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        Results, as `Batch.to_frame`, `Ledger.to_frame` and `read_results` give them.
    show_patients : bool
        Whether it says whose studies they are: name, ID and study date, from columns ``patient_name``,
        ``patient_id`` and ``study_date`` of the frame, or else read from a source of the study; and where the
        sources are. By default they are masked, and sources have their names without their folders.
    title : str

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        These are no rows.
    ValueError
        The frame lacks columns; they are named.
    """
    from dicomkit import __version__

    attempts = attempts_of(rows)
    final = current(attempts)
    has_all = bool((final["outcome"].isin(STORED) | is_held(final)).all())
    parts = [
        note(
            "With patients' names, and the folders of the sources: keep it where such data belongs."
            if show_patients
            else "Patients are masked; folders, and comments of the peer, are left out."
        ),
        _heading("Where and when"),
        *_batches(attempts),
        *_remarks(rows),
        _heading("Outcomes"),
        *_over_all(attempts, final),
        _outcomes(attempts),
        _heading("What is not stored, why, and what to do"),
        note("Everything is stored." if has_all and len(final) else "Nothing was sent.")
        if has_all
        else _causes(attempts, show_patients=show_patients),
        _heading("Studies"),
        *_studies(attempts, final, show_patients=show_patients),
        note(f"Made {_moment(datetime.now(UTC))} by dicomkit {__version__}."),
    ]
    return Report(title, parts)


def _heading(words: str) -> Marked:
    return Marked(f"<h2>{as_text(words)}</h2>")


def _batches(attempts: pd.DataFrame) -> Iterator[Marked]:
    """For each batch where it went, in whose name, when, and how much of it was stored then."""
    ended, final = ends_of(attempts), final_rows(attempts)
    for batch_id, of_batch in attempts.groupby("batch_id", sort=False):
        last = final[final["batch_id"] == batch_id]
        held = int(is_held(last).sum())
        began, end = of_batch["started_at"].min(), ended[of_batch.index].max()
        first = of_batch.iloc[0]
        stored = f"{last['outcome'].isin(STORED).sum():,} of {counted(len(last), 'instance')}"
        size = int(of_batch["size_bytes"].fillna(0).sum())
        facts = {
            "Peer": f"{first['called_aet']} at {first['host']}:{first['port']}",
            "Sent by": str(first["calling_aet"]),
            "Began": _moment(began),
            "Took": "" if _is_null(end) else in_time((end - began).total_seconds()),
            "Stored": f"{stored}, and {held:,} before" if held else stored,
            "Sent": f"{in_bytes(size)} in {counted(len(of_batch), 'attempt')}",
            "Batch": str(batch_id),
        }
        yield facts_table("", facts)


def _remarks(rows: Rows) -> Iterator[Marked]:
    if not isinstance(rows, Batch):
        return
    if rows.interrupted:
        yield note("It was interrupted before its end.")
    if rows.note:
        yield note(f"{rows.note[:1].upper()}{rows.note[1:]}.")
    if rows.passed_over:
        yield note(f"{counted(len(rows.passed_over), 'file')} passed over: no DICOM, or not for sending.")


def _over_all(attempts: pd.DataFrame, final: pd.DataFrame) -> Iterator[Marked]:
    """How instances are counted, where there are several rows of one at the end of its batch."""
    batches, peers = attempts["batch_id"].nunique(), len(attempts[PEER].drop_duplicates())
    if batches > 1:
        each = "once for each of the peers" if peers > 1 else "once"
        yield note(f"Over all {batches:,} batches: an instance counts {each}, and as stored if it ever was.")
    elif len(final) < (sent := len(final_rows(attempts))):
        words = f"{counted(sent, 'source')} hold {counted(len(final), 'instance')}"
        yield note(f"{words}: one that is there more than once counts as stored if it once was.")


def _outcomes(attempts: pd.DataFrame) -> Marked:
    columns = ["outcome", "instances", "attempts", "size_bytes"]
    lines = [
        (marked(tone_of(Outcome(outcome)), in_words(outcome)), f"{instances:,}", f"{tries:,}", in_bytes(size))
        for outcome, instances, tries, size in plain_rows(summary(attempts).reset_index(), columns)
    ]
    return rows_table("", ("Outcome", "Instances", "Attempts", "Size"), lines, numbers=(1, 2, 3))


def _causes(attempts: pd.DataFrame, *, show_patients: bool) -> Marked:
    columns = ["outcome", "status", "meaning", "instances", "remedy", "examples"]
    lines = []
    for name, status, meaning, instances, remedy, examples in plain_rows(failures(attempts), columns):
        outcome = Outcome(name)
        words = in_words(name) if status is None else f"{in_words(name)}, 0x{status:04X}"
        todo = remedy or ("" if outcome in _NOT_HELPED_BY_SENDING_AGAIN else "Send again.")
        sources = ", ".join(source if show_patients else file_name(source) for source in examples)
        lines.append((marked(tone_of(outcome), words), meaning, f"{instances:,}", todo, sources))
    head = ("Outcome", "Why", "Instances", "What to do", "For example")
    return rows_table("", head, lines, numbers=(2,))


def _studies(attempts: pd.DataFrame, final: pd.DataFrame, *, show_patients: bool) -> Iterator[Marked]:
    head = ("Study Instance UID", *(name for name, _, _ in _PATIENT))
    head += ("Modality", "Series", "Instances", "Stored", "Not stored", "Size")
    grouped = by_study(attempts).groupby("study_instance_uid", dropna=False, sort=False)
    lines: list[tuple[str, ...]] = []
    for uid, of_study in grouped:
        if len(lines) == STUDIES_SHOWN:
            break
        missing = int(of_study["not_stored"].sum())
        lines.append(
            (
                "unknown" if _is_null(uid) else str(uid),
                *(_whose(final, uid) if show_patients else ["masked"] * len(_PATIENT)),
                ", ".join(dict.fromkeys(of_study["modality"].dropna())),
                f"{len(of_study):,}",
                f"{of_study['instances'].sum():,}",
                f"{(of_study['stored'] + of_study['stored_before']).sum():,}",
                marked("bad", f"{missing:,}") if missing else "0",
                in_bytes(int(of_study["size_bytes"].fillna(0).sum())),
            )
        )
    yield rows_table("", head, lines, numbers=range(len(head) - 5, len(head)))
    if len(grouped) > STUDIES_SHOWN:
        yield note(f"{len(grouped) - STUDIES_SHOWN:,} more studies are counted above, and not listed.")


def _whose(final: pd.DataFrame, study: Any) -> list[str]:
    """Name, ID and study date, of the frame or else of the first source that still has them; empty when unknown."""
    of_study = final[final["study_instance_uid"] == study]  # no rows where it is null
    by_frame = [_first(of_study, column) for _, column, _ in _PATIENT]
    if all(by_frame):
        return by_frame
    for source in of_study["source"]:
        if Path(source).is_file() and any(read := _read(source)):
            return [value or other for value, other in zip(by_frame, read, strict=True)]
    return by_frame


def _first(frame: pd.DataFrame, column: str) -> str:
    return str(next(iter(frame[column].dropna()), "")) if column in frame.columns else ""


def _read(path: str) -> list[str]:
    from dicomkit.sources.dataset_reader import read_dataset
    from dicomkit.tags import text_at

    keywords = [keyword for _, _, keyword in _PATIENT]
    try:
        dataset = read_dataset(path, keywords=keywords, stop_before_pixels=True)
    except UnreadableError:  # another source may do
        return []
    return [text_at(dataset, keyword) for keyword in keywords]


def _moment(moment: Any) -> str:
    return "" if _is_null(moment) else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_null(value: Any) -> bool:
    return bool(pd.isna(value))
