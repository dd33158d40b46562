"""A pydicom Dataset as the content of a DICOM file (PS3.10), without changing the Dataset.

The data set keeps the encoding it was read in, and gets the File Meta Information it lacks. pydicom replaces the bytes
of an element by its value as soon as somebody looks at it, so they are read again from where the Dataset came from:
what has the same value still, goes out with the same bytes. Text that is new is encoded without any replacement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

from dicomkit.dictionary.uids import ENCODINGS, EXPLICIT_LE, UNCOMPRESSED, is_encapsulated, uid_name
from dicomkit.dictionary.vrs import ITEM_BYTES, PIXEL_DATA
from dicomkit.sources.readers import HeaderFacts, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, BinaryIO

    from pydicom import DataElement, Dataset
    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import FileMetaDataset
    from pydicom.tag import BaseTag

    Encoding = tuple[bool, bool]  # whether VRs are implicit, and the byte order little endian

__all__ = ["encode_dataset"]

_CHARACTER_SET = 0x00080005
_NO_GROUPS_OF_A_DATA_SET = (0x0000, 0x0002)
_PREAMBLE_SIZE = 128  # PS3.10 7.1


def encode_dataset(dataset: Dataset) -> bytes:
    """Encode a Dataset in the DICOM file format.

    Its transfer syntax is that of its ``file_meta``; without one, the encoding it was read in; and for one that was
    made from nothing, Explicit VR Little Endian. The File Meta Information is made to agree with the data set. Raises
    SourceError where it cannot be encoded, has text that its Specific Character Set does not, or has no SOP UIDs.
    """
    from copy import deepcopy

    from pydicom.charset import convert_encodings
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    from dicomkit._support.pydicom_quiet import PYDICOM_QUIET

    own = _same(dataset)
    meta = deepcopy(getattr(dataset, "file_meta", None)) or FileMetaDataset()
    if not meta.get("TransferSyntaxUID"):
        meta.TransferSyntaxUID = UID(_syntax_of(own))
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        value = own.get(keyword) or meta.get("MediaStorage" + keyword)
        if not value:
            raise SourceError("<dataset>", f"it has no {keyword}; set that before it is sent")
        setattr(meta, "MediaStorage" + keyword, value)
    header = _header_facts(own, meta)
    syntax = meta.TransferSyntaxUID
    _refuse_contradiction(own, str(syntax), header)
    # One that pydicom does not know is written as the elements were read.
    is_known = syntax.is_transfer_syntax and not syntax.is_private
    implicit, little = (syntax.is_implicit_VR, syntax.is_little_endian) if is_known else own.original_encoding
    encoding = (False, True) if implicit is None or little is None else (implicit, little)
    encoder = _Encoder(encoding, header, has_fragments=syntax.is_compressed if is_known else None)
    with PYDICOM_QUIET:
        try:
            fit = encoder.fit(dataset, _as_read(dataset), convert_encodings(dataset._parent_encoding))
            return _written(fit, encoding, meta, getattr(dataset, "preamble", None))
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 (pydicom raises whatever its parts raise, and may quote a patient)
            reason = f"pydicom cannot encode it ({type(error).__name__})"
            raise SourceError("<dataset>", reason, header) from None


def _written(fit: Dataset, encoding: Encoding, meta: FileMetaDataset, preamble: bytes | None) -> bytes:
    """Write it in the DICOM file format; what pydicom's `dcmwrite` does, which looks at the UIDs on the way."""
    from zlib import MAX_WBITS, compressobj

    from pydicom.dataset import validate_file_meta
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset, write_file_meta_info

    if any(tag.group in _NO_GROUPS_OF_A_DATA_SET for tag in fit.keys()):  # noqa: SIM118 (as below)
        raise ValueError("elements of the command or the File Meta Information in the data set")
    validate_file_meta(meta, enforce_standard=True)
    content = DicomBytesIO()
    content.is_implicit_VR, content.is_little_endian = False, True
    content.write((preamble or b"").ljust(_PREAMBLE_SIZE, b"\0")[:_PREAMBLE_SIZE] + b"DICM")
    write_file_meta_info(content, meta, enforce_standard=True)
    begin = content.tell()
    content.is_implicit_VR, content.is_little_endian = encoding
    write_dataset(content, fit)
    whole: bytes = content.getvalue()
    if not meta.TransferSyntaxUID.is_deflated:
        return whole
    squeeze = compressobj(wbits=-MAX_WBITS)
    data_set = squeeze.compress(whole[begin:]) + squeeze.flush()
    return whole[:begin] + data_set + b"\0" * (len(data_set) % 2)  # PS3.5 A.5


