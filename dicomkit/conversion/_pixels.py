"""Compressed Pixel Data as native Pixel Data; pydicom's decoders do the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dicomkit.conversion._errors import NotConverted
from dicomkit.dataset_walk import Fetch
from dicomkit.frozen import Frozen
from dicomkit.quiet import PYDICOM_QUIET
from dicomkit.uids import LOSSY_METHODS, uid_name

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Decompressed", "decompress"]

# Lossless when the encoder chose so, which only the data set knows.
_LOSSY_OR_NOT: Final = frozenset({"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"})
_ITEM = b"\xfe\xff\x00\xe0"


class Decompressed(Frozen):
    """Native Pixel Data.

    Attributes
    ----------
    value : sequence of bytes-like
        In pieces.
    vr : str
        ``"OB"`` or ``"OW"``.
    attributes : dict
        What to set beside it, as little-endian values; None removes an attribute.
    notes : str
        What is worth knowing, in a sentence.
    """

    value: Sequence[bytes | bytearray | memoryview]
    vr: str
    attributes: dict[int, bytes | None]
    notes: str


def decompress(
    fetch: Fetch,
    fragments: Sequence[tuple[int, int]],
    offset_table: bytes,
    extended: tuple[bytes, bytes] | None,
    attributes: Mapping[int, bytes],
    syntax: str,
    *,
    max_decoded_bytes: int,
) -> Decompressed:
    """Decompress every frame.

    Raises
    ------
    NotConverted
        There is no decoder for it, or it cannot be decoded.
    """
    from pydicom.pixels.decoders.base import get_decoder

    with PYDICOM_QUIET:
        try:
            is_available = get_decoder(syntax).is_available
        except NotImplementedError:
            raise NotConverted(
                f"{uid_name(syntax)} cannot be decompressed here; have the peer accept it as it is stored"
            ) from None
        if not is_available:
            raise NotConverted(
                f"decompressing {uid_name(syntax)} needs decoders that are not installed; install them with: "
                "pip install 'dicomkit[codecs]'"
            )
        try:
            ds = _dataset(fetch, fragments, offset_table, extended, attributes, syntax)
            ds.decompress(as_rgb=False, generate_instance_uid=False)
            colour = str(ds.PhotometricInterpretation)
        except Exception as error:  # noqa: BLE001 (pydicom and its plugins raise anything, and may quote a patient)
            raise NotConverted(
                f"its {uid_name(syntax)} pixels could not be decoded ({type(error).__name__}); check the file, or have "
                "the peer accept it as it is stored"
            ) from None
    if colour == "YBR_FULL_422":
        colour = "YBR_FULL"  # decoders give every pixel its own colour
    changes: dict[int, bytes | None] = {0x00280004: _even(colour)}
    if "PlanarConfiguration" in ds:
        changes[0x00280006] = int(ds.PlanarConfiguration).to_bytes(2, "little")
    if syntax in LOSSY_METHODS and syntax not in _LOSSY_OR_NOT and 0x00282110 not in attributes:
        changes[0x00282110] = b"01"
        changes[0x00282114] = _even(LOSSY_METHODS[syntax])
    return Decompressed([ds.PixelData], str(ds["PixelData"].VR), changes, "")


def _even(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b" " * (len(value) % 2)


def _dataset(
    fetch: Fetch,
    fragments: Sequence[tuple[int, int]],
    offset_table: bytes,
    extended: tuple[bytes, bytes] | None,
    attributes: Mapping[int, bytes],
    syntax: str,
) -> Dataset:
    from io import BytesIO

    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset
    from pydicom.uid import UID

    encoded = b"".join(
        (tag & 0xFFFF).to_bytes(2, "little").join([(tag >> 16).to_bytes(2, "little"), b""])
        + len(value).to_bytes(4, "little")
        + value
        for tag, value in sorted(attributes.items())
    )
    ds = read_dataset(BytesIO(encoded), True, True)
    parts = [_ITEM, len(offset_table).to_bytes(4, "little"), offset_table]
    for position, length in fragments:
        parts += [_ITEM, length.to_bytes(4, "little"), bytes(fetch(position, length))]
    ds.PixelData = b"".join(parts) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    if extended is not None:
        ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = extended
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    return ds
