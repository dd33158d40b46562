"""One look at a DICOM content: what a send needs to know of it, and where in it the data set lies.

The File Meta Information and the headers of the data set are followed to the end, and nothing else is read: never
the pixels. What our walk cannot follow is shown to pydicom. What few files need is in modules that are loaded late.
"""

from __future__ import annotations

import os

from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.uids import (
    DEFLATED_SYNTAXES,
    ENCODINGS,
    EXPLICIT_LE,
    GE_PRIVATE_LE,
    MEDIA_STORAGE_DIRECTORY,
    TRANSFER_SYNTAXES,
    UNCOMPRESSED,
    uid_name,
)
from dicomkit.dictionary.vrs import UNDEFINED_LENGTH
from dicomkit.errors import UnreadableError
from dicomkit.sources._uids import optional_uid, required_uid, text_of, uid_of
from dicomkit.sources.elements import (
    ENCODING_OF,
    FAULTS,
    FIRST_GROUPS,
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
    WANTED,
    Contradiction,
    Encoding,
    Findings,
    Malformed,
    Truncated,
    Window,
    guess_encoding,
    read_file_meta,
    tag_name,
    walk_as,
)
from dicomkit.sources.readers import (
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
    fetch_from,
    open_file,
)

_PREAMBLE_SIZE = 128  # PS3.10 7.1
PREFIX_END = 132
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the latter of an empty one
_OTHER_MAGICS = {
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
}
_ENCODINGS = {**ENCODING_OF, GE_PRIVATE_LE: IMPLICIT}  # all others are Explicit VR Little Endian: PS3.5 A.4


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
        How the elements are encoded, inflated if they are deflated, as the uncompressed transfer syntax that does so:
        found in the bytes, since the name of a private transfer syntax does not tell.
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
            It is not what was looked at; `dicomkit.sources.second_look.look_again` says what it is.
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
    except (OSError, ValueError) as error:
        raise SourceError.of_system(name, error) from error
    try:
        fetch = fetch_from(descriptor)
        window = Window(fetch(0, HEAD_SIZE), status.st_size, fetch)
        return _describe(window, name, path, Stamp.of(status))
    except OSError as error:
        raise SourceError.of_system(name, error) from error
    finally:
        os.close(descriptor)


def look_at_member(member: ZipMember) -> Instance:
    """Find out what a member of a zip archive holds; it is read to its end, to know that it is whole."""
    name = member.source
    try:
        descriptor, status = open_file(member.archive)
    except OSError as error:
        raise SourceError.of_system(name, error) from error
    instance = None
    try:
        packed = fetch_from(descriptor)
        content = Forward(lambda: member.pieces(packed))
        window = Window(content.fetch(0, HEAD_SIZE), member.size, content.fetch, seekable=False)
        instance = _describe(window, name, member, Stamp.of(status))
        content.finish()
    except OSError as error:
        header = None
        if instance is not None:
            header = HeaderFacts(*(getattr(instance, fact) for fact in HeaderFacts.__match_args__))
        raise SourceError.of_system(name, error, header) from error
    finally:
        os.close(descriptor)
    return instance


def has_prefix(head: bytes | bytearray | memoryview) -> bool:
    """Whether what begins like this, `PREFIX_END` bytes or more, has a preamble and ``DICM`` after it (PS3.10 7.1)."""
    return head[_PREAMBLE_SIZE:PREFIX_END] == b"DICM"


