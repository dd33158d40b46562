"""One look at a DICOM content: what a send needs to know of it, and where in it the data set lies.

The File Meta Information and the headers of the data set are followed to the end, and nothing else is read: never
the pixels. What our walk cannot follow is shown to pydicom.
"""

from __future__ import annotations

import os

from dicomkit.content import (
    BytesSource,
    DataSource,
    FileSource,
    Forward,
    MemberSource,
    SourceError,
    Stamp,
    ZipMember,
    describe_os_error,
    fetch_from,
    inflate,
    open_file,
)
from dicomkit.dataset_walk import (
    BIG_EXPLICIT,
    HEAD_SIZE,
    IMPLICIT,
    LITTLE_EXPLICIT,
    MEDIA_SOP_CLASS,
    MEDIA_SOP_INSTANCE,
    MODALITY,
    SERIES_INSTANCE,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY_INSTANCE,
    TRANSFER_SYNTAX,
    Encoding,
    Malformed,
    Truncated,
    Window,
    guess_encoding,
    read_file_meta,
    walk_data_set,
)
from dicomkit.errors import UnreadableError, without_folder
from dicomkit.frozen import Frozen
from dicomkit.uids import (
    DEFLATED_LE,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    MEDIA_STORAGE_DIRECTORY,
    uid_name,
)

__all__ = [
    "ArchiveFileError",
    "DirectoryFileError",
    "Instance",
    "NotDicomError",
    "PREFIX_END",
    "has_prefix",
    "look_at",
    "look_at_member",
]

_PREAMBLE_SIZE = 128  # PS3.10 7.1
_PREFIX = b"DICM"
PREFIX_END = 132
_FIRST_GROUPS = (b"\x08\0", b"\x02\0", b"\0\x08")  # of a file without preamble, in either byte order
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the latter of an empty one
_OTHER_MAGICS = {
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
}
_LONGEST_UID = 64  # PS3.5 9.1
_MOST_INFLATED = 1 << 30  # bytes; what a deflated data set may grow to before it is taken for an attack