class _Encoder:
    """Makes a Dataset that pydicom writes without decoding, or replacing, a single character.

    Whether Pixel Data has fragments is left to pydicom where `has_fragments` is None.
    """

    def __init__(self, encoding: Encoding, header: HeaderFacts, *, has_fragments: bool | None) -> None:
        self.encoding = encoding
        self.header = header
        self._has_fragments = has_fragments

    def fit(self, dataset: Dataset, as_read: Dataset | None, inherited: list[str]) -> Dataset:
        """Return a Dataset of what is to be written: bytes wherever the Specific Character Set matters.

        `dataset` is a data set or an item, which stays as it is; `as_read` the same before anybody looked at it or
        changed it; `inherited` the character sets of what it is in (PS3.5 7.5.3), by Python's names for them.
        """
        from pydicom import Dataset
        from pydicom.charset import convert_encodings
        from pydicom.dataelem import RawDataElement
        from pydicom.filewriter import correct_ambiguous_vr

        own = _same(dataset)
        declared = own.get(_CHARACTER_SET)
        sets = convert_encodings(declared.value) if declared is not None and declared.value else inherited
        has_same_sets = convert_encodings(own.original_character_set or inherited) == sets
        has_same_encoding = own.original_encoding == self.encoding
        is_lenient = as_read is None and own.original_encoding != (None, None)
        before = None if as_read is None else _same(as_read)  # to look at, while `as_read` keeps the bytes
        if not has_same_encoding:
            correct_ambiguous_vr(own, self.encoding[1])
        fitted: dict[BaseTag, DataElement | RawDataElement] = {}
        for tag in own.keys():  # noqa: SIM118 (a Dataset iterates over elements)
            held = own.get_item(tag)
            if isinstance(held, RawDataElement) and has_same_encoding and has_same_sets:
                fitted[tag] = held
                continue
            element = own[tag]
            raw = held if isinstance(held, RawDataElement) else _unchanged(element, as_read, before)
            if raw is not None and _keeps_bytes(
                element.VR, has_same_encoding=has_same_encoding, has_same_sets=has_same_sets
            ):
                fitted[tag] = raw if has_same_encoding else self._raw(element, raw.value or b"")
            else:
                fitted[tag] = self._encoded(element, before, sets, is_lenient=is_lenient)
        fit = Dataset(fitted, parent_encoding=inherited)
        fit.is_undefined_length_sequence_item = own.is_undefined_length_sequence_item
        fit.set_original_encoding(*self.encoding, fit._character_set)
        return fit

    def _encoded(
        self, element: DataElement, before: Dataset | None, sets: list[str], *, is_lenient: bool
    ) -> DataElement | RawDataElement:
        from copy import copy

        from pydicom.sequence import Sequence as Items
        from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

        from dicomkit.sources._strict_text import encode_values

        if element.VR == "SQ":
            items = list(element.value or ())
            olds = _items(before, element.tag, len(items))
            fitted = copy(element)
            fitted.value = Items([self.fit(item, old, sets) for item, old in zip(items, olds, strict=True)])
            return fitted
        if element.VR in CUSTOMIZABLE_CHARSET_VR:
            try:
                encoded = encode_values(element.value, element.VR, sets, is_lenient=is_lenient)
            except ValueError:
                self._refuse(element)
            return self._raw(element, encoded + b" " * (len(encoded) % 2))
        if not all(text.isascii() for text in _texts(element.value)):
            self._refuse(element)
        try:
            self._try(element)
        except Exception as error:  # noqa: BLE001 (as above)
            reason = f"pydicom cannot encode its {_name(element)} ({type(error).__name__})"
            raise SourceError("<dataset>", reason, self.header) from None
        if element.tag != PIXEL_DATA or self._has_fragments is None:
            return element
        fitted = copy(element)
        fitted.is_undefined_length = self._has_fragments  # PS3.5 A.4
        return fitted

    def _try(self, element: DataElement) -> None:
        """Raise what pydicom does when it writes an element; values that are bytes it does not even look at."""
        from pydicom.filebase import DicomBytesIO
        from pydicom.filewriter import write_data_element

        if isinstance(element.value, bytes) or element.is_buffered:
            return
        scratch = DicomBytesIO()
        scratch.is_implicit_VR, scratch.is_little_endian = self.encoding
        write_data_element(scratch, element)

    def _raw(self, element: DataElement, value: bytes) -> RawDataElement:
        from pydicom.dataelem import RawDataElement

        return RawDataElement(element.tag, element.VR, len(value), value, 0, *self.encoding)

    def _refuse(self, element: DataElement) -> NoReturn:
        raise SourceError(
            "<dataset>",
            f"its {_name(element)} has characters that its Specific Character Set (0008,0005) does not have; set "
            "SpecificCharacterSet to 'ISO_IR 192', which has all, or change the text",
            self.header,
        )


def _same(dataset: Dataset) -> Dataset:
    """A Dataset of the same elements: looking at one of them changes nothing in the other."""
    from pydicom import Dataset

    same = Dataset(
        {tag: dataset.get_item(tag) for tag in dataset.keys()},  # noqa: SIM118 (as above)
        parent_encoding=dataset._parent_encoding,
    )
    same.is_undefined_length_sequence_item = dataset.is_undefined_length_sequence_item
    implicit, little = dataset.original_encoding
    same.set_original_encoding(implicit, little, dataset.original_character_set)
    return same


