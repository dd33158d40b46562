"""What containers of instances refer to: the members of a zip archive, the files of a DICOMDIR.

The archive's directory is read once; each member then knows where its bytes are, and is read without it.
"""

# Paths are strings, as in `_folders`:
# ruff: noqa: PTH118, PTH208
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dicomkit.errors import file_name, without_folder
from dicomkit.sources._inspect import PREFIX_END, has_prefix
from dicomkit.sources.readers import (
    LOCAL_HEADER_SIZE,
    ZIP_DEFLATED,
    ZIP_STORED,
    SourceError,
    ZipMember,
    open_file,
)

if TYPE_CHECKING:
    from zipfile import ZipInfo

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # the flags of a member, APPNOTE.TXT 4.4.4
_NOT_IN_USE = 0x0000  # (0004,1410) Record In-use Flag, PS3.3 F.3.2.2


def list_archive(path: str) -> Iterator[ZipMember | SourceError]:
    """Yield what it takes to read each member that is not a folder, or why it cannot be read.

    Members that share bytes are refused but for the first, so that an archive unpacks to no more than its size times
    1032, the most that deflate can do; with shared bytes that would be times the number of its members, too.

    Raises
    ------
    SourceError
        It is no zip archive that could be read.
    """
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except OSError as error:
        raise SourceError.of_system(path, error) from error
    except (BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise SourceError(path, f"the archive is damaged: {error}") from error
    overlapping = _overlapping(members)
    for index, info in enumerate(members):
        if info.filename.endswith("/"):  # `is_dir` of a name of nothing raises
            continue
        member = ZipMember(
            path,
            info.filename,
            info.header_offset,
            info.compress_size,
            info.file_size,
            info.compress_type,
            info.CRC,
        )
        obstacle = ""
        if index in overlapping:
            obstacle = "the archive is damaged or made to harm: the member shares bytes with another"
        elif info.flag_bits & _ENCRYPTED:
            obstacle = "it is encrypted; unpack the archive with its password first"
        elif info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            obstacle = "it is not packed by deflate; unpack the archive first"
        yield SourceError(member.source, obstacle) if obstacle else member


def _overlapping(members: list[ZipInfo]) -> set[int]:
    """The places of those members that begin in another one; the first of them, which they begin in, is not meant."""
    found = set()
    end = 0
    for index, info in sorted(enumerate(members), key=lambda one: one[1].header_offset):
        if info.header_offset < end:
            found.add(index)
        else:
            end = info.header_offset + LOCAL_HEADER_SIZE + info.compress_size
    return found


def list_directory_file(path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each file that a DICOMDIR refers to, in its order, with what is wrong with the reference.

    A File ID (PS3.10 8.2) is relative to the DICOMDIR's folder and may not lead out of it. Media are often copied to
    where names are changed, so a file in the other case, with an extension that no File ID has, or with the version
    that ISO 9660 puts after a name, is taken as well; and writers that put slashes into a File ID mean folders.
    Raises SourceError where pydicom cannot read it.
    """
    from io import BytesIO
    from pathlib import Path

    from pydicom import dcmread

    from dicomkit._support.pydicom_quiet import PYDICOM_QUIET

    try:
        # All of it at once: from a file, pydicom would ask for as many bytes as a damaged length says.
        content = BytesIO(Path(path).read_bytes())
        with PYDICOM_QUIET:
            records = dcmread(content, force=True).get("DirectoryRecordSequence") or []
            file_ids = [
                _parts(record.ReferencedFileID)
                for record in records
                if record.get("ReferencedFileID") and record.get("RecordInUseFlag") != _NOT_IN_USE
            ]
    except Exception as error:  # pydicom raises whatever its parts raise
        if isinstance(error, OSError):
            without_folder(error)
        raise SourceError(path, f"pydicom cannot read the DICOMDIR ({type(error).__name__})") from error
    folder = _Folder(os.fspath(Path(path).parent))
    for parts in file_ids:
        if not all(map(_is_plain, parts)):
            yield "\\".join(parts), f"{file_name(path)} refers to it, which leads out of its folder"
            continue
        if found := folder.find(parts):
            yield found, ""
        else:
            yield os.path.join(folder.path, *parts), f"{file_name(path)} refers to it, and it is not there"


def _parts(file_id: object) -> list[str]:
    """The components of a File ID, without the spaces that CS does not count (PS3.5 6.2); a dot is no folder."""
    values = [file_id] if isinstance(file_id, str) else list(file_id)  # type: ignore[call-overload]
    parts = (part.strip(" ") for value in values for part in str(value).split("/"))
    return [part for part in parts if part != "."]


def _is_plain(part: str) -> bool:
    return part not in ("", "..") and not any(character in "/\\:\0" for character in part)


class _Folder:
    """A folder of a medium, listed once for all the files in it, and only where a name is not as it was written."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._names: list[str] | None = None
        self._folders: dict[str, _Folder] = {}

    def find(self, parts: list[str]) -> str:
        """The path of a file, empty where it is not there."""
        exact = os.path.join(self.path, *parts)
        if os.path.lexists(exact):
            return exact
        part, *rest = parts
        name = self._name_of(part, is_file=not rest)
        if not name:
            return ""
        path = os.path.join(self.path, name)
        if not rest:
            return path
        return self._folders.setdefault(name, _Folder(path)).find(rest)

    def _name_of(self, part: str, *, is_file: bool) -> str:
        """What comes nearest to a component of a File ID."""
        if self._names is None:
            try:
                self._names = sorted(os.listdir(self.path))
            except OSError:
                self._names = []
        if part in self._names:
            return part
        same = _plain_name(part)
        found = next((name for name in self._names if _plain_name(name) == same), "")
        if found or not is_file:
            return found
        stem = _stem(same)
        alike = [name for name in self._names if _stem(_plain_name(name)) == stem]
        return next(filter(self._is_dicom, alike), "")  # a picture of it may lie beside it

    def _is_dicom(self, name: str) -> bool:
        try:
            descriptor, _ = open_file(os.path.join(self.path, name))
            with open(descriptor, "rb", buffering=0) as file:
                return has_prefix(file.read(PREFIX_END))
        except OSError:
            return False


def _plain_name(name: str) -> str:
    """A name in lower case, without the version and the dot of ISO 9660 (``IM0001.;1``, its section 7.5)."""
    plain, mark, version = name.rpartition(";")
    return (plain if mark and version.isdigit() else name).rstrip(".").lower()


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
