"""DICOM files for the tests, of any number and size, made in no time.

A file is encoded once by pydicom; every further one is the same bytes with other UIDs of the same length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["ct_instance", "data_set_of", "instance_uid", "write_ct_files", "write_multiframe"]

STUDY_UID = "1.2.826.0.1.3680043.8.498.2026.1"
SERIES_UID = "1.2.826.0.1.3680043.8.498.2026.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTIFRAME_GRAYSCALE_WORD = "1.2.840.10008.5.1.4.1.1.7.3"

_PREAMBLE_BYTES = 128
_LONG_VRS = frozenset(
    {b"OB", b"OW", b"UN", b"SQ", b"UT", b"OF", b"OD", b"OL", b"OV", b"UC", b"UR", b"SV", b"UV"}
)


_SCATTER = 387_420_489  # prime to 10**9, so that no two below that are the same


def instance_uid(index: int, *, series_uid: str = SERIES_UID) -> str:
    """SOP Instance UID of the instance at `index` of a series; all have the same length, and they come in no order."""
    return f"{series_uid}.1{index * _SCATTER % 10**9:09d}"


@dataclass(frozen=True, slots=True)
class _Template:
    """An encoded file, and where the SOP Instance UID and the Instance Number stand in it."""

    content: bytes
    uid_offsets: tuple[int, ...]
    number_offset: int

    def filled(self, uid: str, number: int) -> bytearray:
        content = bytearray(self.content)
        for offset in self.uid_offsets:
            content[offset : offset + len(uid)] = uid.encode()
        content[self.number_offset : self.number_offset + 6] = b"%06d" % number
        return content


@lru_cache(maxsize=64)
def _template(study_uid: str, series_uid: str, rows: int, columns: int) -> _Template:
    import io

    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    uid = instance_uid(0, series_uid=series_uid)
    y, x = np.ogrid[:rows, :columns]
    inside = (y - rows / 2) ** 2 + (x - columns / 2) ** 2 < (0.45 * min(rows, columns)) ** 2
    pixels = np.where(inside, 1000 + (y * 7 + x * 13) % 200, 0).astype("<u2")

    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CT_IMAGE_STORAGE
    ds.SOPInstanceUID = uid
    ds.StudyDate = ds.SeriesDate = "20260102"
    ds.StudyTime = "101500"
    ds.AccessionNumber = "A1"
    ds.Modality = "CT"
    ds.Manufacturer = "dicomkit tests"
    ds.ReferringPhysicianName = ""
    ds.PatientName = "Test^Phantom"
    ds.PatientID = "PHANTOM1"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.PatientPosition = "HFS"
    ds.Laterality = ""
    ds.SliceThickness = "1.0"
    ds.KVP = "120"
    ds.StudyInstanceUID = study_uid
    ds.SeriesInstanceUID = series_uid
    ds.StudyID = "1"
    ds.SeriesNumber = "1"
    ds.AcquisitionNumber = "1"
    ds.InstanceNumber = "000000"
    ds.ImagePositionPatient = [0, 0, 0]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = f"{study_uid}.9"
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.PixelSpacing = [1, 1]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.RescaleIntercept = "-1024"
    ds.RescaleSlope = "1"
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()

    first = content.index(uid.encode())
    number = content.index(struct.pack("<HH2sH", 0x0020, 0x0013, b"IS", 6))
    return _Template(content, (first, content.index(uid.encode(), first + 1)), number + 8)


def ct_instance(
    index: int = 0,
    *,
    rows: int = 64,
    columns: int = 64,
    study_uid: str = STUDY_UID,
    series_uid: str = SERIES_UID,
) -> bytes:
    """A CT image as a Part 10 file, Explicit VR Little Endian, of some 700 bytes more than its pixels."""
    template = _template(study_uid, series_uid, rows, columns)
    return bytes(template.filled(instance_uid(index, series_uid=series_uid), index + 1))


def write_ct_files(
    folder: Path,
    count: int,
    *,
    rows: int = 64,
    columns: int = 64,
    study_uid: str = STUDY_UID,
    series_uid: str = SERIES_UID,
    first: int = 0,
) -> list[Path]:
    """Write `count` CT images of one series, about 9 KB each by default; their paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    template = _template(study_uid, series_uid, rows, columns)
    paths = []
    for index in range(first, first + count):
        path = folder / f"{index:06d}.dcm"
        with open(path, "wb", buffering=0) as file:
            file.write(template.filled(instance_uid(index, series_uid=series_uid), index + 1))
        paths.append(path)
    return paths


def write_multiframe(path: Path, *, frames: int, rows: int = 1024, columns: int = 1024) -> Path:
    """One multi-frame instance of 16-bit pixels, 2 MB a frame by default; sparse on the disk."""
    import io

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    ds = Dataset()
    ds.SOPClassUID = MULTIFRAME_GRAYSCALE_WORD
    ds.SOPInstanceUID = instance_uid(frames)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY_UID, SERIES_UID
    ds.Modality = "OT"
    ds.PatientName, ds.PatientID = "Test^Phantom", "PHANTOM1"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.NumberOfFrames = str(frames)
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = io.BytesIO()
    ds.save_as(header, enforce_file_format=True)
    size = frames * rows * columns * 2
    with open(path, "wb") as file:
        file.write(header.getvalue() + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size))
        file.truncate(file.tell() + size)
    return path


def data_set_of(file: Path | bytes) -> bytes:
    """The data set of a Part 10 file, byte for byte: what follows its File Meta (PS3.10 section 7.1)."""
    content = file if isinstance(file, bytes) else file.read_bytes()
    position = _PREAMBLE_BYTES
    if content[position : position + 4] != b"DICM":
        raise ValueError("not a Part 10 file")
    position += 4
    while content[position : position + 2] == b"\x02\x00":
        if content[position + 4 : position + 6] in _LONG_VRS:
            position += 12 + int.from_bytes(content[position + 8 : position + 12], "little")
        else:
            position += 8 + int.from_bytes(content[position + 6 : position + 8], "little")
    return content[position:]
