"""The DICOM objects of the sample study: which attributes go around the pixels (PS3.3 annex A).

A small function per kind of object, over the modules that all of them share; nothing depends on
the clock, the machine or chance, UIDs included.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    MRImageStorage,
    NuclearMedicineImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from data.make import abdomen, bone_scan, head, heart, radiographs, spine
from data.make.jpeg import encode_lossless

__all__ = ["code", "make_uid", "images", "new_object", "reference_to"]

_UID_NAMESPACE = UUID("6f1ad3c2-55f0-4b8e-9a0b-d1c0a5c0ffee")
_WRITER_VERSION = (
    "DICOMKIT_SAMPLES"  # Implementation Version Name, 16 characters at most (PS3.5 section 6.2, SH)
)
_STUDY_DATE = "20250314"
_CT_HEIGHTS = tuple(62.0 - 11.0 * step for step in range(12))
_MR_HEIGHTS = (-32.0, 0.0, 9.0, 18.0, 27.0, 38.0, 49.0, 60.0)
_FRAME_TIME_MS = 80.0


def make_uid(name: str) -> UID:
    """Return the UID that always goes with `name`: 2.25 and a UUID as a number (PS3.5 annex B.2)."""
    return UID(f"2.25.{uuid5(_UID_NAMESPACE, name).int}")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item with a code (PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference_to(ds: Dataset) -> Dataset:
    """Return an item that points at another object (PS3.3 Table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    return item


def new_object(
    name: str,
    sop_class: UID,
    modality: str,
    series: int,
    *,
    time: str,
    transfer_syntax: UID = ExplicitVRLittleEndian,
) -> FileDataset:
    """Return an object with the modules that all share: patient, study, series, equipment, SOP common.

    Parameters
    ----------
    name : str
        What the SOP Instance UID is derived from.
    series : int
        Series Number, from which the Series Instance UID is derived.
    time : str
        Time of day of series and content, ``HHMMSS``.
    """
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, make_uid(name)
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID, meta.ImplementationVersionName = make_uid("implementation"), _WRITER_VERSION
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\x00" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, make_uid(name)
    ds.InstanceCreationDate, ds.InstanceCreationTime = _STUDY_DATE, time

    ds.PatientName, ds.PatientID = "Phantom^Ada", "DK-0001"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19751210", "F", "049Y"
    ds.PatientComments = "Drawn by dicomkit: a phantom, not a person"

    ds.StudyInstanceUID, ds.StudyID = make_uid("study"), "1"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = _STUDY_DATE, "080000", "DK25-0314"
    ds.StudyDescription, ds.ReferringPhysicianName = "dicomkit sample study", "Referrer^Rita"

    ds.Modality, ds.SeriesNumber, ds.SeriesInstanceUID = modality, series, make_uid(f"series {series}")
    ds.SeriesDate, ds.SeriesTime = _STUDY_DATE, time
    ds.ContentDate, ds.ContentTime = _STUDY_DATE, time

    ds.Manufacturer, ds.ManufacturerModelName = "dicomkit", "Phantom painter"
    ds.InstitutionName, ds.StationName = "Synthetic Hospital", f"DK{modality}1"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"
    return ds


def images() -> Iterator[tuple[str, FileDataset]]:
    """Yield a relative path and the object for every image of the study, in the order of the series."""
    for number, height in enumerate(_CT_HEIGHTS, start=1):
        yield f"ct-abdomen/slice-{number:02d}.dcm", _ct_slice(number, height)
    for number, height in enumerate(_MR_HEIGHTS, start=1):
        yield f"mr-head/slice-{number:02d}.dcm", _mr_head_slice(number, height)
    yield "us-heart/four-chambers-cine.dcm", _us_cine()
    yield "cr-chest/chest-monochrome1.dcm", _cr_chest()
    yield "cr-hand/hand-jpeg-lossless.dcm", _cr_hand()
    yield "nm-bones/whole-body-multiframe.dcm", _nm_whole_body()
    yield "mr-spine-utf8/sagittal-private-tags.dcm", _mr_spine()


def _add_grey_pixels(
    ds: FileDataset, pixels: NDArray[np.int64], bits_stored: int, *, signed: bool = False
) -> None:
    """Add the image pixel module (PS3.3 section C.7.6.3) for 16-bit grey values."""
    ds.SamplesPerPixel = 1
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
    ds.PixelRepresentation = int(signed)
    little_endian = pixels.astype("<i2" if signed else "<u2")
    if ds.file_meta.TransferSyntaxUID == JPEGLosslessSV1:
        ds.PixelData = encapsulate([encode_lossless(pixels, bits_stored)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    else:
        ds.PixelData = little_endian.tobytes()
        ds["PixelData"].VR = "OW"


def _add_plane(
    ds: FileDataset, frame: str, position: list[float], orientation: list[float], spacing: float
) -> None:
    """Add frame of reference and image plane (PS3.3 sections C.7.4.1 and C.7.6.2)."""
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = make_uid(f"frame of {frame}"), ""
    ds.ImagePositionPatient, ds.ImageOrientationPatient = position, orientation
    ds.PixelSpacing = [spacing, spacing]
    ds.SliceLocation = position[2] if orientation[4] == 1.0 else position[0]


def _ct_slice(number: int, height: float) -> FileDataset:
    ds = new_object(f"ct {number}", CTImageStorage, "CT", 1, time="081500")
    ds.SeriesDescription, ds.ProtocolName = "Abdomen, portal venous phase", "Abdomen"
    ds.ImageType, ds.InstanceNumber, ds.AcquisitionNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], number, 1
    ds.AcquisitionDate, ds.AcquisitionTime = _STUDY_DATE, "081500"
    ds.BodyPartExamined, ds.PatientPosition = "ABDOMEN", "HFS"
    ds.ContrastBolusAgent, ds.ContrastBolusRoute = "Painted iodine", "IV"
    ds.ScanOptions, ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure = (
        "HELICAL MODE",
        120,
        220,
        500,
        110,
    )
    ds.DataCollectionDiameter, ds.ReconstructionDiameter = 500, 384
    ds.GantryDetectorTilt, ds.TableHeight, ds.RotationDirection = 0, 150, "CW"
    ds.ConvolutionKernel, ds.SliceThickness, ds.SpacingBetweenSlices = "STANDARD", 5, 11
    corner = -127.5 * abdomen.SPACING
    _add_plane(ds, "ct", [corner, corner, height], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], abdomen.SPACING)
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = [50, 90, -500, 400], [400, 160, 1500, 1800]
    ds.WindowCenterWidthExplanation = ["ABDOMEN", "LIVER", "LUNG", "BONE"]
    _add_grey_pixels(ds, abdomen.abdomen(height), 16, signed=True)
    ds.add_new("PixelPaddingValue", "SS", abdomen.PADDING)
    return ds


def _mr_object(name: str, series: int, time: str, transfer_syntax: UID) -> FileDataset:
    ds = new_object(name, MRImageStorage, "MR", series, time=time, transfer_syntax=transfer_syntax)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.AcquisitionDate, ds.AcquisitionTime = _STUDY_DATE, time
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "SK", "", "2D"
    ds.MagneticFieldStrength, ds.ImagingFrequency, ds.ImagedNucleus = "1.5", "63.87", "1H"
    ds.NumberOfAverages, ds.FlipAngle, ds.PatientPosition = 1, 90, "HFS"
    ds.PhotometricInterpretation, ds.AcquisitionNumber = "MONOCHROME2", 1
    return ds


def _mr_head_slice(number: int, height: float) -> FileDataset:
    ds = _mr_object(f"mr head {number}", 2, "090000", ImplicitVRLittleEndian)
    ds.SeriesDescription, ds.ProtocolName, ds.SequenceName = "Head, T1 axial", "Head", "se2d1"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 550, 12, 1
    ds.BodyPartExamined, ds.InstanceNumber, ds.SliceThickness = "HEAD", number, 5
    corner = -87.5 * head.SPACING
    _add_plane(ds, "mr head", [corner, corner, height], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], head.SPACING)
    ds.WindowCenter, ds.WindowWidth = 850, 1500
    _add_grey_pixels(ds, head.head(height), 12)
    return ds