def _describe(window: Window, source: str, content: str | bytes | ZipMember, stamp: Stamp | None) -> Instance:
    head = window.buffer
    begin = PREFIX_END if has_prefix(head) else 0
    if not begin and head[:2] not in FIRST_GROUPS:
        raise _no_dicom(source, head)
    meta: dict[int, bytes] = {}
    found = Findings()
    notes: list[str] = []
    try:
        offset = read_file_meta(window, begin, meta)
        syntax, encoding, end = _follow(window, offset, uid_of(meta.get(TRANSFER_SYNTAX)), found, notes)
    except (*FAULTS, EOFError, Contradiction) as error:
        if uid_of(meta.get(MEDIA_SOP_CLASS)) == MEDIA_STORAGE_DIRECTORY:
            raise DirectoryFileError(source, str(error)) from error
        if not begin and SOP_INSTANCE not in found.values:
            raise NotDicomError(source, f"not DICOM: no DICM at byte 128, and {error}") from error
        header = _header_facts(meta, found.values)
        if isinstance(error, Contradiction):
            raise SourceError(source, str(error), header) from None
        reason = f"damaged: {error}; export it again from where it came from"
        if isinstance(error, (Truncated, EOFError)):
            reason = f"{error}; get a complete copy of it, and send that"
        raise SourceError(source, reason, header) from error
    except OSError as error:
        raise SourceError.of_system(source, error, _header_facts(meta, found.values)) from error
    values = found.values
    if uid_of(meta.get(MEDIA_SOP_CLASS)) == MEDIA_STORAGE_DIRECTORY:
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
        sop_class = required_uid("SOP Class UID", values.get(SOP_CLASS), meta.get(MEDIA_SOP_CLASS), notes)
        sop_instance = required_uid(
            "SOP Instance UID", values.get(SOP_INSTANCE), meta.get(MEDIA_SOP_INSTANCE), notes
        )
    except ValueError as error:
        raise SourceError(source, str(error), _header_facts(meta, values)) from None
    return Instance(
        source,
        sop_class,
        sop_instance,
        optional_uid("Study Instance UID", values.get(STUDY_INSTANCE), notes),
        optional_uid("Series Instance UID", values.get(SERIES_INSTANCE), notes),
        text_of(values.get(MODALITY)) or None,
        syntax,
        offset,
        end - offset,
        "; ".join(notes),
        stamp,
        content,
        encoding.syntax,
    )


def _header_facts(meta: dict[int, bytes], values: dict[int, bytes]) -> HeaderFacts:
    return HeaderFacts(
        uid_of(values.get(SOP_CLASS)) or uid_of(meta.get(MEDIA_SOP_CLASS)) or None,
        uid_of(values.get(SOP_INSTANCE)) or uid_of(meta.get(MEDIA_SOP_INSTANCE)) or None,
        uid_of(values.get(STUDY_INSTANCE)) or None,
        uid_of(values.get(SERIES_INSTANCE)) or None,
        text_of(values.get(MODALITY)) or None,
        uid_of(meta.get(TRANSFER_SYNTAX)) or None,
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
        from dicomkit.sources._deflated import walk_deflated

        return syntax, LITTLE_EXPLICIT, walk_deflated(window, offset, syntax, found)
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
        encoding, end = walk_as(window, offset, guess or said, said, found)
    except FAULTS as error:
        _refuse_deflated(window, offset, syntax)
        if not isinstance(error, Malformed):
            raise
        from dicomkit.sources._by_pydicom import values_by_pydicom

        found.values.update(values_by_pydicom(window, WANTED))
        if SOP_INSTANCE not in found.values:
            raise
        notes.append(f"its elements cannot be followed to the end ({error}), so it is sent as it is")
        encoding, end = found.encoding or said, window.size
    if syntax not in UNCOMPRESSED or (found.pixels is not None and found.pixels.length == UNDEFINED_LENGTH):
        from dicomkit.sources.contradictions import contradiction

        if problem := contradiction(window, syntax, encoding, found.pixels):
            raise Contradiction(problem)
    if not syntax:
        syntax = encoding.syntax
        notes.append(f"its Transfer Syntax UID is missing; the data set looks like {uid_name(syntax)}")
    elif encoding is not said:
        if syntax in ENCODINGS:
            notes.append(f"the File Meta says {uid_name(syntax)}, but the data set is in {encoding.name}")
            syntax = encoding.syntax
        elif syntax in TRANSFER_SYNTAXES or syntax in _ENCODINGS:
            raise Contradiction(
                f"its Transfer Syntax UID says {uid_name(syntax)} ({syntax}), which needs {said.name}, but its data "
                f"set is in {encoding.name}; export it again from where it came from"
            )
        else:
            notes.append(f"its Transfer Syntax UID is {syntax}, and the data set is in {encoding.name}")
    return syntax, encoding, end


def _refuse_deflated(window: Window, offset: int, syntax: str) -> None:
    from dicomkit.sources._deflated import refuse_deflated

    refuse_deflated(window, offset, syntax)
