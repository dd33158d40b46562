"""From whatever names a picture (Dataset, path, folder, message, row, frame) to series of slices, by headers alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dicomkit.errors import UnreadableError, file_name
from dicomkit.messages import DicomMessage
from dicomkit.preview import SORTING_KEYWORDS, Series, series_of
from dicomkit.sources import IN_MEMORY, Instance, Unreadable, find_instances, is_dataset
from dicomkit.sources.dataset_reader import read_dataset, reread_if_misread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom import Dataset

_DEFERRED_BYTES = 65536  # larger values than this stay in the file until they are asked for


def series_from(source: object) -> list[Series]:
    """Return the series of a source in slice order; UnreadableError without DICOM, TypeError for no source."""
    found = series_of((origin, _header(origin)) for origin in _origins(source))
    if not found:
        raise UnreadableError("there is nothing to show: no DICOM was found in what was given")
    return found


def load(origin: Dataset | Path) -> Dataset:
    """Return the Dataset of an origin; large values of a file are left in it. May raise UnreadableError."""
    return origin if not isinstance(origin, Path) else read_dataset(origin, defer_size=_DEFERRED_BYTES)


def header_of(instance: Instance, keywords: Iterable[str]) -> Dataset:
    """Return a Dataset with these attributes of an instance at least; UnreadableError where it cannot be
    read.
    """
    if isinstance(instance.content, str):
        return read_dataset(instance, keywords=keywords, stop_before_pixels=True)
    return read_dataset(instance)


def _header(origin: Dataset | Path) -> Dataset:
    if isinstance(origin, Path):
        return read_dataset(origin, keywords=SORTING_KEYWORDS, stop_before_pixels=True)
    return origin


def _origins(source: object) -> Iterator[Dataset | Path]:
    if is_dataset(source):
        yield reread_if_misread(cast("Dataset", source), None)
    elif isinstance(source, DicomMessage):
        yield source.dataset
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield read_dataset(bytes(source))
    elif isinstance(source, (str, os.PathLike)):
        yield from _named(os.fsdecode(source))
    elif isinstance(source, Instance):
        yield _origin_of(source)
    elif hasattr(source, "columns"):
        for name in dict.fromkeys(source["source"]):  # type: ignore[index]
            yield from _named(str(name))
    elif isinstance(getattr(source, "source", None), str):  # a SendResult, or a row of a frame
        yield from _named(source.source)  # type: ignore[attr-defined]
    elif hasattr(source, "__iter__"):
        for one in cast("Iterable[object]", source):
            yield from _origins(one)
    else:
        raise TypeError(
            f"{type(source).__name__} names no picture; give a pydicom Dataset, a path, a folder, a message, a result, "
            "a row or frame with a column 'source', or a list of these"
        )


def _named(name: str) -> Iterator[Dataset | Path]:
    if name in IN_MEMORY:
        raise UnreadableError(
            f"{name} was sent from memory, and its row does not have it; give the object itself"
        )
    path = Path(name)
    is_container = path.name.upper().startswith("DICOMDIR") or path.suffix.lower() == ".zip"
    if path.is_file() and not is_container:
        yield path
        return
    for found in find_instances(name):
        if isinstance(found, Instance):
            yield _origin_of(found)
        elif isinstance(found, Unreadable) and found.source == name:
            raise UnreadableError(f"{file_name(name)}: {found.detail}")


def _origin_of(instance: Instance) -> Dataset | Path:
    """A path, or the Dataset of what lies in memory or in an archive."""
    return Path(instance.content) if isinstance(instance.content, str) else read_dataset(instance)
