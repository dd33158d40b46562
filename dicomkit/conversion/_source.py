"""A data set opened for following it from header to header: in a file, in memory, in a zip member, deflated or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit.dictionary.uids import DEFLATED_SYNTAXES, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.errors import UnreadableError, without_folder
from dicomkit.sources import SourceError, describe_os_error
from dicomkit.sources.elements import BIG_EXPLICIT, IMPLICIT, LITTLE_EXPLICIT, Encoding, Fetch, Window
from dicomkit.sources.readers import FileSource, Forward, OpenFile, ZipMember, inflate

if TYPE_CHECKING:
    from typing import Self

    from dicomkit.sources import Instance

__all__ = ["Opened", "encoding_of", "is_deflated"]

_ENCODINGS = {IMPLICIT_LE: IMPLICIT, EXPLICIT_LE: LITTLE_EXPLICIT, EXPLICIT_BE: BIG_EXPLICIT}


def is_deflated(instance: Instance) -> bool:
    """Whether the data set is stored deflated (PS3.5 A.5)."""
    return instance.transfer_syntax in DEFLATED_SYNTAXES


class Opened:
    """The data set, opened; a context, which closes it.

    Raises
    ------
    UnreadableError
        It cannot be read any more.
    """

    __slots__ = ("_file", "_instance")

    def __init__(self, instance: Instance) -> None:
        content = instance.content
        self._instance = instance
        self._file: OpenFile | None = None
        if isinstance(content, str):
            self._file = FileSource(
                content, instance.source, instance.offset, instance.length, instance.stamp
            )
        elif isinstance(content, ZipMember):
            self._file = OpenFile(content.archive, content.source, instance.stamp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            self._file.close()
        if isinstance(error, OSError):
            raise SourceError(self._instance.source, describe_os_error(error)) from without_folder(error)

    def keep(self) -> FileSource | None:
        """Leave it open, and return it as what it is sent from; None where it was to be read from its beginning."""
        file = self._file
        if not isinstance(file, FileSource) or is_deflated(self._instance):
            return None
        self._file = None
        return file

    def window(self) -> tuple[Window, int]:
        """Return a window that ends where the data set ends, and where it begins in it."""
        instance, content = self._instance, self._instance.content
        begin, end = instance.offset, instance.offset + instance.length
        fetch: Fetch
        if isinstance(content, bytes):
            fetch = lambda position, count: content[position : position + count]  # noqa: E731
        else:
            assert self._file is not None, "it is not kept so far"
            fetch = self._file.fetch
            if isinstance(content, ZipMember):
                packed = fetch
                fetch = Forward(lambda: content.pieces(packed)).fetch
        if not is_deflated(instance):
            window = Window(b"", end, fetch, seekable=not isinstance(content, ZipMember))
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