def _us_cine() -> FileDataset:
    ds = new_object("us", UltrasoundMultiFrameImageStorage, "US", 3, time="093000")
    ds.SeriesDescription, ds.ImageType, ds.InstanceNumber = (
        "Heart, four chambers, colour",
        ["ORIGINAL", "PRIMARY"],
        1,
    )
    ds.AcquisitionDate, ds.AcquisitionTime, ds.BodyPartExamined = _STUDY_DATE, "093000", "HEART"
    ds.PatientOrientation = []
    frames = np.stack([heart.heart(frame) for frame in range(heart.FRAMES)])
    ds.NumberOfFrames, ds.FrameIncrementPointer = heart.FRAMES, 0x00181063  # Frame Time
    ds.FrameTime, ds.CineRate, ds.RecommendedDisplayFrameRate = _FRAME_TIME_MS, 12, 12
    ds.StartTrim, ds.StopTrim, ds.EffectiveDuration = 1, heart.FRAMES, 0.8
    ds.PreferredPlaybackSequencing, ds.HeartRate = 0, 75
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns = frames.shape[1:3]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.UltrasoundColorDataPresent, ds.LossyImageCompression, ds.BurnedInAnnotation = 1, "00", "NO"
    ds.SequenceOfUltrasoundRegions = Sequence([_us_region()])
    ds.PixelData = frames.tobytes()
    ds["PixelData"].VR = "OB"
    return ds


