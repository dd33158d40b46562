"""A data set opened for following it from header to header: in a file, in memory, in a zip member, deflated or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dicomkit.dictionary.uids import DEFLATED_SYNTAXES, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.errors import UnreadableError, without_folder
from dicomkit.sources import SourceChanged, SourceError, describe_os_error, open_file
from dicomkit.sources.elements import BIG_EXPLICIT, IMPLICIT, LITTLE_EXPLICIT, Encoding, Fetch, Window
from dicomkit.sources.readers import Forward, fetch_from, inflate

if TYPE_CHECKING:
    from dicomkit.sources import Instance

__all__ = ["encoding_of", "is_deflated", "opened"]

_ENCODINGS = {IMPLICIT_LE: IMPLICIT, EXPLICIT_LE: LITTLE_EXPLICIT, EXPLICIT_BE: BIG_EXPLICIT}


def is_deflated(instance: Instance) -> bool:
    """Whether the data set is stored deflated (PS3.5 A.5)."""
    return instance.transfer_syntax in DEFLATED_SYNTAXES


@contextmanager
def opened(instance: Instance) -> Iterator[tuple[Window, int]]:
    """Open the data set; give a window that ends where it ends, and where it begins in it.

    Raises
    ------
    UnreadableError
        It cannot be read any more.
    """
    content = instance.content
    if isinstance(content, bytes):
        yield _window(
            instance, lambda position, count: content[position : position + count], is_forward=False
        )
        return
    path, name = (content, content) if isinstance(content, str) else (content.archive, content.source)
    try:
        descriptor, status = open_file(path)
    except OSError as error:
        raise SourceError(name, describe_os_error(error)) from without_folder(error)
    try:
        if instance.stamp is not None and not instance.stamp.is_of(status):
            raise SourceChanged.before(name)
        packed = fetch_from(descriptor)
        if isinstance(content, str):
            yield _window(instance, packed, is_forward=False)
        else:
            yield _window(instance, Forward(lambda: content.pieces(packed)).fetch, is_forward=True)
    except OSError as error:
        raise SourceError(name, describe_os_error(error)) from without_folder(error)
    finally:
        os.close(descriptor)


def _window(instance: Instance, fetch: Fetch, *, is_forward: bool) -> tuple[Window, int]:
    begin, end = instance.offset, instance.offset + instance.length
    if not is_deflated(instance):
        window = Window(b"", end, fetch, seekable=not is_forward)
        window.base = begin
        return window, begin
    # Its size shows only when it is inflated to the end.
    import zlib

    try:
        size = sum(map(len, inflate(fetch, begin, end)))
    except (zlib.error, EOFError):
        raise UnreadableError(
            "its deflated data set is damaged; get a complete copy of it, and send that"
        ) from None
    return Window(b"", size, Forward(lambda: inflate(fetch, begin, end)).fetch, seekable=False), 0


def encoding_of(instance: Instance) -> Encoding:
    """Return how the elements of the data set are encoded, inflated if it is deflated."""
    return _ENCODINGS[instance.encoding]
