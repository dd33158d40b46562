"""What a viewer shows of an object, and those that are no pictures as text and numbers: PDF, and waveforms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import UnreadableError
from dicomkit.preview._decoding import PIXEL_KEYWORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_PDF_TYPE = "application/pdf"
_PDF_START = b"%PDF-"  # ISO 32000-1 7.5.2, anywhere in the first 1024 bytes by its annex H
_PDF_START_WITHIN = 1024


class Kind(StrEnum):
    """What a viewer shows."""

    IMAGE = "image"
    REPORT = "report"
    PDF = "pdf"
    WAVEFORM = "waveform"
    NOTHING = "nothing"


def kind_of(dataset: Dataset) -> Kind:
    """Return what a viewer shows of a data set: what is in it decides, not the name of its SOP Class.

    Returns
    -------
    Kind
    """
    if any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        return Kind.IMAGE
    if dataset.get("WaveformSequence"):
        return Kind.WAVEFORM
    if "EncapsulatedDocument" in dataset:
        return Kind.PDF if _is_pdf(dataset) else Kind.NOTHING
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


def _is_pdf(dataset: Dataset) -> bool:
    """Whether a data set says that it holds a PDF, or holds one whatever it says."""
    stated = str(dataset.get("MIMETypeOfEncapsulatedDocument") or "").partition(";")[0].strip().lower()
    if stated == _PDF_TYPE:
        return True
    document = dataset.get("EncapsulatedDocument")
    begins_so = isinstance(document, bytes) and _PDF_START in document[:_PDF_START_WITHIN]
    return begins_so or ("MIMETypeOfEncapsulatedDocument" not in dataset and document is not None)


def encapsulated_pdf(dataset: Dataset) -> bytes:
    """Return the PDF in a data set, without the byte that may have been added to make its length even.

    Returns
    -------
    bytes

    Raises
    ------
    UnreadableError
        It is no PDF.
    """
    document = bytes(dataset.get("EncapsulatedDocument") or b"")
    length = dataset.get("EncapsulatedDocumentLength")
    if isinstance(length, int) and 0 < length < len(document):
        document = document[:length]
    if _PDF_START not in document[:_PDF_START_WITHIN]:
        raise UnreadableError(
            f"the encapsulated document of {len(document)} bytes does not begin as a PDF does"
        )
    return document


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One multiplex group of a waveform object (PS3.3 C.10.9): `samples` are channels by samples, in their units."""

    name: str
    rate_hz: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    samples: NDArray[np.float32]

    def thinned(self, most: int) -> Waveform:
        """Return it with at most `most` samples a channel: the smallest and the largest of each stretch."""
        count = self.samples.shape[1]
        if count <= most:
            return self
        stretch = -(-count // (most // 2))
        whole = np.pad(self.samples, ((0, 0), (0, -count % stretch)), mode="edge")
        stretches = whole.reshape(len(whole), -1, stretch)
        ends = np.stack([stretches.min(axis=2), stretches.max(axis=2)], axis=2)
        return replace(self, rate_hz=self.rate_hz * 2 / stretch, samples=ends.reshape(len(whole), -1))


def read_waveforms(dataset: Dataset) -> tuple[list[Waveform], tuple[str, ...]]:
    """Return the curves of a data set, and for each group that is left out why it is.

    Returns
    -------
    tuple of list of Waveform, and tuple of str

    Raises
    ------
    UnreadableError
        None of them can be decoded.
    """
    found, problems = [], []
    for index in range(len(dataset.get("WaveformSequence") or [])):
        try:
            found.append(_waveform(dataset, index))
        except UnreadableError as error:
            problems.append(str(error))
    if problems and not found:
        raise UnreadableError("; ".join(problems))
    return found, tuple(problems)


def _waveform(dataset: Dataset, index: int) -> Waveform:
    from pydicom.waveforms.numpy_handler import multiplex_array

    group = dataset.WaveformSequence[index]
    channels = group.get("ChannelDefinitionSequence") or []
    try:
        samples = np.asarray(multiplex_array(dataset, index, as_raw=False), np.float32).T
        rate = float(group.SamplingFrequency)
    except Exception as error:  # noqa: BLE001 (pydicom raises whatever it meets, and may quote a patient)
        raise UnreadableError(
            f"waveform {index + 1} cannot be decoded ({type(error).__name__}); its description is at odds with its data"
        ) from None
    names = (
        str(
            one.get("ChannelLabel")
            or _code(one, "ChannelSourceSequence", "CodeMeaning")
            or f"Channel {number}"
        )
        for number, one in enumerate(channels, start=1)
    )
    units = (_code(one, "ChannelSensitivityUnitsSequence", "CodeValue") for one in channels)
    return Waveform(str(group.get("MultiplexGroupLabel", "")), rate, tuple(names), tuple(units), samples)


def _code(channel: Dataset, sequence: str, keyword: str) -> str:
    """Return what the first code of a sequence says, its value where it does not say that."""
    for code in channel.get(sequence) or []:
        return str(code.get(keyword) or code.get("CodeValue") or "")
    return ""