def _us_region() -> Dataset:
    """The calibrated part of the picture (PS3.3 section C.8.5.5): so a viewer can measure in cm."""
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0  # 2D, tissue, opaque
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 14, 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 194, 157
    region.ReferencePixelX0, region.ReferencePixelY0 = 90, 0
    region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = 3, 3  # cm
    region.ReferencePixelPhysicalValueX, region.ReferencePixelPhysicalValueY = 0.0, 0.0
    region.PhysicalDeltaX = region.PhysicalDeltaY = heart.MILLIMETRES_PER_PIXEL / 10.0
    return region


def _cr_object(
    name: str, series: int, time: str, transfer_syntax: UID = ExplicitVRLittleEndian
) -> FileDataset:
    ds = new_object(
        name, ComputedRadiographyImageStorage, "CR", series, time=time, transfer_syntax=transfer_syntax
    )
    ds.ImageType, ds.InstanceNumber, ds.AcquisitionNumber = ["ORIGINAL", "PRIMARY"], 1, 1
    ds.AcquisitionDate, ds.AcquisitionTime, ds.PlateID = _STUDY_DATE, time, "P-7"
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    return ds


def _cr_chest() -> FileDataset:
    ds = _cr_object("cr chest", 4, "100000")
    ds.SeriesDescription, ds.BodyPartExamined, ds.ViewPosition = "Chest PA", "CHEST", "PA"
    ds.PatientOrientation, ds.KVP, ds.Exposure = ["L", "F"], 125, 2
    ds.ImagerPixelSpacing = [radiographs.CHEST_SPACING, radiographs.CHEST_SPACING]
    ds.PhotometricInterpretation, ds.WindowCenter, ds.WindowWidth = "MONOCHROME1", 2300, 2500
    _add_grey_pixels(ds, radiographs.chest(), 12)
    return ds


def _cr_hand() -> FileDataset:
    ds = _cr_object("cr hand", 5, "101000", JPEGLosslessSV1)
    ds.SeriesDescription, ds.BodyPartExamined, ds.ViewPosition = "Left hand PA", "HAND", "PA"
    ds.Laterality, ds.PatientOrientation, ds.KVP, ds.Exposure = "L", ["L", "H"], 50, 3
    ds.ImagerPixelSpacing = [radiographs.HAND_SPACING, radiographs.HAND_SPACING]
    ds.PhotometricInterpretation, ds.WindowCenter, ds.WindowWidth = "MONOCHROME2", 1500, 3000
    _add_grey_pixels(ds, radiographs.hand(), 12)
    return ds