def _as_read(dataset: Dataset) -> Dataset | None:
    """Read once more what somebody has looked at or changed since it was read; None where that cannot be had."""
    from pydicom import dcmread

    tags = [tag for tag in dataset.keys() if _is_looked_at(dataset, tag)]  # noqa: SIM118 (as above)
    if not tags:
        return None
    buffer = getattr(dataset, "buffer", None)
    path = getattr(dataset, "filename", None)
    try:
        if buffer is not None and not getattr(buffer, "closed", False):
            position = buffer.tell()
            try:
                buffer.seek(0)
                found = dcmread(cast("BinaryIO", buffer), force=True, specific_tags=list(tags))
            finally:
                buffer.seek(position)
        elif isinstance(path, str):
            found = dcmread(path, force=True, specific_tags=list(tags))
        else:
            return None
    except Exception:  # noqa: BLE001 (pydicom raises whatever its parts raise; then there is nothing to go by)
        return None
    return found


def _is_looked_at(dataset: Dataset, tag: BaseTag) -> bool:
    """Whether an element is not the bytes that were read; the character set, and some sequences, never are."""
    from pydicom import DataElement

    element = dataset.get_item(tag)
    if not isinstance(element, DataElement) or tag == _CHARACTER_SET:
        return False
    if element.VR == "SQ":
        return any(_is_looked_at(item, inner) for item in element.value or () for inner in item.keys())  # noqa: SIM118
    return not isinstance(element.value, bytes)


def _unchanged(
    element: DataElement, as_read: Dataset | None, before: Dataset | None
) -> RawDataElement | None:
    """The bytes of an element that has the value still that was read."""
    from pydicom.dataelem import RawDataElement

    if as_read is None or before is None or element.tag not in as_read:
        return None
    raw = as_read.get_item(element.tag)
    return raw if isinstance(raw, RawDataElement) and _is_equal(element, before[element.tag]) else None


def _is_equal(one: DataElement, other: DataElement) -> bool:
    if one.VR != other.VR or one.VM != other.VM:
        return False
    if one.VR != "SQ":
        # As text, by which 1.0 and 1.00 differ, and a number that is none is equal to itself.
        return one.value is other.value or str(one.value) == str(other.value)
    for item, old in zip(map(_same, one.value), map(_same, other.value), strict=True):
        if item.keys() != old.keys() or not all(_is_equal(item[tag], old[tag]) for tag in item.keys()):  # noqa: SIM118
            return False
    return True


def _keeps_bytes(vr: str, *, has_same_encoding: bool, has_same_sets: bool) -> bool:
    """Whether the bytes of a value that was read can stand in what is written."""
    from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, DEFAULT_CHARSET_VR

    if vr == "SQ":
        return has_same_encoding and has_same_sets
    if vr in CUSTOMIZABLE_CHARSET_VR:
        return has_same_sets
    return has_same_encoding or vr in DEFAULT_CHARSET_VR


def _items(before: Dataset | None, tag: BaseTag, count: int) -> Sequence[Dataset | None]:
    """The items of a sequence as they were read, if there are as many."""
    found = before[tag] if before is not None and tag in before else None
    if found is None or found.VR != "SQ" or len(found.value) != count:
        return [None] * count
    return list(found.value)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    is_several = isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue"
    return (one for one in value if isinstance(one, str)) if is_several else ()


def _name(element: DataElement) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(element.tag) or str(element.tag)


def _header_facts(dataset: Dataset, meta: Dataset) -> HeaderFacts:
    keywords = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
    values = [*map(dataset.get, keywords), meta.get("TransferSyntaxUID")]
    return HeaderFacts(*(str(value) if isinstance(value, str) and value else None for value in values))


def _refuse_contradiction(dataset: Dataset, syntax: str, header: HeaderFacts) -> None:
    """Refuse what pydicom would write with a length, as if it were not compressed."""
    pixels = dataset.get_item(PIXEL_DATA) if PIXEL_DATA in dataset else None
    reason = ""
    if pixels is not None and is_encapsulated(syntax):
        value = pixels.value
        if isinstance(value, bytes) and value and not value.startswith(ITEM_BYTES):
            reason = (
                f"file_meta.TransferSyntaxUID says {uid_name(syntax)}, but its Pixel Data is not encapsulated (PS3.5 "
                "A.4); set the one that it is in, or encapsulate it with pydicom.encaps.encapsulate"
            )
    elif _is_compressed(dataset) and syntax in UNCOMPRESSED:
        reason = (
            f"its Pixel Data is compressed, but file_meta.TransferSyntaxUID says {uid_name(syntax)}; set the one that "
            "it is compressed in"
        )
    if reason:
        raise SourceError("<dataset>", reason, header)


def _is_compressed(dataset: Dataset) -> bool:
    return "PixelData" in dataset and dataset["PixelData"].is_undefined_length


def _syntax_of(dataset: Dataset) -> str:
    if _is_compressed(dataset):
        raise SourceError(
            "<dataset>", "its Pixel Data is compressed and nothing says how; set file_meta.TransferSyntaxUID"
        )
    syntaxes = (syntax for syntax, encoding in ENCODINGS.items() if encoding == dataset.original_encoding)
    return next(syntaxes, EXPLICIT_LE)
