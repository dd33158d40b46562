"""A content as a pydicom Dataset, to be looked at: read in the encoding that its bytes have, whatever its header says.

`look_at` decides how a data set is encoded, for what is shown as for what is sent; pydicom parses it so. What was odd
is kept with the Dataset, and what somebody else has read is asked how it was read.
"""

from __future__ import annotations

import os
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dicomkit._support.frozen import Frozen
from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.dictionary.uids import DEFLATED_LE, ENCODINGS, EXPLICIT_LE, is_encapsulated, uid_name
from dicomkit.dictionary.vrs import ITEM_BYTES, PIXEL_DATA, UNDEFINED_LENGTH
from dicomkit.errors import UnreadableError
from dicomkit.sources._inspect import DirectoryFileError, Instance, look_at
from dicomkit.sources.contradictions import syntax_of_code_stream
from dicomkit.sources.elements import ENCODING_OF
from dicomkit.sources.readers import SourceError, as_on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydicom import Dataset, FileDataset
    from pydicom.tag import BaseTag

__all__ = ["Syntax", "encoding_of", "note_of", "read_dataset", "reread_if_misread", "syntax_of", "why_unread"]

_SYNTAXES: dict[object, str] = {encoding: syntax for syntax, encoding in ENCODINGS.items()}
_PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_COMMAND_GROUP = 0x0000  # is Implicit VR, whatever the data set is: PS3.7 6.3.1
_DEFERRED_BYTES = 65536
_DEEP_CALLS = 50_000  # of which pydicom needs four for each level
_DEEP_STACK_BYTES = 1 << 28  # reserved, and used as far as calls go


class Syntax(Frozen):
    """The transfer syntax of a Dataset."""

    stated: str  # by its File Meta Information; empty where that does not say
    actual: str  # what its elements and pixels are in; empty where they are compressed in a way that nobody can tell
    note: str  # how these two contradict each other; mostly empty


def read_dataset(
    content: str | os.PathLike[str] | bytes | Instance,
    *,
    source: str = "",
    keywords: Iterable[str] = (),
    stop_before_pixels: bool = False,
    defer_size: int | None = None,
) -> FileDataset:
    """Read what a file, the content of one, or an instance holds; `keywords` to read nothing else.

    Its File Meta Information is the file's, also where that is wrong: see `note_of` and `syntax_of`. Values of more
    than `defer_size` bytes stay in a file until they are asked for. Without `source` it is called by its path.

    Raises
    ------
    UnreadableError
        It cannot be read, or is no DICOM.
    """
    from pydicom import dcmread

    options: dict[str, Any] = {"stop_before_pixels": stop_before_pixels, "defer_size": defer_size}
    if keywords:
        options["specific_tags"] = list(keywords)
    place: str | bytes
    instance: Instance | None = None
    if isinstance(content, Instance):
        instance, note = content, content.note
        source = source or content.source
        place = content.content if isinstance(content.content, str) else _whole(content)
    else:
        place = content if isinstance(content, bytes) else as_on_disk(os.fspath(content))
        source = source or (place if isinstance(place, str) else "<bytes>")
        try:
            instance = look_at(place)
            note = instance.note
        except DirectoryFileError as error:
            note = error.damage
        except SourceError as error:  # pydicom, which forgives more, may find something to show all the same
            note = error.reason

    def read() -> FileDataset:
        if instance is not None and not _is_read_right(instance):
            return _parse(place, instance, options)
        return dcmread(place if isinstance(place, str) else BytesIO(place), force=True, **options)

    try:
        with PYDICOM_QUIET:
            try:
                dataset = read()
            except RecursionError:
                dataset = _with_room(read)
    except OSError as error:
        raise SourceError.of_system(source, error) from error
    except RecursionError:
        reason = "its sequences are nested more deeply than pydicom can read; DCMTK's dcmdump may show it"
        raise SourceError(source, reason) from None
    except Exception as error:  # noqa: BLE001 (pydicom raises whatever its parts raise, and may quote a patient)
        raise SourceError(source, note or f"pydicom cannot read it ({type(error).__name__})") from None
    if not len(dataset) and not len(dataset.file_meta):
        raise SourceError(source, note if note.startswith("not DICOM") else "not DICOM")
    dataset.reading_note = note
    return dataset


def _whole(instance: Instance) -> bytes:
    """The content of an instance in memory or in an archive, with what is before its data set."""
    if isinstance(instance.content, bytes):
        return instance.content
    return bytes(instance.__replace__(offset=0, length=instance.offset + instance.length).read_all())


def _with_room(read: Callable[[], FileDataset]) -> FileDataset:
    """Read once more where sequences of undefined length are nested, by which pydicom calls itself, thousands deep.

    What it raises is raised here: a RecursionError where they are deeper still.
    """
    from concurrent.futures import ThreadPoolExecutor

    limit, stack = sys.getrecursionlimit(), threading.stack_size(_DEEP_STACK_BYTES)
    sys.setrecursionlimit(max(limit, _DEEP_CALLS))
    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(read).result()
    finally:
        threading.stack_size(stack)
        sys.setrecursionlimit(limit)


def _is_read_right(instance: Instance) -> bool:
    """Whether pydicom, going by the transfer syntax, would parse it as it is encoded, and knows so afterwards."""
    from pydicom.uid import UID

    syntax = UID(instance.transfer_syntax)
    if instance.note and instance.transfer_syntax in ENCODINGS:  # it may say another one, or none
        return False
    if not syntax.is_transfer_syntax or syntax.is_private:
        return instance.encoding == EXPLICIT_LE
    return ENCODINGS[instance.encoding] == (syntax.is_implicit_VR, syntax.is_little_endian)