def _nm_whole_body() -> FileDataset:
    ds = new_object("nm", NuclearMedicineImageStorage, "NM", 6, time="130000")
    frames = np.stack([bone_scan.bone_scan(posterior=False), bone_scan.bone_scan(posterior=True)])
    ds.SeriesDescription, ds.InstanceNumber = "Whole body bones, anterior and posterior", 1
    ds.AcquisitionDate, ds.AcquisitionTime = _STUDY_DATE, "130000"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = make_uid("frame of nm"), ""
    ds.PatientOrientation, ds.BodyPartExamined = [], "WHOLEBODY"
    ds.NumberOfFrames = len(frames)
    # Energy Window Vector and Detector Vector tell what each frame is (PS3.3 section C.8.4.8).
    ds.FrameIncrementPointer = [0x00540010, 0x00540020]
    ds.EnergyWindowVector, ds.NumberOfEnergyWindows = [1, 1], 1
    ds.DetectorVector, ds.NumberOfDetectors = [1, 2], 2
    ds.PixelSpacing = [bone_scan.SPACING, bone_scan.SPACING]
    ds.CountsAccumulated, ds.ActualFrameDuration = int(frames.sum()), 900_000
    ds.ScanVelocity, ds.ScanLength = 2, 1843
    ds.PhotometricInterpretation, ds.WindowCenter, ds.WindowWidth = "MONOCHROME2", 16, 32

    posture = code("102538003", "SCT", "recumbent")
    posture.PatientOrientationModifierCodeSequence = Sequence([code("40199007", "SCT", "supine")])
    ds.PatientOrientationCodeSequence = Sequence([posture])
    ds.PatientGantryRelationshipCodeSequence = Sequence([code("102540008", "SCT", "headfirst")])
    energy, window = Dataset(), Dataset()
    window.EnergyWindowLowerLimit, window.EnergyWindowUpperLimit = 126, 154  # keV about the 140 of Tc-99m
    energy.EnergyWindowName, energy.EnergyWindowRangeSequence = "Tc-99m", Sequence([window])
    ds.EnergyWindowInformationSequence = Sequence([energy])
    tracer = Dataset()
    tracer.RadionuclideCodeSequence = Sequence([code("72454006", "SCT", "^99m^Technetium")])
    tracer.Radiopharmaceutical, tracer.RadiopharmaceuticalStartTime, tracer.RadionuclideTotalDose = (
        "MDP",
        "100000",
        700,
    )
    ds.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    ds.DetectorInformationSequence = Sequence([_nm_detector("anterior", 0), _nm_detector("posterior", 1)])
    _add_grey_pixels(ds, frames, 16)
    # As some senders write them: sequences and items that end with a delimiter, not a length.
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
    return ds


def _nm_detector(view: str, place: int) -> Dataset:
    half_width, half_height = (round(half * bone_scan.SPACING, 1) for half in (63.5, 191.5))
    detector = Dataset()
    detector.CollimatorType, detector.CollimatorGridName = "PARA", "LEHR"
    detector.FieldOfViewShape, detector.FieldOfViewDimensions = "RECTANGLE", [540, 400]
    side = 1.0 if view == "anterior" else -1.0
    detector.ImagePositionPatient = [-side * half_width, -side * 200.0, half_height]
    detector.ImageOrientationPatient = [side, 0.0, 0.0, 0.0, 0.0, -1.0]
    value = "399321004" if place == 0 else "399001007"
    detector.ViewCodeSequence = Sequence([code(value, "SCT", f"{view.capitalize()} projection")])
    return detector


def _mr_spine() -> FileDataset:
    """Another patient and study, named in three scripts, with a private block (PS3.5 section 7.8)."""
    ds = _mr_object("mr spine", 7, "110000", ExplicitVRLittleEndian)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.PatientID, ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "DK-0002", "19680229", "M", "057Y"
    ds.PatientComments = "描かれたファントム · ein Phantom, personne réelle : aucune"
    ds.StudyInstanceUID, ds.StudyID, ds.AccessionNumber = make_uid("study 2"), "2", "DK25-0315"
    ds.StudyDescription, ds.InstitutionName = "dicomkit sample study · 脊椎", "Hôpital synthétique Zürich"
    ds.ReferringPhysicianName = "Müller-Ærøskøbing^Zoë"
    ds.SeriesDescription, ds.ProtocolName = "LWS sagittal T2 · 腰椎", "L-spine"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 3500, 110, 16
    ds.BodyPartExamined, ds.InstanceNumber, ds.SliceThickness = "LSPINE", 1, 4
    half = 127.5 * spine.SPACING
    _add_plane(ds, "mr spine", [0.0, -half, half], [0.0, 1.0, 0.0, 0.0, 0.0, -1.0], spine.SPACING)
    ds.WindowCenter, ds.WindowWidth = 800, 1600
    block = ds.private_block(0x0029, "DICOMKIT SAMPLE 1.0", create=True)
    block.add_new(0x01, "LO", "Private text · 私的")
    block.add_new(0x02, "FD", [0.25, -1.5, 1024.0])
    block.add_new(0x03, "UL", 20250314)
    block.add_new(0x04, "OB", bytes(range(16)))
    nested = Dataset()
    nested.add_new((0x0029, 0x0010), "LO", "DICOMKIT SAMPLE 1.0")
    nested.add_new((0x0029, 0x1006), "LT", "An item of a private sequence")
    block.add_new(0x05, "SQ", Sequence([nested]))
    _add_grey_pixels(ds, spine.spine(0.0), 12)
    return ds
