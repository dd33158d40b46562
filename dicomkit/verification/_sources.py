"""What was sent, read again from where it was sent from, by a reader that sending does not use.

What sending notes of a source (where the data set begins, how long it is) is not believed here: the file is opened
anew, and all that follows its File Meta Information is the data set.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dicomkit.dictionary.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.dictionary.vrs import LONG_VRS
from dicomkit.sources import MEMBER_MARK, describe_os_error, open_file
from dicomkit.verification._elements import Encoded, NotComparable, read_data_set
from dicomkit.verification._subjects import NO_SERIES, Finding, Subject
from dicomkit.verification._values import text_of

_IN_MEMORY = ("<bytes>", "<dataset>")
_PREAMBLE = 128  # PS3.10 7.1
_META_INSTANCE, _META_SYNTAX, _SOP_INSTANCE = 0x00020003, 0x00020010, 0x00080018
_LONGEST_META = 1 << 20  # bytes; what is longer is none


@dataclass(frozen=True, slots=True)
class Source:
    """A data set as its source has it now."""

    encoded: Encoded
    size: int  # bytes, of the file or the archive that it is in
    modified: int  # nanoseconds since the epoch


class _NoSource(Exception):
    """There is none; the message says why."""


class Sources:
    """Finds what was sent, where it was sent from; the zip archive it was in last stays open until it is closed."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._path = ""
        self._archive: tuple[zipfile.ZipFile, os.stat_result] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def find(self, subject: Subject) -> Source | Finding:
        """What was sent, as its source has it now; or why there is nothing to compare with."""
        if subject.series is None:
            return Finding("unknown", NO_SERIES)
        if subject.source in _IN_MEMORY:
            return Finding(
                "unknown",
                "not asked about: it was sent from memory, so there is no source to compare with; use method='find' "
                "or 'commit'",
            )
        try:
            content, status = self._content(subject.source)
            encoded, uid = _parts(content, subject.transfer_syntax or "")
            if uid != subject.sop_instance_uid:
                raise _NoSource("another one is in its place")
        except (_NoSource, NotComparable) as reason:
            return Finding(
                "unknown",
                f"not asked about: what was sent is not there any more to compare with ({reason}); use method='find' "
                "or 'commit'",
            )
        return Source(encoded, status.st_size, status.st_mtime_ns)

    def _content(self, source: str) -> tuple[bytes, os.stat_result]:
        """The content of a file or of a member of a zip archive, and what the file is."""
        try:
            if os.path.lexists(source) or MEMBER_MARK not in source:
                descriptor, status = open_file(source)
                with os.fdopen(descriptor, "rb") as file:
                    return file.read(), status
            return self._member(source)
        except OSError as error:
            raise _NoSource(describe_os_error(error)) from None
        except KeyError:
            raise _NoSource("the archive has no such member") from None
        except (
            *(zipfile.BadZipFile, zlib.error, EOFError),
            *(ValueError, NotImplementedError, RuntimeError),  # zipfile's of a NUL, a method, a password
        ) as error:
            raise _NoSource(f"it cannot be read ({type(error).__name__})") from None

    def _member(self, source: str) -> tuple[bytes, os.stat_result]:
        path, _, name = source.partition(MEMBER_MARK)
        while not Path(path).is_file():  # a folder of such a name is around it
            inner, mark, name = name.partition(MEMBER_MARK)
            if not mark:
                raise _NoSource("there is no such archive; check the path")
            path += MEMBER_MARK + inner
        if path != self._path or self._archive is None:
            self._open.close()
            self._archive = None
            descriptor, status = open_file(path)
            file = self._open.enter_context(os.fdopen(descriptor, "rb"))
            self._archive = self._open.enter_context(zipfile.ZipFile(file)), status
            self._path = path
        archive, status = self._archive
        return archive.read(name), status


def _parts(content: bytes, syntax_by_row: str) -> tuple[Encoded, str]:
    """The data set of a file and its SOP Instance UID, which it may have in its File Meta Information only."""
    begin = _PREAMBLE + 4 if content[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else 0
    meta_end = _end_of_meta(content, begin)
    meta = read_data_set(Encoded(content[begin:meta_end], EXPLICIT_LE))
    data = content[meta_end:]
    encoded = Encoded(data, _syntax_of(data, text_of(meta.get(_META_SYNTAX)) or syntax_by_row))
    return encoded, text_of(read_data_set(encoded).get(_SOP_INSTANCE) or meta.get(_META_INSTANCE))


def _end_of_meta(content: bytes, begin: int) -> int:
    """Where the File Meta Information ends: where its group length says, if that is after one of its elements.

    It is in Explicit VR Little Endian whatever the data set is in (PS3.10 7.1). A group length that is wrong is not
    believed: the group ends with its last element then.
    """
    head = content[begin : begin + _LONGEST_META]
    has_length = head[:8] == b"\x02\0\0\0UL\x04\0"
    length = 12 + int.from_bytes(head[8:12], "little") if has_length else -1
    position = 0
    while head[position : position + 2] == b"\x02\0" and position != length:
        if head[position + 4 : position + 6] in LONG_VRS:
            position += 12 + int.from_bytes(head[position + 8 : position + 12], "little")
        else:
            position += 8 + int.from_bytes(head[position + 6 : position + 8], "little")
    return begin + position


def _syntax_of(data: bytes, declared: str) -> str:
    """The transfer syntax: what is declared, unless the first element cannot be read in it and can be in another."""
    if declared not in ("", IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE):
        return declared  # what is deflated or encapsulated has one layout
    if data[4:6].isalpha() and data[4:6].isupper():  # a value representation
        # By a first group below 0x0100, which is in nearly every data set.
        is_little, is_big = data[1] == 0 != data[0], data[0] == 0 != data[1]
        return EXPLICIT_BE if is_big or (declared == EXPLICIT_BE and not is_little) else EXPLICIT_LE
    could_be_implicit = int.from_bytes(data[4:8], "little") <= len(data) - 8
    return IMPLICIT_LE if could_be_implicit or not declared else declared
