"""The documents of the sample study: a structured report about the CT, and a letter as PDF.

A report is a tree of items, each a named value (PS3.3 section C.17.3), so a few functions build it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, EnhancedSRStorage

from data.make.abdomen import CYST_DIAMETER
from data.make.objects import code, new_object, reference_to
from data.make.pdf import one_page

__all__ = ["documents"]

_FINDINGS = (
    "Liver of normal size and enhancement. One round lesion of the right lobe, sharply outlined, of fluid "
    "attenuation and without enhancement.",
    "Gallbladder, spleen, pancreas, adrenals and both kidneys as painted. No free fluid.",
    "Gas and fluid level in the stomach, as the patient lies on her back.",
)
_IMPRESSION = "Simple cyst of the liver. No other finding in this phantom."
_LETTER = (
    "Patient: Phantom, Ada (DK-0001), who does not exist.",
    "Study: DK25-0314 of 14 March 2025, Synthetic Hospital.",
    "",
    f"CT of the abdomen: simple cyst of the liver, {CYST_DIAMETER:.0f} mm. MR of the head: nothing remarkable.",
    "Ultrasound of the heart: slight leak of the mitral valve.",
    "Bone scan: three foci, in a rib, a vertebra and the right femur.",
    "",
    "Drawn, counted and written by dicomkit. No person, patient or scanner was involved.",
)
# A cut through the abdomen in a few strokes: skin, spine, liver with its cyst, stomach.
_DRAWING = """0.75 w 0.35 0.35 0.40 RG
q 1 0 0 1 297 330 cm
0.94 0.90 0.84 rg -170 0 m -170 95 -90 120 0 120 c 90 120 170 95 170 0 c 170 -95 90 -120 0 -120 c
-90 -120 -170 -95 -170 0 c b
0.72 0.42 0.36 rg -135 10 m -135 80 -60 95 10 85 c 30 70 -10 45 -30 20 c -45 -10 -60 -80 -105 -70 c
-130 -55 -135 -20 -135 10 c b
0.55 0.75 0.90 rg -104 16 m -104 24 -98 30 -90 30 c -82 30 -76 24 -76 16 c -76 8 -82 2 -90 2 c -98 2 -104 8 -104 16 c b
0.90 0.78 0.62 rg 25 40 m 25 75 60 85 90 75 c 120 60 115 25 90 15 c 60 10 30 15 25 40 c b
0.97 0.97 0.94 rg -24 -62 m -24 -40 24 -40 24 -62 c 24 -84 -24 -84 -24 -62 c b
0.80 0.20 0.20 rg 2 -26 m 2 -18 18 -18 18 -26 c 18 -34 2 -34 2 -26 c b
Q
BT /F1 9 Tf 0.35 0.35 0.40 rg 231 190 Td (the cyst, in blue, where the report says) Tj ET"""


def documents(ct: FileDataset) -> Iterator[tuple[str, FileDataset]]:
    """Yield a relative path and the object for the report and the letter.

    Parameters
    ----------
    ct : FileDataset
        The slice that the report points at.
    """
    yield "sr-report/ct-report.dcm", _report(ct)
    yield "pdf-letter/letter.dcm", _letter()


def _item(value_type: str, relation: str | None, concept: Dataset | None) -> Dataset:
    item = Dataset()
    item.ValueType = value_type
    if relation:
        item.RelationshipType = relation
    if concept:
        item.ConceptNameCodeSequence = Sequence([concept])
    return item


def _text(relation: str, concept: Dataset, value: str) -> Dataset:
    item = _item("TEXT", relation, concept)
    item.TextValue = value
    return item


def _coded(relation: str, concept: Dataset, value: Dataset) -> Dataset:
    item = _item("CODE", relation, concept)
    item.ConceptCodeSequence = Sequence([value])
    return item


def _container(relation: str | None, concept: Dataset, children: list[Dataset]) -> Dataset:
    item = _item("CONTAINER", relation, concept)
    item.ContinuityOfContent, item.ContentSequence = "SEPARATE", Sequence(children)
    return item


def _image(relation: str, target: Dataset) -> Dataset:
    item = _item("IMAGE", relation, None)
    item.ReferencedSOPSequence = Sequence([reference_to(target)])
    return item


def _measurement(concept: Dataset, millimetres: float, children: list[Dataset]) -> Dataset:
    value = Dataset()
    value.NumericValue = f"{millimetres:.0f}"
    value.MeasurementUnitsCodeSequence = Sequence([code("mm", "UCUM", "mm")])
    item = _item("NUM", "CONTAINS", concept)
    item.MeasuredValueSequence = Sequence([value])
    item.ContentSequence = Sequence(children)
    return item


def _report(ct: FileDataset) -> FileDataset:
    """A basic diagnostic imaging report (PS3.16 TID 2000) with one measurement."""
    ds = new_object("sr", EnhancedSRStorage, "SR", 8, time="113000")
    ds.SeriesDescription, ds.InstanceNumber = "CT report", 1
    ds.ReferencedPerformedProcedureStepSequence = Sequence([])
    ds.CompletionFlag, ds.VerificationFlag, ds.PerformedProcedureCodeSequence = (
        "COMPLETE",
        "UNVERIFIED",
        Sequence([]),
    )

    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = (
        ct.SeriesInstanceUID,
        Sequence([reference_to(ct)]),
    )
    study.StudyInstanceUID, study.ReferencedSeriesSequence = ct.StudyInstanceUID, Sequence([series])
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study])

    observer = _item("PNAME", "HAS OBS CONTEXT", code("121008", "DCM", "Person Observer Name"))
    observer.PersonName = "Reader^Rosa"
    finding = code("121071", "DCM", "Finding")
    size = _measurement(
        code("103339001", "SCT", "Long Axis"),
        CYST_DIAMETER,
        [
            _coded(
                "HAS CONCEPT MOD", code("363698007", "SCT", "Finding Site"), code("10200004", "SCT", "Liver")
            ),
            _image("INFERRED FROM", ct),
        ],
    )
    root = _container(
        None,
        code("18748-4", "LN", "Diagnostic Imaging Report"),
        [
            _coded(
                "HAS CONCEPT MOD",
                code("121049", "DCM", "Language of Content Item and Descendants"),
                code("en", "RFC5646", "English"),
            ),
            _coded(
                "HAS OBS CONTEXT", code("121005", "DCM", "Observer Type"), code("121006", "DCM", "Person")
            ),
            observer,
            _container(
                "CONTAINS",
                code("121070", "DCM", "Findings"),
                [*(_text("CONTAINS", finding, text) for text in _FINDINGS), size, _image("CONTAINS", ct)],
            ),
            _container(
                "CONTAINS",
                code("121072", "DCM", "Impressions"),
                [_text("CONTAINS", code("121073", "DCM", "Impression"), _IMPRESSION)],
            ),
        ],
    )
    ds.update(root)
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2000"
    ds.ContentTemplateSequence = Sequence([template])
    return ds


def _letter() -> FileDataset:
    ds = new_object("pdf", EncapsulatedPDFStorage, "DOC", 9, time="140000")
    document = one_page("dicomkit sample study: a letter", _LETTER, _DRAWING)
    ds.SeriesDescription, ds.InstanceNumber, ds.ConversionType = "Letter", 1, "WSD"
    ds.DocumentTitle, ds.BurnedInAnnotation, ds.ConceptNameCodeSequence = (
        "Letter to the referrer",
        "YES",
        Sequence([]),
    )
    ds.AcquisitionDateTime = ""
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    # The value is padded to an even length; this says how much of it is the document (PS3.3 section C.24.2).
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\x00" * (len(document) % 2)
    return ds
