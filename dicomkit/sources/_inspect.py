"""One look at a DICOM content: what a send needs to know of it, and where in it the data set lies.

The File Meta Information and the headers of the data set are followed to the end, and nothing else is read: never
the pixels. What our walk cannot follow is shown to pydicom.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.uids import (
    DEFLATED_LE,
    DEFLATED_SYNTAXES,
    EXPLICIT_BE,
    EXPLICIT_LE,
    GE_PRIVATE_LE,
    IMPLICIT_LE,
    MEDIA_STORAGE_DIRECTORY,
    TRANSFER_SYNTAXES,
    UNCOMPRESSED,
    uid_name,
)
from dicomkit.errors import UnreadableError, without_folder
from dicomkit.sources._readers import (
    BytesSource,
    DataSource,
    FileSource,
    Forward,
    HeaderFacts,
    MemberSource,
    SourceError,
    Stamp,
    ZipMember,
    as_on_disk,
    describe_os_error,
    fetch_from,
    inflate,
    open_file,
)
from dicomkit.sources._walk import (
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
    UNDEFINED_LENGTH,
    Damaged,
    Encoding,
    Findings,
    Malformed,
    Truncated,
    Window,
    guess_encoding,
    read_file_meta,
    tag_name,
    walk_data_set,
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
_FIRST_GROUPS = (
    b"\x08\0",
    b"\x02\0",
    b"\0\x08",
    b"\0\x02",
)  # of a file without preamble, in either byte order
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

_ENCODINGS = {
    IMPLICIT_LE: IMPLICIT,
    GE_PRIVATE_LE: IMPLICIT,
    EXPLICIT_BE: BIG_EXPLICIT,
}  # all others are Explicit VR Little Endian: PS3.5 A.4
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


class _Contradiction(Exception):
    """The transfer syntax and the data set contradict each other."""


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
    encoding : str
        How the elements of the data set are encoded, as the uncompressed transfer syntax that does so: Implicit or
        Explicit VR Little Endian, or Explicit VR Big Endian; of a deflated data set, once it is inflated. This is the
        one answer to that question, found in the bytes: of a transfer syntax that PS3.6 does not have, its name does
        not tell.
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
    encoding: str = EXPLICIT_LE

    @property
    def held_bytes(self) -> int:
        """How many bytes of memory its content takes; none for what is on disk."""
        return len(self.content) if isinstance(self.content, bytes) else 0

    def open(self) -> DataSource:
        """Open the data set for sending.

        Raises
        ------
        SourceChanged
            It is not what was looked at; `dicomkit.sources._instances.look_again` says what it is.
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

    Returns
    -------
    Instance
        Its identity, encoding and size; the pixels are not read.

    Raises
    ------
    UnreadableError
        It cannot be read, is no DICOM, is truncated, or says nowhere which SOP instance it is.
    """
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        content = bytes(path_or_bytes)
        window = Window(content, len(content), lambda position, count: content[position : position + count])
        return _describe(window, source or "<bytes>", content, None)
    path = as_on_disk(os.fspath(path_or_bytes))
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
        try:
            content.finish()
        except OSError as error:
            raise SourceError(name, describe_os_error(error), _facts_of(instance)) from error
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
    found = Findings()
    notes: list[str] = []
    try:
        offset = read_file_meta(window, begin, meta)
        syntax, encoding, end = _follow(window, offset, _uid_text(meta.get(TRANSFER_SYNTAX)), found, notes)
    except (Truncated, Malformed, Damaged, EOFError, _Contradiction) as error:
        if _uid_text(meta.get(MEDIA_SOP_CLASS)) == MEDIA_STORAGE_DIRECTORY:
            raise DirectoryFileError(source, str(error)) from error
        if not begin and SOP_INSTANCE not in found.values:
            raise NotDicomError(source, f"not DICOM: no DICM at byte 128, and {error}") from error
        header = _header_facts(meta, found.values)
        if isinstance(error, _Contradiction):
            raise SourceError(source, str(error), header) from None
        if isinstance(error, (Malformed, Damaged)):
            reason = f"damaged: {error}; export it again from where it came from"
        else:
            reason = f"{error}; get a complete copy of it, and send that"
        raise SourceError(source, reason, header) from error
    except OSError as error:
        raise SourceError(source, describe_os_error(error), _header_facts(meta, found.values)) from error
    values = found.values
    if _uid_text(meta.get(MEDIA_SOP_CLASS)) == MEDIA_STORAGE_DIRECTORY:
        raise DirectoryFileError(source, "")
    if not begin and SOP_INSTANCE not in values:
        raise NotDicomError(source, "not DICOM: no DICM at byte 128, and no SOP Instance UID")
    if found.odd:
        notes.append(
            f"{tag_name(found.odd)} has no value representation of PS3.5; the data set is sent as it is"
        )
    if end < window.size:
        notes.append(
            f"{window.size - end} bytes after the last element are no part of the data set and left out"
        )
    try:
        sop_class = _uid("SOP Class UID", values.get(SOP_CLASS), meta.get(MEDIA_SOP_CLASS), notes)
        sop_instance = _uid("SOP Instance UID", values.get(SOP_INSTANCE), meta.get(MEDIA_SOP_INSTANCE), notes)
    except ValueError as error:
        raise SourceError(source, str(error), _header_facts(meta, values)) from None
    return Instance(
        source,
        sop_class,
        sop_instance,
        _other_uid("Study Instance UID", values.get(STUDY_INSTANCE), notes),
        _other_uid("Series Instance UID", values.get(SERIES_INSTANCE), notes),
        _text(values.get(MODALITY)) or None,
        syntax,
        offset,
        end - offset,
        "; ".join(notes),
        stamp,
        content,
        _NATIVE[encoding.name],
    )


def _header_facts(meta: dict[int, bytes], values: dict[int, bytes]) -> HeaderFacts:
    def either(tag: int, media: int) -> str | None:
        return _uid_text(values.get(tag)) or _uid_text(meta.get(media)) or None

    return HeaderFacts(
        either(SOP_CLASS, MEDIA_SOP_CLASS),
        either(SOP_INSTANCE, MEDIA_SOP_INSTANCE),
        _uid_text(values.get(STUDY_INSTANCE)) or None,
        _uid_text(values.get(SERIES_INSTANCE)) or None,
        _text(values.get(MODALITY)) or None,
        _uid_text(meta.get(TRANSFER_SYNTAX)) or None,
    )


def _facts_of(instance: Instance) -> HeaderFacts:
    return HeaderFacts(
        instance.sop_class_uid,
        instance.sop_instance_uid,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.modality,
        instance.transfer_syntax,
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


def _follow(
    window: Window, offset: int, syntax: str, found: Findings, notes: list[str]
) -> tuple[str, Encoding, int]:
    """Follow the data set to its end; return its transfer syntax, how it is encoded, and where it ends.

    The first element is believed where it contradicts the File Meta Information, if the elements after it can be
    followed so: the bytes are what is sent.
    """
    if syntax in DEFLATED_SYNTAXES:
        return syntax, LITTLE_EXPLICIT, _walk_deflated(window, offset, syntax, found)
    first = window.bytes_at(offset, min(8, window.size - offset))
    guess = guess_encoding(first)
    if syntax:
        said = _ENCODINGS.get(syntax, LITTLE_EXPLICIT)
    else:
        if first and guess is None:
            _refuse_deflated(window, offset, syntax)
            raise Malformed("there is no Transfer Syntax UID, and no element to guess it from")
        said = LITTLE_EXPLICIT if guess is IMPLICIT else guess or IMPLICIT
    try:
        encoding, end = _walk_as(window, offset, guess or said, said, found)
    except (Malformed, Truncated, Damaged) as error:
        _refuse_deflated(window, offset, syntax)
        if not isinstance(error, Malformed):
            raise
        found.values.update(_ask_pydicom(window, _ATTRIBUTES) or {})
        if SOP_INSTANCE not in found.values:
            raise
        notes.append(f"its elements cannot be followed to the end ({error}), so it is sent as it is")
        encoding, end = found.encoding or said, window.size
    if syntax not in UNCOMPRESSED or (found.pixels is not None and found.pixels.length == UNDEFINED_LENGTH):
        from dicomkit.sources.contradictions import contradiction

        problem = contradiction(window, syntax, encoding, found.pixels, lambda: _native_length(window))
        if problem:
            raise _Contradiction(problem)
    if not syntax:
        syntax = _NATIVE[encoding.name]
        notes.append(f"its Transfer Syntax UID is missing; the data set looks like {uid_name(syntax)}")
    elif encoding is not said:
        if syntax in _NATIVE.values():
            notes.append(f"the File Meta says {uid_name(syntax)}, but the data set is in {encoding.name}")
            syntax = _NATIVE[encoding.name]
        elif syntax in TRANSFER_SYNTAXES or syntax in _ENCODINGS:
            raise _Contradiction(
                f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), which needs {said.name}, but its data "
                f"set is in {encoding.name}; export it again from where it came from"
            )
        else:
            notes.append(f"its Transfer Syntax UID is {syntax}, and the data set is in {encoding.name}")
    return syntax, encoding, end


def _walk_as(
    window: Window, offset: int, likely: Encoding, said: Encoding, found: Findings
) -> tuple[Encoding, int]:
    """Walk as the first element looks; where that leads nowhere, as the File Meta Information says."""
    try:
        return likely, walk_data_set(window, offset, likely, found)
    except (Malformed, Truncated, Damaged) as error:
        if likely is said:
            raise
        other = Findings()
        try:
            end = walk_data_set(window, offset, said, other)
        except (Malformed, Truncated, Damaged) as other_error:
            if len(other.values) <= len(found.values):
                raise error from other_error
            found.take(other)  # this way led further
            raise
        found.take(other)
        return said, end


def _walk_deflated(window: Window, offset: int, syntax: str, found: Findings) -> int:
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
    except (zlib.error, EOFError) as error:
        _refuse_plain(window, offset, syntax)
        _pick_up(window, offset, size, found)
        if isinstance(error, EOFError):
            raise
        raise Malformed(f"the data set does not inflate: {error}") from error
    content = Forward(lambda: inflate(window.fetch, offset, window.size))
    inflated = Window(content.fetch(0, HEAD_SIZE), size, content.fetch, seekable=False)
    guess = guess_encoding(inflated.bytes_at(0, min(8, size))) or LITTLE_EXPLICIT
    encoding, _ = _walk_as(inflated, 0, guess, LITTLE_EXPLICIT, found)
    if encoding is not LITTLE_EXPLICIT:
        raise _Contradiction(
            f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), which needs Explicit VR Little Endian (PS3.5 "
            f"A.5), but what it inflates to is in {encoding.name}; export it again from where it came from"
        )
    from dicomkit.sources.contradictions import contradiction

    problem = contradiction(inflated, syntax, encoding, found.pixels, lambda: 0)
    if problem:
        raise _Contradiction(problem)
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

    with suppress(Malformed, Truncated, Damaged):
        walk_data_set(Window(b"", size, Forward(pieces).fetch, seekable=False), 0, LITTLE_EXPLICIT, found)


def _refuse_plain(window: Window, offset: int, syntax: str) -> None:
    """Raise _Contradiction where a data set that should be deflated is elements as they are."""
    found = Findings()
    guess = guess_encoding(window.bytes_at(offset, min(8, window.size - offset)))
    if guess is None:
        return
    try:
        walk_data_set(window, offset, guess, found)
    except (Malformed, Truncated, Damaged):
        return
    said = f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), but its data set is not deflated"
    plain = _NATIVE[guess.name]
    from dicomkit.sources.contradictions import contradiction

    problem = contradiction(window, plain, guess, found.pixels, lambda: 0)
    raise _Contradiction(
        f"{said}; export it again from where it came from"
        if problem
        else f"{said}; declare {uid_name(plain)} ({plain}) in its File Meta, or export it again from where it came from"
    )


def _refuse_deflated(window: Window, offset: int, syntax: str) -> None:
    """Raise _Contradiction where a data set that should be elements inflates to elements."""
    import zlib

    try:
        first = next(inflate(window.fetch, offset, window.size), b"")
    except (zlib.error, EOFError):
        return
    inflated = guess_encoding(first[:8])
    if inflated is None or first[:2] not in _FIRST_GROUPS:
        return
    said = (
        f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), but its data set is deflated"
        if syntax
        else "it has no Transfer Syntax UID, and its data set is deflated"
    )
    if inflated is not LITTLE_EXPLICIT:
        raise _Contradiction(
            f"{said}, and what it inflates to is in {inflated.name}; export it again from where it came from"
        )
    raise _Contradiction(
        f"{said}; declare {uid_name(DEFLATED_LE)} ({DEFLATED_LE}) in its File Meta, or export it again from where it "
        "came from"
    )


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


def _ask_pydicom(window: Window, tags: tuple[int, ...]) -> dict[int, bytes] | None:
    """Have pydicom, which forgives more, read some values; None when it cannot either."""
    from typing import BinaryIO, cast

    from pydicom import dcmread

    from dicomkit._support.pydicom_quiet import PYDICOM_QUIET

    found: dict[int, bytes] = {}
    with PYDICOM_QUIET:
        try:
            dataset = dcmread(
                cast(BinaryIO, _WindowFile(window)),
                force=True,
                stop_before_pixels=True,
                defer_size=HEAD_SIZE,
                specific_tags=list(tags),
            )
            for tag in tags:
                if tag in dataset:
                    found[tag] = str(dataset[tag].value or "").encode()
        except Exception:  # noqa: BLE001 (pydicom raises whatever its parts raise; it has no answer, then)
            return None
    return found


_ATTRIBUTES = (SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY_INSTANCE, SERIES_INSTANCE)
_ROWS, _COLUMNS, _BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100
_SAMPLES, _FRAMES = 0x00280002, 0x00280008


def _native_length(window: Window) -> int:
    """How many bytes the pixels have by the attributes that describe them (PS3.5 8.1); 0 where one is missing."""
    found = _ask_pydicom(window, (_ROWS, _COLUMNS, _BITS_ALLOCATED, _SAMPLES, _FRAMES)) or {}
    try:
        bits = int(found[_ROWS]) * int(found[_COLUMNS]) * int(found[_BITS_ALLOCATED])
        return (bits * int(found.get(_SAMPLES) or 1) * int(found.get(_FRAMES) or 1) + 7) // 8
    except (KeyError, ValueError):
        return 0


_PADDING = b"\0 "  # PS3.5 6.2: UI is padded with NUL, other text with spaces, and writers mix them up
_ZERO = 0x30
_OF_A_UID = b"0123456789."  # PS3.5 9.1
_UNPRINTABLE = bytes(range(0x21)) + bytes(range(0x7F, 0x100))


def _text(value: bytes | None) -> str:
    """Return a value without its padding, empty where there is none or it is no text."""
    if not value:
        return ""
    try:
        text = value.strip(_PADDING).decode("ascii")
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _LONGEST_UID and text.isprintable() else ""


def _without_junk(value: bytes) -> bytes:
    """Return a UID without what writers leave around it: line feeds, bytes of no text, anything after a NUL.

    What stands after a space or a line feed is left out as well, unless it might be the rest of the UID.
    """
    ordinary = value.strip(_PADDING)
    if not ordinary.translate(None, _OF_A_UID):
        return ordinary
    own = value.lstrip(_UNPRINTABLE).partition(b"\0")[0].rstrip(_UNPRINTABLE)
    end = len(own) - len(own.lstrip(_OF_A_UID))
    rest = own[end:].lstrip(_UNPRINTABLE)
    return own[:end] if end and own[end:] != rest and rest[:1] not in _OF_A_UID else own


def _uid_text(value: bytes | None) -> str:
    """Return a UID as it is written into requests and rows, empty where there is none or it is no text."""
    if not value:
        return ""
    return _valid_uid(value) or _text(_without_junk(value))


@lru_cache(maxsize=64)
def _valid_uid(value: bytes) -> str:
    """Return a UID that is one by PS3.5 9.1, empty for anything else.

    Most UIDs of a file are those of the file before, hence the cache.
    """
    uid = value.strip(_PADDING)
    if not 0 < len(uid) <= _LONGEST_UID or uid.translate(None, _OF_A_UID):
        return ""
    text = uid.decode()
    return "" if (b".0" in uid or uid[0] == _ZERO) and _has_leading_zero(text) else text


def _other_uid(name: str, value: bytes | None, notes: list[str]) -> str | None:
    """Return a UID that no request names; None where there is none that is text."""
    if not value:
        return None
    if uid := _valid_uid(value):
        return uid
    uid = _uid_text(value)
    plain = value.strip(_PADDING)
    if uid and uid.encode() != plain:
        notes.append(
            f"its {name} has bytes around it that are none of a UID (PS3.5 9.1), and is sent as it is"
        )
    elif plain and (plain.translate(None, _OF_A_UID) or len(plain) > _LONGEST_UID):
        notes.append(f"its {name} is not a valid UID (PS3.5 9.1)")
    elif uid:
        notes.append(f"its {name} is not a valid UID (PS3.5 9.1): a component begins with a zero")
    return uid or None


def _uid(name: str, value: bytes | None, media: bytes | None, notes: list[str]) -> str:
    """Return the data set's UID, or what the File Meta Information has instead.

    Raises
    ------
    ValueError
        There is none that a request could name.
    """
    if value and value == media and (uid := _valid_uid(value)):  # as it should be, and is
        return uid
    own = _without_junk(value or b"")
    other = own if media == value else _without_junk(media or b"")
    if not own:
        if not other:
            raise ValueError(f"no {name} in the data set nor in the File Meta; it needs one to be sent")
        notes.append(f"the data set has no {name}, so the File Meta's is used")
        own = other
    elif value and len(value) > len(own) and value.strip(_PADDING) != own:
        notes.append(
            f"its {name} has bytes around it that are none of a UID (PS3.5 9.1), and is sent as it is"
        )
    if other and other != own:
        notes.append(f"the File Meta has another {name}, {_text(other) or 'an unreadable one'}")
    uid = _uid_text(own)
    if not uid:
        raise ValueError(
            f"its {name} is longer than {_LONGEST_UID} characters or not printable ASCII (PS3.5 9.1)"
        )
    if own.translate(None, _OF_A_UID):
        notes.append(f"its {name} is not a valid UID (PS3.5 9.1)")
    elif _has_leading_zero(uid):
        notes.append(f"its {name} is not a valid UID (PS3.5 9.1): a component begins with a zero")
    return uid


def _has_leading_zero(uid: str) -> bool:
    """Whether a component of more than one digit begins with a zero."""
    if uid[0] == "0" and uid[1:2].isdigit():
        return True
    place = uid.find(".0")
    while place >= 0:
        if uid[place + 2 : place + 3].isdigit():
            return True
        place = uid.find(".0", place + 2)
    return False
