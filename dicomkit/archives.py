"""What containers of instances refer to: the members of a zip archive, the files of a DICOMDIR.

The archive's directory is read once; each member then knows where its bytes are, and is read without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dicomkit.content import MEMBER_MARK, ZIP_DEFLATED, ZIP_STORED, SourceError, ZipMember, describe_os_error
from dicomkit.errors import file_name, without_folder

if TYPE_CHECKING:
    from pathlib import Path
    from zipfile import ZipInfo

__all__ = ["list_archive", "list_directory_file"]

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # the flags of a member, APPNOTE.TXT 4.4.4
_LOCAL_HEADER_SIZE = 30  # before each member, APPNOTE.TXT 4.3.7, without its two texts of variable length
_NOT_IN_USE = 0x0000  # (0004,1410) Record In-use Flag, PS3.3 F.3.2.2


def list_archive(path: str) -> Iterator[tuple[str, ZipMember | SourceError]]:
    """Yield the name of each member that is not a folder, with what it takes to read it or why it cannot be.

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
        raise SourceError(path, describe_os_error(error)) from without_folder(error)
    except (BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise SourceError(path, f"the archive is damaged: {error}") from error
    overlapping = _overlapping(members)
    for index, info in enumerate(members):
        if info.filename.endswith("/"):  # `is_dir` of a name of nothing raises
            continue
        name = f"{path}{MEMBER_MARK}{info.filename}"
        if index in overlapping:
            yield (
                info.filename,
                SourceError(
                    name, "the archive is damaged or made to harm: the member shares bytes with another"
                ),
            )
            continue
        if info.flag_bits & _ENCRYPTED:
            yield (
                info.filename,
                SourceError(name, "it is encrypted; unpack the archive with its password first"),
            )
        elif info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            yield info.filename, SourceError(name, "it is not packed by deflate; unpack the archive first")
        else:
            member = ZipMember(
                path,
                info.filename,
                info.header_offset,
                info.compress_size,
                info.file_size,
                info.compress_type,
                info.CRC,
            )
            yield info.filename, member


def _overlapping(members: list[ZipInfo]) -> set[int]:
    """The places of those members that begin in another one; the first of them, which they begin in, is not meant."""
    found = set()
    end = 0
    for index, info in sorted(enumerate(members), key=lambda one: one[1].header_offset):
        if info.header_offset < end:
            found.add(index)
        else:
            end = info.header_offset + _LOCAL_HEADER_SIZE + info.compress_size
    return found


def list_directory_file(path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each file that a DICOMDIR refers to, in its order, with what is wrong with the reference.

    A File ID (PS3.10 8.2) is relative to the DICOMDIR's folder and may not lead out of it. Media are often copied to
    where upper and lower case differ, so a name in the other case is taken as well.

    Raises
    ------
    SourceError
        pydicom cannot read it.
    """
    from io import BytesIO
    from pathlib import Path

    from pydicom import dcmread

    from dicomkit.quiet import PYDICOM_QUIET

    try:
        # All of it at once: from a file, pydicom would ask for as many bytes as a damaged length says.
        content = BytesIO(Path(path).read_bytes())
        with PYDICOM_QUIET:
            records = dcmread(content, force=True).get("DirectoryRecordSequence") or []
            file_ids = [
                [str(part) for part in _parts(record.ReferencedFileID)]
                for record in records
                if record.get("ReferencedFileID") and record.get("RecordInUseFlag") != _NOT_IN_USE
            ]
    except Exception as error:  # pydicom raises whatever its parts raise
        if isinstance(error, OSError):
            without_folder(error)
        raise SourceError(path, f"pydicom cannot read the DICOMDIR ({type(error).__name__})") from error
    folder = Path(path).parent
    for parts in file_ids:
        named = os.fspath(folder.joinpath(*parts)) if all(map(_is_plain, parts)) else "\\".join(parts)
        if not all(map(_is_plain, parts)):
            yield named, f"{file_name(path)} refers to it, which leads out of its folder"
            continue
        found = _in_any_case(folder, parts)
        yield (
            (os.fspath(found), "")
            if found
            else (named, f"{file_name(path)} refers to it, and it is not there")
        )


def _parts(file_id: object) -> list[object]:
    return [file_id] if isinstance(file_id, str) else list(file_id)  # type: ignore[call-overload]


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and not any(character in "/\\:\0" for character in part)


def _in_any_case(folder: Path, parts: list[str]) -> Path | None:
    path = folder.joinpath(*parts)
    if os.path.lexists(path):
        return path
    path = folder
    for part in parts:
        try:
            names = {child.name.lower(): child for child in path.iterdir()}
        except OSError:
            return None
        child = names.get(part.lower())
        if child is None:
            return None
        path = child
    return path
