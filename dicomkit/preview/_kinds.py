"""What a viewer shows of an object, decided by what is in the data set, not by the name of its SOP Class."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dicomkit.dictionary.uids import uid_name
from dicomkit.preview._decoding import PIXEL_KEYWORDS
from dicomkit.preview._documents import is_pdf

if TYPE_CHECKING:
    from pydicom import Dataset


class Kind(StrEnum):
    """What a viewer shows."""

    IMAGE = "image"
    REPORT = "report"
    PDF = "pdf"
    WAVEFORM = "waveform"
    NOTHING = "nothing"


def kind_of(dataset: Dataset) -> Kind:
    """Return what a viewer shows of a data set.

    Returns
    -------
    Kind
    """
    if any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        return Kind.IMAGE
    if dataset.get("WaveformSequence"):
        return Kind.WAVEFORM
    if "EncapsulatedDocument" in dataset:
        return Kind.PDF if is_pdf(dataset) else Kind.NOTHING
    if "ValueType" in dataset or dataset.get("ContentSequence"):  # a report may be empty
        return Kind.REPORT
    return Kind.NOTHING


def why_no_picture(dataset: Dataset) -> str:
    """Return what the object is and why there is nothing to look at, in a sentence.

    Returns
    -------
    str
    """
    name = uid_name(str(dataset.get("SOPClassUID", ""))) or "An object without a SOP Class"
    if "EncapsulatedDocument" in dataset:
        kind = dataset.get("MIMETypeOfEncapsulatedDocument")
        said = f"of type {kind}" if kind else "that does not say of which type it is"
        return f"{name}: holds a document {said}, which is not shown; only PDF is."
    if "Rows" in dataset:
        return f"{name}: describes pixels and holds none; they may have been left out on purpose."
    return f"{name}: nothing to look at, no pixels, report, document or waveform. Its tags tell what it says."