def _parse(place: str | bytes, instance: Instance, options: dict[str, Any]) -> FileDataset:
    """Parse a data set as it is encoded."""
    from pydicom import dcmread
    from pydicom.dataset import FileDataset
    from pydicom.filereader import data_element_generator
    from pydicom.tag import Tag

    def is_at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return tag in _PIXEL_TAGS

    implicit, little = ENCODINGS[instance.encoding]
    with BytesIO(place) if isinstance(place, bytes) else open(place, "rb") as file:
        header = dcmread(BytesIO(file.read(instance.offset)), force=True)
        elements = data_element_generator(
            cast("BinaryIO", file),
            implicit,
            little,
            is_at_pixels if options["stop_before_pixels"] else None,
            options["defer_size"] if isinstance(place, str) else None,
            specific_tags=[Tag(keyword) for keyword in options.get("specific_tags", ())] or None,
        )
        found = {element.tag: element for element in elements}
    dataset = FileDataset(
        place if isinstance(place, str) else BytesIO(place),
        cast("Any", found),
        header.preamble,
        header.file_meta,
        implicit,
        little,
    )
    dataset.set_original_encoding(implicit, little, cast("Any", dataset._character_set))
    return dataset


def note_of(dataset: Dataset) -> str:
    """Return what is odd about a Dataset, in a sentence; mostly empty.

    Of one that `read_dataset` has read, that is what `look_at` found; of any other, what contradicts its File Meta.
    """
    said = str(getattr(dataset, "reading_note", ""))
    own = syntax_of(dataset).note
    return said if own in said else "; ".join(note for note in (said, own) if note)


def why_unread(dataset: Dataset) -> str:
    """Return why nothing of use was found in a Dataset: it is not encoded as it says. Empty where that is not known.

    Without a SOP Class UID, what pydicom found are hardly its elements.
    """
    if "SOPClassUID" in dataset:
        return ""
    return str(getattr(dataset, "reading_note", "")) or syntax_of(dataset).note


def encoding_of(dataset: Dataset) -> str:
    """Return how the elements of a Dataset are encoded, as the uncompressed transfer syntax that does so.

    What was read tells it by itself, whatever was expected when it was read; what was made has what it says.
    """
    from pydicom.dataelem import RawDataElement

    for tag in dataset.keys():  # noqa: SIM118 (iterating over a Dataset converts its elements)
        element = dataset.get_item(tag, keep_deferred=True)
        if isinstance(element, RawDataElement) and tag.group != _COMMAND_GROUP:
            return _SYNTAXES.get((element.is_implicit_VR, element.is_little_endian), EXPLICIT_LE)
    stated = _stated(dataset)
    return _SYNTAXES.get(dataset.original_encoding, stated if stated in ENCODINGS else EXPLICIT_LE)


def _stated(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return str(meta.get("TransferSyntaxUID") or "") if meta is not None else ""


def syntax_of(dataset: Dataset) -> Syntax:
    """Return the transfer syntax a Dataset says it has, and the one it has."""
    stated, encoding = _stated(dataset), encoding_of(dataset)
    said = f"the File Meta says {uid_name(stated)}" if stated else "its Transfer Syntax UID is missing"
    element = dataset.get_item(PIXEL_DATA, keep_deferred=True) if PIXEL_DATA in dataset else None
    is_in_fragments = element is not None and (
        getattr(element, "is_undefined_length", False) or getattr(element, "length", 0) == UNDEFINED_LENGTH
    )
    if is_in_fragments and (not stated or stated in ENCODINGS or stated == DEFLATED_LE):
        kind, actual = syntax_of_code_stream(_first_code_stream(dataset))
        return Syntax(stated, actual, f"{said}, but its Pixel Data is compressed ({kind})")
    if not stated:
        return Syntax("", encoding, "")
    if is_encapsulated(stated) and _is_native(element):
        return Syntax(stated, encoding, f"{said}, but its Pixel Data is not compressed")
    if stated in ENCODINGS and stated != encoding:
        return Syntax(stated, encoding, f"{said}, but the data set is in {ENCODING_OF[encoding].name}")
    return Syntax(stated, stated, "")


def _is_native(element: object) -> bool:
    """Whether Pixel Data as it was read does not begin as fragments do, which some writers put into a length."""
    from pydicom.dataelem import RawDataElement

    if not isinstance(element, RawDataElement) or element.length in (0, UNDEFINED_LENGTH):
        return False
    return element.value is None or not element.value.startswith(ITEM_BYTES)


def _first_code_stream(dataset: Dataset) -> bytes:
    from pydicom.encaps import generate_fragments

    try:
        fragments = generate_fragments(dataset.PixelData)
        next(fragments)  # the Basic Offset Table
        return next(fragments)
    except (StopIteration, ValueError, OSError, TypeError):
        return b""


def reread_if_misread(dataset: Dataset, path: Path | None) -> Dataset:
    """Return a Dataset as it is encoded, read again where pydicom was led astray by its header.

    What it finds then has hardly ever a SOP Class UID; only without one is the file looked at, which is in `path` if
    that is known better than by the Dataset itself.
    """
    name = path or getattr(dataset, "filename", None)
    if "SOPClassUID" in dataset or not isinstance(name, (str, Path)) or not Path(name).is_file():
        return dataset
    try:
        if look_at(name).encoding == encoding_of(dataset):
            return dataset
    except UnreadableError:  # and what is read then has a note of it
        pass
    try:
        return read_dataset(name, defer_size=_DEFERRED_BYTES)
    except UnreadableError:
        return dataset
