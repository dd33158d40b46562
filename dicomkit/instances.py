"""Find the instances under whatever names them: files, folders, globs, DICOMDIRs, zip archives, bytes, datasets.

Strategy: one source at a time and nothing held, so that a generator of a million paths costs no more than one. What
is named must be DICOM, and is `Unreadable` otherwise; what a scan comes across may be anything, and is `PassedOver`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dicomkit.content import DataSource
from dicomkit.errors import UnreadableError
from dicomkit.instance_facts import DirectoryFileError, Instance, NotDicomError, look_at

__all__ = [
    "DataSource",
    "Instance",
    "PassedOver",
    "Unreadable",
    "find_instances",
    "look_at",
]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that was named, or is DICOM, and cannot be sent; `detail` says why and what to do."""

    source: str
    detail: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that a scan came across, and is not for sending."""

    source: str
    reason: str


Found = Instance | Unreadable | PassedOver


def find_instances(sources: object) -> Iterator[Found]:
    if isinstance(sources, (bytes, bytearray, memoryview)):
        try:
            yield look_at(sources)
        except UnreadableError as error:
            yield Unreadable("<bytes>", str(error))
    elif isinstance(sources, (str, os.PathLike)):
        yield from _find_path(os.fspath(sources))
    else:
        for source in sources:  # type: ignore[attr-defined]
            yield from find_instances(source)


def _find_path(path: str) -> Iterator[Found]:
    if os.path.isdir(path):
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.is_dir():
                yield from _find_path(entry.path)
                continue
            try:
                yield look_at(entry.path)
            except (NotDicomError, DirectoryFileError) as error:
                yield PassedOver(entry.path, str(error))
            except UnreadableError as error:
                yield Unreadable(entry.path, str(error))
        return
    try:
        yield look_at(path)
    except UnreadableError as error:
        yield Unreadable(path, str(error))