_GE_PRIVATE_LE = "1.2.840.113619.5.2"  # Implicit VR Little Endian but for the pixels
_ENCODINGS = {
    IMPLICIT_LE: IMPLICIT,
    _GE_PRIVATE_LE: IMPLICIT,
    EXPLICIT_BE: BIG_EXPLICIT,
}  # all others are Explicit VR Little Endian: PS3.5 A.4
# The whole data set is deflated (PS3.5 A.5; the two JPIP ones in PS3.6 Table A-1).
_DEFLATED = frozenset((DEFLATED_LE, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
_NATIVE = {IMPLICIT.name: IMPLICIT_LE, LITTLE_EXPLICIT.name: EXPLICIT_LE, BIG_EXPLICIT.name: EXPLICIT_BE}


class NotDicomError(SourceError):
    """The content is no DICOM at all."""


class ArchiveFileError(NotDicomError):
    """The content is a zip archive, and may have instances in it."""


class DirectoryFileError(SourceError):
    """The content is a DICOMDIR, which refers to instances and is none; `damage` says what is wrong with it."""

    def __init__(self, source: str, damage: str) -> None:
        self.damage = damage
        super().__init__(
            source, "a DICOMDIR is not sent itself; name it as a source to send what it refers to"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.source, self.damage)


class Instance(Frozen, hidden=("content",)):
    """What a send needs to know of one SOP instance, and how to get at its bytes.

    Attributes
    ----------
    source : str
        The path; ``archive.zip!/member``; ``<bytes>`` or ``<dataset>``.
    sop_class_uid, sop_instance_uid : str
        From the data set, or from the File Meta Information where the data set has none.
    study_instance_uid, series_instance_uid, modality : str or None
        From the data set.
    transfer_syntax : str
        As stored.
    offset, length : int
        Where in the content the data set begins, and how many bytes of it are to be sent.
    note : str
        What is odd about it, in a sentence; mostly empty.
    stamp : Stamp or None
        What tells whether the file is the one that was looked at; None for what is in memory.
    """

    source: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    modality: str | None
    transfer_syntax: str
    offset: int
    length: int
    note: str
    stamp: Stamp | None
    content: str | bytes | ZipMember

    @property
    def held_bytes(self) -> int:
        """How many bytes of memory its content takes; none for what is on disk."""
        return len(self.content) if isinstance(self.content, bytes) else 0

    def open(self) -> DataSource:
        """Open the data set for sending.

        Raises
        ------
        SourceChanged
            It is not what was looked at; `dicomkit.instances.look_again` says what it is.
        UnreadableError
            The file is gone, or may not be read.
        """
        if isinstance(self.content, str):
            return FileSource(self.content, self.source, self.offset, self.length, self.stamp)
        if isinstance(self.content, bytes):
            return BytesSource(self.content, self.offset, self.length)
        return MemberSource(self.content, self.offset, self.length, self.stamp)

    # Not `read`, by which a source is known as a stream.
    def read_all(self) -> bytearray:
        """Read the whole data set into memory.

        Raises
        ------
        UnreadableError
            As for `open`, or reading fails on the way.
        """
        source = self.open()
        try:
            data = bytearray(self.length)
            got = source.readv([memoryview(data)])
            source.check_unchanged()
        except OSError as error:
            raise UnreadableError(f"reading it failed ({error.strerror})") from error
        finally:
            source.close()
        if got < len(data):
            raise UnreadableError(f"it ended {len(data) - got} bytes early while it was being read")
        return data


def look_at(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview, source: str | None = None
) -> Instance:
    """Find out what a file, or the content of one, holds.

    Parameters
    ----------
    path_or_bytes : path, or bytes-like
        Bytes are the content itself; what can still be written to is copied.
    source : str, optional
        What to call it; by default the path, or ``<bytes>``.

    Raises
    ------
    UnreadableError
        It cannot be read, is no DICOM, is truncated, or says nowhere which SOP instance it is.
    """
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        content = bytes(path_or_bytes)
        window = Window(content, len(content), lambda position, count: content[position : position + count])
        return _describe(window, source or "<bytes>", content, None)
    path = os.fspath(path_or_bytes)
    name = source or path
    try:
        descriptor, status = open_file(path)
    except OSError as error:
        raise SourceError(name, describe_os_error(error)) from without_folder(error)
    except ValueError as error:  # a NUL in the path
        raise SourceError(name, describe_os_error(error)) from error
    try:
        fetch = fetch_from(descriptor)
        window = Window(fetch(0, HEAD_SIZE), status.st_size, fetch)
        return _describe(window, name, path, Stamp.of(status))
    except OSError as error:
        raise SourceError(name, describe_os_error(error)) from error
    finally:
        os.close(descriptor)


def look_at_member(member: ZipMember) -> Instance:
    """Find out what a member of a zip archive holds; it is read to its end, to know that it is whole.

    Raises
    ------
    UnreadableError
        As `look_at`, and when the archive is damaged.
    """
    name = member.source
    try:
        descriptor, status = open_file(member.archive)
    except OSError as error:
        raise SourceError(name, describe_os_error(error)) from without_folder(error)
    try:
        packed = fetch_from(descriptor)
        content = Forward(lambda: member.pieces(packed))
        window = Window(content.fetch(0, HEAD_SIZE), member.size, content.fetch, seekable=False)
        instance = _describe(window, name, member, Stamp.of(status))
        content.finish()
    except OSError as error:
        raise SourceError(name, describe_os_error(error)) from error
    finally:
        os.close(descriptor)
    return instance


def has_prefix(head: bytes | bytearray | memoryview) -> bool:
    """Whether what begins like this, `PREFIX_END` bytes or more, has a preamble and ``DICM`` after it (PS3.10 7.1)."""
    return head[_PREAMBLE_SIZE:PREFIX_END] == _PREFIX


def _describe(window: Window, source: str, content: str | bytes | ZipMember, stamp: Stamp | None) -> Instance:
    head = window.buffer
    begin = PREFIX_END if has_prefix(head) else 0
    if not begin and head[:2] not in _FIRST_GROUPS:
        raise _no_dicom(source, head)
    meta: dict[int, bytes] = {}
    values: dict[int, bytes] = {}
    notes: list[str] = []
    try:
        meta, offset = read_file_meta(window, begin)
        syntax = _text(meta.get(TRANSFER_SYNTAX))
        if syntax in _DEFLATED:
            end = _walk_deflated(window, offset, values)
        else:
            syntax, encoding = _how_encoded(window, offset, syntax, notes)
            end = _walk(window, offset, encoding, values, notes)
    except (Truncated, Malformed, EOFError) as error:
        if _text(meta.get(MEDIA_SOP_CLASS)) == MEDIA_STORAGE_DIRECTORY:
            raise DirectoryFileError(source, str(error)) from error
        if not begin and SOP_INSTANCE not in values:
            raise NotDicomError(source, f"not DICOM: no DICM at byte 128, and {error}") from error
        if isinstance(error, Malformed):
            raise SourceError(source, f"damaged: {error}; export it again from where it came from") from error
        raise SourceError(source, f"{error}; get a complete copy of it, and send that") from error
    if MEDIA_SOP_CLASS in meta and _text(meta[MEDIA_SOP_CLASS]) == MEDIA_STORAGE_DIRECTORY:
        raise DirectoryFileError(source, "")
    if not begin and SOP_INSTANCE not in values:
        raise NotDicomError(source, "not DICOM: no DICM at byte 128, and no SOP Instance UID")
    if end < window.size:
        notes.append(
            f"{window.size - end} bytes after the last element are no part of the data set and left out"
        )
    sop_class = _uid(source, "SOP Class UID", values.get(SOP_CLASS), meta.get(MEDIA_SOP_CLASS), notes)
    sop_instance = _uid(
        source, "SOP Instance UID", values.get(SOP_INSTANCE), meta.get(MEDIA_SOP_INSTANCE), notes
    )
    return Instance(
        source,
        sop_class,
        sop_instance,
        _text(values.get(STUDY_INSTANCE)) or None,
        _text(values.get(SERIES_INSTANCE)) or None,
        _text(values.get(MODALITY)) or None,
        syntax,
        offset,
        end - offset,
        "; ".join(notes),
        stamp,
        content,
    )


def _no_dicom(source: str, head: bytes) -> NotDicomError:
    """Say what it is instead, where that helps."""
    if head.startswith(_ZIP_MAGICS):
        return ArchiveFileError(source, "a zip archive: name it as a source to send what is in it")
    if not head:
        return NotDicomError(source, "not DICOM: it is empty")
    for magic, kind in _OTHER_MAGICS.items():
        if head.startswith(magic):
            return NotDicomError(source, f"not DICOM: it is {kind}")
    return NotDicomError(source, "not DICOM: no DICM at byte 128, and no element of DICOM at byte 0")


def _how_encoded(window: Window, offset: int, syntax: str, notes: list[str]) -> tuple[str, Encoding]:
    """Believe the first element where it contradicts the File Meta Information: the bytes are what is sent."""
    first = window.bytes_at(offset, min(8, window.size - offset))
    guess = guess_encoding(first)
    if not syntax:
        if first and guess is None:
            raise Malformed("there is no Transfer Syntax UID, and no element to guess it from")
        guess = guess or IMPLICIT
        syntax = _NATIVE[guess.name]
        notes.append(f"its Transfer Syntax UID is missing; the data set looks like {uid_name(syntax)}")
        return syntax, guess
    encoding = _ENCODINGS.get(syntax, LITTLE_EXPLICIT)
    if guess is None or guess is encoding or first[guess is not BIG_EXPLICIT]:
        return syntax, encoding
    notes.append(f"the File Meta says {uid_name(syntax)}, but the data set is in {guess.name}")
    return (_NATIVE[guess.name] if syntax in _NATIVE.values() else syntax), guess


def _walk(window: Window, offset: int, encoding: Encoding, values: dict[int, bytes], notes: list[str]) -> int:
    try:
        return walk_data_set(window, offset, encoding, values)
    except Malformed as error:
        values.update(_ask_pydicom(window, error))
        if SOP_INSTANCE not in values:
            raise
        notes.append(f"its elements cannot be followed to the end ({error}), so it is sent as it is")
        return window.size


def _walk_deflated(window: Window, offset: int, values: dict[int, bytes]) -> int:
    """Walk over what the data set inflates to (PS3.5 A.5); return where the deflated bytes end."""
    import zlib

    pieces = inflate(window.fetch, offset, window.size)
    size = 0
    try:
        while True:
            try:
                size += len(next(pieces))
            except StopIteration as stop:
                end: int = stop.value
                break
            if size > _MOST_INFLATED:
                raise Malformed(f"the deflated data set grows beyond {_MOST_INFLATED} bytes")
    except zlib.error as error:
        raise Malformed(f"the data set does not inflate: {error}") from error
    content = Forward(lambda: inflate(window.fetch, offset, window.size))
    inflated = Window(content.fetch(0, HEAD_SIZE), size, content.fetch, seekable=False)
    walk_data_set(inflated, 0, LITTLE_EXPLICIT, values)
    if window.size == end + 1 and window.bytes_at(end, 1) == b"\0":  # the padding that PS3.5 A.5 asks for
        end += 1
    return end


class _WindowFile:
    """A content as a file that pydicom can read."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._window.size - self._position)
        data = self._window.fetch(self._position, left if count < 0 else min(count, left))
        self._position += len(data)
        return data

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        start = (0, self._position, self._window.size)[whence]
        self._position = start + position
        return self._position

    def tell(self) -> int:
        return self._position


def _ask_pydicom(window: Window, reason: Malformed) -> dict[int, bytes]:
    """Have pydicom, which forgives more, read the attributes of a result row."""
    from typing import BinaryIO, cast

    from pydicom import dcmread

    from dicomkit.quiet import PYDICOM_QUIET

    found: dict[int, bytes] = {}
    with PYDICOM_QUIET:
        try:
            dataset = dcmread(
                cast(BinaryIO, _WindowFile(window)),
                force=True,
                stop_before_pixels=True,
                defer_size=HEAD_SIZE,
                specific_tags=list(_ATTRIBUTES),
            )
            for tag in _ATTRIBUTES:
                if tag in dataset:
                    found[tag] = str(dataset[tag].value or "").encode()
        except Exception:  # noqa: BLE001 (pydicom raises whatever its parts raise; it has no answer, then)
            raise reason from None
    return found


_ATTRIBUTES = (SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY_INSTANCE, SERIES_INSTANCE)
_PADDING = b"\0 "  # PS3.5 6.2: UI is padded with NUL, other text with spaces, and writers mix them up


def _text(value: bytes | None) -> str:
    """Return a value without its padding, empty where there is none or it is no text."""
    if not value:
        return ""
    try:
        text = value.strip(_PADDING).decode("ascii")
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _LONGEST_UID and text.isprintable() else ""


def _uid(source: str, name: str, value: bytes | None, media: bytes | None, notes: list[str]) -> str:
    """Return the data set's UID, or what the File Meta Information has instead."""
    own = (value or b"").strip(_PADDING)
    other = (media or b"").strip(_PADDING)
    if not own:
        if not other:
            raise SourceError(
                source, f"no {name} in the data set nor in the File Meta; it needs one to be sent"
            )
        notes.append(f"the data set has no {name}, so the File Meta's is used")
        own = other
    elif other and other != own:
        notes.append(f"the File Meta has another {name}, {_text(other) or 'an unreadable one'}")
    uid = _text(own)
    if not uid:
        raise SourceError(
            source, f"its {name} is longer than {_LONGEST_UID} characters or not printable ASCII (PS3.5 9.1)"
        )
    if not uid.replace(".", "").isdigit():
        notes.append(f"its {name} is not a valid UID (PS3.5 9.1)")
    return uid
