"""An instance in a transfer syntax that the peer takes: uncompressed, element for element the same.

Only towards Explicit or Implicit VR Little Endian, and never with a loss: what is compressed is decompressed, what is
encoded otherwise is encoded anew. The whole data set is held in memory while it is done; pydicom does the work.
"""

from __future__ import annotations

from dataclasses import replace
from os import SEEK_END
from typing import TYPE_CHECKING, Final

from dicomkit.errors import UnreadableError
from dicomkit.quiet import PYDICOM_QUIET
from dicomkit.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, uid_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

    from dicomkit.instances import Instance

__all__ = ["NotTranscoded", "target_for", "transcoded"]

UNCOMPRESSED: Final = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE})
TARGETS: Final = (EXPLICIT_LE, IMPLICIT_LE)

# Lossy Image Compression Method (0028,2114), PS3.3 C.7.6.1.1.5, by transfer syntax.
LOSSY_METHODS: Final = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
    "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
}
# Lossless when the encoder chose so, which only the data set knows.
LOSSY_OR_NOT: Final = frozenset({"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"})

# Bytes of a word, for the value representations that are stored as bytes and change with the byte order (PS3.5 6.2).
WORD_SIZES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


class NotTranscoded(UnreadableError):
    """It could not be brought into another transfer syntax; the message says why and what would help."""


def target_for(accepted: Iterable[str]) -> str | None:
    """The syntax to convert to, among those that the peer took; None when there is none."""
    accepted = set(accepted)
    return next((syntax for syntax in TARGETS if syntax in accepted), None)


def transcoded(instance: Instance, target: str) -> Instance:
    """The same instance in Explicit or Implicit VR Little Endian.

    The SOP Instance UID stays, since the pixels are those that anyone would see. Photometric Interpretation and
    Planar Configuration follow the decompressed pixels (PS3.3 C.7.6.3.1.2 and C.7.6.3.1.3); Lossy Image Compression
    stays with its ratio and method, and is set where the compressed form alone said so (C.7.6.1.1.5); an Extended
    Offset Table goes.

    Raises
    ------
    NotTranscoded
        There is no decoder for it, or it cannot be decoded.
    UnreadableError
        The source cannot be read any more.
    """
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    with PYDICOM_QUIET:
        ds = _read(instance)
        try:
            if instance.transfer_syntax not in UNCOMPRESSED and "PixelData" in ds:
                _decompress(ds, instance.transfer_syntax)
            elif instance.transfer_syntax == EXPLICIT_BE:
                _swap_bytes(ds)
            buffer = DicomBytesIO()
            buffer.is_little_endian = True
            buffer.is_implicit_VR = target == IMPLICIT_LE
            write_dataset(buffer, ds)
        except NotTranscoded:
            raise
        except Exception as error:  # noqa: BLE001 (pydicom and its plugins raise anything, and may quote a patient)
            raise NotTranscoded(
                f"it could not be converted from {uid_name(instance.transfer_syntax)} to {uid_name(target)} "
                f"({type(error).__name__}); have the peer accept it as it is stored"
            ) from None
    data = buffer.getvalue()
    return replace(instance, transfer_syntax=target, offset=0, length=len(data), stamp=None, content=data)


def _read(instance: Instance) -> Dataset:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filereader import dcmread
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import UID

    # A File Meta of our own, which says what the walk found, whatever the one in the file says.
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(instance.transfer_syntax)
    meta.MediaStorageSOPClassUID = UID(instance.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    content = DicomBytesIO(bytes(128) + b"DICM")
    content.seek(0, SEEK_END)
    write_file_meta_info(content, meta)
    content.write(instance.read_all())
    content.seek(0)
    try:
        return dcmread(content)
    except Exception as error:  # noqa: BLE001 (as in `transcoded`)
        raise NotTranscoded(
            f"pydicom cannot read it ({type(error).__name__}); check the file with dciodvfy"
        ) from None


def _decompress(ds: Dataset, syntax: str) -> None:
    """Decompress in place, leaving colour in the space that it was compressed in wherever the decoder does."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        is_available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise NotTranscoded(
            f"{uid_name(syntax)} cannot be decompressed here; have the peer accept it as it is stored"
        ) from None
    if not is_available:
        raise NotTranscoded(
            f"decompressing {uid_name(syntax)} needs decoders that are not installed; install them with: "
            "pip install 'dicomkit[codecs]'"
        )
    try:
        ds.decompress(as_rgb=False, generate_instance_uid=False)
    except Exception as error:  # noqa: BLE001 (as in `transcoded`)
        raise NotTranscoded(
            f"its {uid_name(syntax)} pixels could not be decoded ({type(error).__name__}); check the file, or have the "
            "peer accept it as it is stored"
        ) from None
    if ds.get("PhotometricInterpretation") == "YBR_FULL_422":
        ds.PhotometricInterpretation = "YBR_FULL"  # decoders give every pixel its own colour
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            delattr(ds, keyword)
    if syntax in LOSSY_METHODS and syntax not in LOSSY_OR_NOT and "LossyImageCompression" not in ds:
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionMethod = LOSSY_METHODS[syntax]


def _swap_bytes(ds: Dataset) -> None:
    """Turn the words of values that pydicom keeps as bytes; it turns all other values by itself."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                _swap_bytes(item)
            continue
        size = WORD_SIZES.get(element.VR)
        if size and isinstance(element.value, bytes):
            element.value = _swapped(element.value, size)


def _swapped(value: bytes, size: int) -> bytes:
    words = bytearray(len(value))
    for byte in range(size):
        words[byte::size] = value[size - 1 - byte :: size]
    return bytes(words)
