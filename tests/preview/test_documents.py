"""Reports, PDF documents and waveforms: what each says, beside DCMTK's dsrdump, and what is broken beside the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    SegmentationStorage,
    TwelveLeadECGWaveformStorage,
)

from dicomkit.preview import Kind, encapsulated_pdf, kind_of, read_report, why_no_picture
from dicomkit.widgets.image._answers import Curves, Pdf, Report, message_of, shown_of
from tests.support.peers import program

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def item(kind: str, name: str = "X", relation: str = "CONTAINS", **attributes: object) -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ValueType = relation, kind
    if name:
        made.ConceptNameCodeSequence = [code("121071", "DCM", name)]
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def measured(number: str | None, *unit: str, qualifier: str = "") -> Dataset:
    made = item("NUM")
    inner = Dataset()
    if number is not None:
        inner.NumericValue = number
        inner.MeasurementUnitsCodeSequence = [code(*unit)]
    made.MeasuredValueSequence = [inner] if number is not None else []
    if qualifier:
        made.NumericValueQualifierCodeSequence = [code("114000", "DCM", qualifier)]
    return made


def reference(kind: str, uid: str, **attributes: object) -> list[Dataset]:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = kind, uid
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return [made]


def report(*items: Dataset) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = Comprehensive3DSRStorage, "1.2.3.4"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "1.2.3", "1.2.3.1", "SR"
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"):
        setattr(made, keyword, "")
    made.StudyID = made.AccessionNumber = made.ReferringPhysicianName = made.Manufacturer = ""
    made.SeriesNumber = made.InstanceNumber = "1"
    made.ContentDate, made.ContentTime = "20250101", "101500"
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.ReferencedPerformedProcedureStepSequence = made.PerformedProcedureCodeSequence = []
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("126000", "DCM", "Report")]
    made.ContentSequence = list(items)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def said(one: Dataset) -> str:
    return read_report(report(one))[0][1].value


@pytest.mark.parametrize(
    ("one", "value"),
    [
        (measured("42.5", "mm", "UCUM", "mm"), "42.5 mm"),
        (measured("42.5", "mm", "UCUM", "millimeter"), "42.5 mm (millimeter)"),
        (measured("72", "{H.B.}/min", "UCUM", "beats per minute"), "72 beats per minute"),
        (measured("72", "X-1", "99ME", "my unit"), "72 my unit"),
        (measured("0.55", "1", "UCUM", "no units"), "0.55"),
        (measured(None, qualifier="Not a number"), "Not a number"),
        (measured("5", "cm2", "UCUM", "cm2", qualifier="Measurement failure"), "5 cm2 [Measurement failure]"),
        (measured(None), "no value"),
        (item("TEXT", TextValue="one\r\ntwo"), "one\r\ntwo"),
        (item("DATE", Date="20250314"), "2025-03-14"),
        (item("TIME", Time="101530.25"), "10:15:30.25"),
        (item("TIME", Time="1015"), "10:15"),
        (item("DATETIME", DateTime="20250314101530.5+0100"), "2025-03-14 10:15:30.5 +01:00"),
        (item("DATETIME", DateTime="2025"), "2025"),
        (item("PNAME", PersonName="Reader^Rosa^^Dr"), "Reader^Rosa^^Dr"),
        (item("UIDREF", UID=CTImageStorage), f"CT Image Storage ({CTImageStorage})"),
        (item("UIDREF", UID="1.2.3.4"), "1.2.3.4"),
        (item("CODE", ConceptCodeSequence=[code("T-1", "SRT", "Liver")]), "Liver"),
        (item("CODE", ConceptCodeSequence=[code("T-1", "SRT", "")]), "T-1"),
        (item("IMAGE", ReferencedSOPSequence=reference(CTImageStorage, "1.9.1")), "CT Image Storage 1.9.1"),
        (
            item(
                "IMAGE",
                ReferencedSOPSequence=reference(CTImageStorage, "1.9.1", ReferencedFrameNumber=[1, 3]),
            ),
            "CT Image Storage 1.9.1, frames 1, 3",
        ),
        (
            item(
                "IMAGE",
                ReferencedSOPSequence=reference(SegmentationStorage, "1.9", ReferencedSegmentNumber=2),
            ),
            "Segmentation Storage 1.9, segment 2",
        ),
        (
            item("COMPOSITE", ReferencedSOPSequence=reference(BasicTextSRStorage, "1.9.3")),
            "Basic Text SR Storage 1.9.3",
        ),
        (
            item(
                "WAVEFORM",
                ReferencedSOPSequence=reference(
                    TwelveLeadECGWaveformStorage, "1.9.4", ReferencedWaveformChannels=[1, 1, 1, 2]
                ),
            ),
            "12-lead ECG Waveform Storage 1.9.4, channels 1/1, 1/2",
        ),
        (item("SCOORD", GraphicType="POINT", GraphicData=[10, 20.5]), "POINT (10, 20.5)"),
        (item("SCOORD", GraphicType="POLYLINE", GraphicData=[0.1, 2, 3, 4]), "POLYLINE (0.1, 2) (3, 4)"),
        (
            item("SCOORD3D", GraphicType="POINT", GraphicData=[1, 2, 3], ReferencedFrameOfReferenceUID="1.5"),
            "POINT (1, 2, 3), frame of reference 1.5",
        ),
        (
            item("TCOORD", TemporalRangeType="SEGMENT", ReferencedTimeOffsets=["1.5", "2.5"]),
            "SEGMENT 1.5, 2.5 s",
        ),
        (item("TCOORD", TemporalRangeType="POINT", ReferencedSamplePositions=[5]), "POINT sample 5"),
        (
            item("TCOORD", TemporalRangeType="POINT", ReferencedDateTime=["20250101101500"]),
            "POINT 2025-01-01 10:15:00",
        ),
    ],
)
def test_each_kind_of_content_item_says_what_it_has(one: Dataset, value: str) -> None:
    assert said(one) == value


def test_a_long_contour_says_how_long_it_is() -> None:
    text = said(item("SCOORD", GraphicType="POLYLINE", GraphicData=[1.0] * 200))
    assert text.endswith("… (100 points)")
    assert text.count("(1, 1)") == 16


def test_an_item_by_reference_says_which() -> None:
    one = item("TEXT", TextValue="as there")
    pointing = Dataset()
    pointing.RelationshipType, pointing.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 2]
    one.ContentSequence = [pointing]
    line = read_report(report(one))[0][2]
    assert (line.depth, line.relation, line.value) == (2, "inferred from", "item 1.2")


def test_dsrdump_says_the_same(tmp_path: Path) -> None:
    """Numbers, codes, references, coordinates and times, each as DCMTK has it in its line."""
    items = [
        measured("42.5", "mm", "UCUM", "millimeter"),
        measured(None, qualifier="Not a number"),
        item("IMAGE", ReferencedSOPSequence=reference(CTImageStorage, "1.9.1", ReferencedFrameNumber=[1, 3])),
        item("SCOORD", GraphicType="POLYLINE", GraphicData=[1, 2, 3.5, 4.25]),
        item("TCOORD", TemporalRangeType="SEGMENT", ReferencedTimeOffsets=["1.5", "2.5"]),
        item("UIDREF", UID="1.2.3.4"),
        item("PNAME", PersonName="Reader^Rosa"),
        item("CODE", ConceptCodeSequence=[code("T-1", "SRT", "Liver")]),
    ]
    items[3].ContentSequence = [
        item("IMAGE", "", "SELECTED FROM", ReferencedSOPSequence=reference(CTImageStorage, "1.9"))
    ]
    items[4].ContentSequence = [
        item(
            "WAVEFORM",
            "",
            "SELECTED FROM",
            ReferencedSOPSequence=reference(TwelveLeadECGWaveformStorage, "1.8"),
        )
    ]
    report(*items).save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    dumped = subprocess.run(
        [program("dsrdump"), "+Pl", "-Ee", "-Er", str(tmp_path / "sr.dcm")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    theirs = [line for line in dumped.splitlines() if line.strip().startswith("<")]
    ours = read_report(dcmread(tmp_path / "sr.dcm"))[0]
    assert len(theirs) == len(ours)
    for line, one in zip(theirs, ours, strict=True):
        assert line.strip().startswith(f"<{one.relation} " if one.relation else "<CONTAINER")
        assert not one.name or f'"{one.name}"' in line
    # What stands behind the equals sign, without codes: its numbers and words are all in ours.
    for place, parts in {
        1: ("42.5", "mm", "millimeter"),
        2: ("Not a number",),
        3: ("1", "3"),
        4: ("POLYLINE", "1", "2", "3.5", "4.25"),
        6: ("SEGMENT", "1.5", "2.5"),
        8: ("1.2.3.4",),
        9: ("Reader^Rosa",),
        10: ("Liver",),
    }.items():
        stated = theirs[place].partition(")=")[2]
        assert all(part in stated and part in ours[place].value for part in parts), theirs[place]


def test_an_empty_report_is_a_report_and_says_so() -> None:
    empty, without = report(), report()
    assert kind_of(empty) is Kind.REPORT
    assert [line.name for line in read_report(empty)[0]] == ["Report", ""]
    assert read_report(empty)[0][1].value == "the report has no content items"
    del without.ContentSequence
    assert kind_of(without) is Kind.REPORT
    assert len(read_report(without)[0]) == 2


def test_a_report_is_read_to_its_end_however_deep_it_is() -> None:
    innermost = item("TEXT", TextValue="deep")
    current = innermost
    for _ in range(5000):
        outer = item("CONTAINER")
        outer.ContentSequence = Sequence([current])
        current = outer
    made = report(current)
    lines = read_report(made)[0]
    assert (lines[-1].depth, lines[-1].value) == (5001, "deep")
    shown = shown_of(made, 0, None)
    assert isinstance(shown, Report)
    assert max(line["depth"] for line in message_of(shown)[0]["lines"]) == 100


def test_names_in_a_report_are_read_by_its_character_set(tmp_path: Path) -> None:
    name, text = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", b"\x1b$)A\xd5\xc5"
    made = report(item("PNAME", PersonName="-" * len(name)), item("TEXT", TextValue="+" * len(text)))
    made.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
    path = tmp_path / "sr.dcm"
    made.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"-" * len(name), name).replace(b"+" * len(text), text))
    assert [line.value for line in read_report(dcmread(path))[0]] == ["", "Zhang^XiaoDong=张^小东", "张"]


def test_text_that_does_not_fit_is_noted(tmp_path: Path) -> None:
    made = report(item("TEXT", TextValue="Gr-n"))
    made.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    (tmp_path / "sr.dcm").write_bytes((tmp_path / "sr.dcm").read_bytes().replace(b"Gr-n", b"Gr\xfcn"))
    shown = shown_of(dcmread(tmp_path / "sr.dcm"), 0, None)
    assert isinstance(shown, Report)
    assert shown.notes == ("its text has bytes that are none of ISO_IR 192",)
    assert message_of(shown)[0]["notes"] == list(shown.notes)


@pytest.mark.parametrize(
    "stated", [None, "", "application/pdf", "APPLICATION/PDF ", "application/pdf; x=y", "text/x"]
)
def test_a_pdf_is_one_whatever_is_said_of_it(stated: str | None) -> None:
    made = Dataset()
    made.SOPClassUID = EncapsulatedPDFStorage
    made.EncapsulatedDocument = b"%PDF-1.7 x\0"
    if stated is not None:
        made.MIMETypeOfEncapsulatedDocument = stated
    assert kind_of(made) is Kind.PDF
    assert encapsulated_pdf(made).startswith(b"%PDF-1.7")
    assert isinstance(shown_of(made, 0, None), Pdf)


def test_a_document_of_no_type_that_is_no_pdf_is_said() -> None:
    made = Dataset()
    made.EncapsulatedDocument, made.MIMETypeOfEncapsulatedDocument = b"<html>", ""
    assert kind_of(made) is Kind.NOTHING
    assert "does not say of which type it is" in why_no_picture(made)


def test_a_waveform_that_is_left_out_is_named() -> None:
    dataset = dcmread(TEST_FILES / "waveform_ecg.dcm")
    dataset.WaveformSequence[0].WaveformData = b"\0" * 10
    shown = shown_of(dataset, 0, None)
    assert isinstance(shown, Curves)
    assert len(shown.groups) == 1
    (note,) = message_of(shown)[0]["notes"]
    assert note.startswith("waveform 1 cannot be decoded")
