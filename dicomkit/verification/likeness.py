"""Whether what came back is what was sent: the source is made again into what went over the wire, and compared.

A source that has changed since it was sent proves nothing, and is told apart from an archive that changed it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from dicomkit.content import SourceError
from dicomkit.errors import UnreadableError
from dicomkit.instances import Found, Instance, Unreadable, find_instances
from dicomkit.transcode import TARGETS, UNCOMPRESSED, transcoded
from dicomkit.uids import EXPLICIT_BE, EXPLICIT_LE, uid_name
from dicomkit.verification.compare import (
    DERIVATION,
    PIXEL_ENCODING,
    Difference,
    Encoded,
    NotComparable,
    compare,
)
from dicomkit.verification.pixels import PixelVerdict, compare_pixels
from dicomkit.verification.subjects import NO_SERIES, Finding, Subject

__all__ = ["Sources", "judge", "sent_as"]

_IN_MEMORY = ("<bytes>", "<dataset>")


def sent_as(subject: Subject) -> str:
    """The transfer syntax in which it went over the wire; empty when the row does not say."""
    return subject.sent_transfer_syntax or subject.transfer_syntax or ""


class Sources:
    """Finds what was sent, where it was sent from."""

    def __init__(self) -> None:
        self._asked: deque[str] = deque()
        self._found: Iterator[Found] | None = None

    def find(self, subject: Subject) -> Instance | Finding:
        """What was sent, as its source has it now; or why there is nothing to compare with."""
        if subject.series is None:
            return Finding("unknown", NO_SERIES)
        if subject.source in _IN_MEMORY:
            return Finding(
                "unknown",
                "not asked about: it was sent from memory, so there is no source to compare with; use method='find' "
                "or 'commit'",
            )
        found = self._look_at(subject.source)
        if isinstance(found, Instance) and found.sop_instance_uid == subject.sop_instance_uid:
            return found
        why = found.detail if isinstance(found, Unreadable) else "another one is in its place"
        return Finding(
            "unknown",
            f"not asked about: what was sent is not there any more to compare with ({why}); use method='find' or "
            "'commit'",
        )

    def _look_at(self, source: str) -> Found | None:
        # One search for all, since it remembers which archive it was in.
        self._asked.append(source)
        if self._found is None:
            self._found = find_instances(self._sources())
        found = next(self._found, None)
        if found is None or found.source != source:  # a folder, say, which would have more to tell
            self._found = None
            self._asked.clear()
        return found

    def _sources(self) -> Iterator[str]:
        while self._asked:
            yield self._asked.popleft()


def judge(archive: str, subject: Subject, source: Instance, brought: Encoded) -> Finding:
    """Whether what the archive brought back is what was sent from this source."""
    syntax = sent_as(subject) or source.transfer_syntax
    if source.transfer_syntax != syntax and syntax not in TARGETS:
        return Finding(
            "unknown",
            f"it came back from {archive}, but its source is not in {uid_name(syntax)} any more, as it was sent; use "
            "method='find' or 'commit'",
        )
    returned = replace(
        source,
        transfer_syntax=brought.transfer_syntax,
        offset=0,
        length=len(brought.data),
        stamp=None,
        content=brought.data,
    )
    try:
        sent = _uniform(source if source.transfer_syntax == syntax else transcoded(source, syntax))
        back = _uniform(returned)
    except UnreadableError as error:
        return Finding("unknown", f"it came back from {archive}, but cannot be compared: {_reason(error)}")
    syntaxes = {sent.transfer_syntax, back.transfer_syntax}
    is_recompressed = len(syntaxes) > 1 and not syntaxes <= UNCOMPRESSED
    try:
        comparison = compare(sent, back, leave_out=PIXEL_ENCODING if is_recompressed else frozenset())
    except NotComparable as error:
        return _unreadable(archive, sent, error)
    pixels = compare_pixels(sent, back) if is_recompressed else PixelVerdict("yes")
    marks = [one for one in comparison.differences if is_recompressed and _is_mark_of_compression(one)]
    is_another = len(marks) < len(comparison.differences)
    said = [str(comparison)] if is_another else []
    said += [pixels.sentence] if pixels.sentence else []
    if said and (changed := _how_it_changed(subject, source)):
        return Finding(
            "unknown",
            f"it came back from {archive}, but its source {changed}, so that a difference proves nothing",
        )
    back_in = brought.transfer_syntax
    otherwise = "" if back_in == syntax else f", in {uid_name(back_in)} instead of {uid_name(syntax)}"
    if is_another or pixels.same == "no":
        return Finding("no", f"it came back from {archive} as another{otherwise}: {'; '.join(said)}")
    if pixels.same == "unknown":
        return Finding("unknown", f"it came back from {archive}{otherwise}: {pixels.sentence}")
    decoded = " and its decoded pixels" if is_recompressed else ""
    added = f"; {comparison}, as compressing does" if marks else ""
    return Finding(
        "yes",
        f"it came back from {archive}{otherwise}, and its {comparison.elements - len(marks)} elements{decoded} are as "
        f"sent{added}",
    )


def _is_mark_of_compression(difference: Difference) -> bool:
    return difference.what == "added" and difference.tag in DERIVATION


def _reason(error: UnreadableError) -> str:
    return error.reason if isinstance(error, SourceError) else str(error)


def _uniform(instance: Instance) -> Encoded:
    """The data set of an instance, in little endian."""
    if instance.transfer_syntax == EXPLICIT_BE:
        instance = transcoded(instance, EXPLICIT_LE)
    return Encoded(bytes(instance.read_all()), instance.transfer_syntax)


def _unreadable(archive: str, sent: Encoded, error: NotComparable) -> Finding:
    """Whose fault it is that two data sets cannot be compared."""
    try:
        compare(sent, sent)
    except NotComparable as ours:
        return Finding(
            "unknown",
            f"it came back from {archive}, but of its source: {ours}; use method='find' or 'commit'",
        )
    return Finding("no", f"of what came back from {archive}: {error}; send it again")


def _how_it_changed(subject: Subject, source: Instance) -> str:
    """Why a source is not what it was when it was sent; empty when nothing says so."""
    if source.stamp is not None and subject.started_at is not None:
        modified = datetime.fromtimestamp(source.stamp.modified_ns / 1e9, UTC)
        if modified > subject.started_at:
            return f"was modified after it was sent (on {modified:%Y-%m-%d at %H:%M:%S} UTC)"
    is_as_sent = source.transfer_syntax == subject.sent_transfer_syntax
    if is_as_sent and subject.size_bytes not in (None, source.length):
        return f"has another size than it was sent with ({source.length} bytes, not {subject.size_bytes})"
    return ""
