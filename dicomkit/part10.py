"""A pydicom Dataset as the content of a DICOM file (PS3.10), without changing the Dataset.

The data set keeps the encoding it was read in, and gets the File Meta Information it lacks.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from dicomkit.content import SourceError
from dicomkit.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["encode_dataset", "is_dataset"]


def is_dataset(thing: object) -> bool:
    """Tell whether something is a pydicom Dataset, without importing pydicom: whoever has one, has."""
    return any(
        kind.__name__ == "Dataset" and kind.__module__ == "pydicom.dataset" for kind in type(thing).__mro__
    )


def encode_dataset(dataset: Dataset) -> bytes:
    """Encode a Dataset in the DICOM file format.

    Its transfer syntax is that of its ``file_meta``; without one, the encoding it was read in; and for one that was
    made from nothing, Explicit VR Little Endian. The File Meta Information is made to agree with the data set.

    Raises
    ------
    UnreadableError
        It cannot be encoded, or says nowhere which SOP instance it is.
    """
    from copy import copy, deepcopy

    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import dcmwrite
    from pydicom.uid import UID

    from dicomkit.quiet import PYDICOM_QUIET

    meta = deepcopy(getattr(dataset, "file_meta", None)) or FileMetaDataset()
    if not meta.get("TransferSyntaxUID"):
        meta.TransferSyntaxUID = UID(_syntax_of(dataset))
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        value = dataset.get(keyword) or meta.get("MediaStorage" + keyword)
        if not value:
            raise SourceError("<dataset>", f"it has no {keyword}; set that before it is sent")
        setattr(meta, "MediaStorage" + keyword, value)
    fit = copy(dataset)
    fit.file_meta = meta
    content = BytesIO()
    try:
        with PYDICOM_QUIET:
            dcmwrite(content, fit, enforce_file_format=True)
    except Exception as error:  # noqa: BLE001 (pydicom raises whatever its parts raise, and may quote a patient)
        raise SourceError("<dataset>", f"pydicom cannot encode it ({type(error).__name__})") from None
    return content.getvalue()


def _syntax_of(dataset: Dataset) -> str:
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        raise SourceError(
            "<dataset>", "its Pixel Data is compressed and nothing says how; set file_meta.TransferSyntaxUID"
        )
    syntaxes = {(True, True): IMPLICIT_LE, (False, False): EXPLICIT_BE}
    return syntaxes.get(dataset.original_encoding, EXPLICIT_LE)  # type: ignore[arg-type]
