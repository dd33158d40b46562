"""Whether what came back is what the source holds.

A source that has changed since it was sent proves nothing, and is set apart from an archive that changed it. That
less was sent than the source holds is no change of the source: it is what we did, and is to be found out.
"""

from __future__ import annotations

from datetime import UTC, datetime

from dicomkit.dictionary.statuses import COERCION
from dicomkit.dictionary.uids import uid_name
from dicomkit.verification._compare import Comparison, Difference, compare, named
from dicomkit.verification._elements import Encoded, NotComparable, read_data_set
from dicomkit.verification._sources import Source
from dicomkit.verification._subjects import Finding, Subject


def judge(archive: str, subject: Subject, source: Source, brought: Encoded) -> Finding:
    """Whether what the archive brought back is what this source holds."""
    try:
        comparison = compare(source.encoded, brought, coerced=subject.status == COERCION)
    except NotComparable as error:
        return _not_comparable(archive, source, error)
    came, otherwise, syntax = f"it came back from {archive}", "", subject.syntax_on_the_wire
    if brought.transfer_syntax != syntax:
        otherwise = f", in {uid_name(brought.transfer_syntax)} instead of {uid_name(syntax)}"
    if (comparison.differences or comparison.doubts) and (changed := _how_it_changed(subject, source)):
        return Finding(
            "unknown", f"{came}, but its source {changed}, so that a difference proves nothing; send it again"
        )
    if comparison.differences:
        return Finding("no", f"{came} as another{otherwise}: {comparison}")
    if comparison.doubts:
        return Finding("unknown", f"{came}{otherwise}: {'; '.join(dict.fromkeys(comparison.doubts))}")
    return Finding("yes", f"{came}{otherwise}, and {_sameness(comparison)}")


def _sameness(comparison: Comparison) -> str:
    count = comparison.elements - len({difference.tag for difference, _ in comparison.allowed})
    decoded = " and its decoded pixels" if comparison.has_decoded else ""
    by_words: dict[str, list[Difference]] = {}
    for difference, rule in comparison.allowed:
        by_words.setdefault(rule.words, []).append(difference)
    besides = "".join(f"; {named(differences)}, {words}" for words, differences in by_words.items())
    return f"its {count} elements{decoded} are as sent{besides}"


def _not_comparable(archive: str, source: Source, error: NotComparable) -> Finding:
    """Whose fault it is that two data sets cannot be compared."""
    try:
        read_data_set(source.encoded)
    except NotComparable as ours:
        return Finding(
            "unknown",
            f"it came back from {archive}, but of its source: {ours}; use method='find' or 'commit'",
        )
    return Finding("no", f"of what came back from {archive}: {error}; send it again")


def _how_it_changed(subject: Subject, source: Source) -> str:
    """Why a source is not what it was when it was sent; empty when nothing says so."""
    modified = datetime.fromtimestamp(source.modified / 1e9, UTC)
    on = f"on {modified:%Y-%m-%d at %H:%M:%S} UTC"
    if subject.fingerprint and subject.fingerprint.startswith("file:"):
        # As the ledger has it: whatever the clocks said, it is known by size and time, or it is another file.
        if not f"{subject.fingerprint}:".startswith(f"file:{source.size}:{source.modified}:"):
            return f"is another file than the one that was sent (modified {on})"
        return ""
    if subject.started_at is not None and modified > subject.started_at:
        return f"was modified after it was sent ({on})"
    length = len(source.encoded.data)
    length += length % 2  # as it is sent
    is_as_sent = source.encoded.transfer_syntax == subject.sent_transfer_syntax
    if is_as_sent and subject.size_bytes is not None and length < subject.size_bytes:
        return f"is smaller than it was sent ({length} bytes, not {subject.size_bytes})"
    return ""
