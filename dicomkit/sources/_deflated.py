"""Deflated data sets (PS3.5 A.5), and those that are it, or are not, against what their transfer syntax says."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress

from dicomkit.dictionary.uids import DEFLATED_LE, uid_name
from dicomkit.sources.contradictions import contradiction
from dicomkit.sources.elements import (
    FAULTS,
    FIRST_GROUPS,
    HEAD_SIZE,
    LITTLE_EXPLICIT,
    Contradiction,
    Findings,
    Malformed,
    Window,
    guess_encoding,
    walk_as,
    walk_data_set,
)
from dicomkit.sources.readers import Forward, inflate

_MOST_INFLATED = 1 << 30  # bytes; what a deflated data set may grow to before it is taken for an attack


def walk_deflated(window: Window, offset: int, syntax: str, found: Findings) -> int:
    """Walk over what the data set inflates to; return where the deflated bytes end."""
    size = 0
    try:
        pieces = inflate(window.fetch, offset, window.size)
        while True:
            try:
                size += len(next(pieces))
            except StopIteration as stop:
                end: int = stop.value
                break
            if size > _MOST_INFLATED:
                raise Malformed(f"the deflated data set grows beyond {_MOST_INFLATED} bytes")
    except (zlib.error, EOFError) as error:
        _refuse_plain(window, offset, syntax)
        _pick_up(window, offset, size, found)
        if isinstance(error, EOFError):
            raise
        raise Malformed(f"the data set does not inflate: {error}") from error
    content = Forward(lambda: inflate(window.fetch, offset, window.size))
    inflated = Window(content.fetch(0, HEAD_SIZE), size, content.fetch, seekable=False)
    guess = guess_encoding(inflated.bytes_at(0, min(8, size))) or LITTLE_EXPLICIT
    encoding, _ = walk_as(inflated, 0, guess, LITTLE_EXPLICIT, found)
    if encoding is not LITTLE_EXPLICIT:
        raise Contradiction(
            f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), which needs Explicit VR Little Endian (PS3.5 "
            f"A.5), but what it inflates to is in {encoding.name}; export it again from where it came from"
        )
    if problem := contradiction(inflated, syntax, encoding, found.pixels):
        raise Contradiction(problem)
    if window.size == end + 1 and window.bytes_at(end, 1) == b"\0":  # the padding that PS3.5 A.5 asks for
        end += 1
    return end


def _pick_up(window: Window, offset: int, size: int, found: Findings) -> None:
    """Find what there is to be found in a data set of which only so many bytes can be inflated."""

    def pieces() -> Iterator[bytes]:
        left = size
        whole = inflate(window.fetch, offset, window.size)
        while left > 0:
            piece = next(whole)
            left -= len(piece)
            yield piece

    with suppress(*FAULTS):
        walk_data_set(Window(b"", size, Forward(pieces).fetch, seekable=False), 0, LITTLE_EXPLICIT, found)


def _refuse_plain(window: Window, offset: int, syntax: str) -> None:
    """Raise Contradiction where a data set that should be deflated is elements as they are."""
    found = Findings()
    guess = guess_encoding(window.bytes_at(offset, min(8, window.size - offset)))
    if guess is None:
        return
    try:
        walk_data_set(window, offset, guess, found)
    except FAULTS:
        return
    plain = guess.syntax
    remedy = "export it again from where it came from"
    if not contradiction(window, plain, guess, found.pixels):
        remedy = f"declare {uid_name(plain)} ({plain}) in its File Meta, or {remedy}"
    raise Contradiction(
        f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), but its data set is not deflated; {remedy}"
    )


def refuse_deflated(window: Window, offset: int, syntax: str) -> None:
    """Raise Contradiction where a data set that should be elements inflates to elements."""
    try:
        first = next(inflate(window.fetch, offset, window.size), b"")
    except (zlib.error, EOFError):
        return
    inflated = guess_encoding(first[:8])
    if inflated is None or first[:2] not in FIRST_GROUPS:
        return
    said = "it has no Transfer Syntax UID, and its data set is deflated"
    if syntax:
        said = f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), but its data set is deflated"
    if inflated is not LITTLE_EXPLICIT:
        raise Contradiction(
            f"{said}, and what it inflates to is in {inflated.name}; export it again from where it came from"
        )
    raise Contradiction(
        f"{said}; declare {uid_name(DEFLATED_LE)} ({DEFLATED_LE}) in its File Meta, or export it again from where it "
        "came from"
    )
