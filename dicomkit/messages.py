"""The messages that pass through a workflow, of which only a `DicomMessage` can be sent."""

from __future__ import annotations

import os
from base64 import b64encode
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import UnreadableError, file_name
from dicomkit.sources import (
    Instance,
    SourceChanged,
    SourceError,
    as_on_disk,
    is_dataset,
    look_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset, FileDataset

__all__ = ["BinaryMessage", "DicomMessage", "JsonMessage", "Message", "TextMessage", "XmlMessage"]


class Message:
    """What all messages have in common: `text`, the whole message as text."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def text(self) -> str: ...


class TextMessage(Message, Frozen):
    """Plain text; also what a sender answers with."""

    text: str


class JsonMessage(Message, Frozen):
    """JSON, as text; not parsed before somebody asks for a value in it."""

    text: str


class XmlMessage(Message, Frozen):
    """XML, as text; not parsed before somebody asks for a value in it."""

    text: str


class BinaryMessage(Message, Frozen):
    """Bytes of any kind; its text is their base64. DICOM bytes belong into a `DicomMessage` to be sent."""

    data: bytes

    @property
    def text(self) -> str:
        """The bytes in base64."""
        return b64encode(self.data).decode()


class DicomMessage(Message):
    """One SOP instance, by its path or by its bytes in the DICOM file format (PS3.10).

    Make one with `from_file`, `from_bytes` or `from_dataset`. It does not change: made from a Dataset, it is a picture
    of it as it was then, and a `dataset` of its own that is changed does not change it. Made from a file, it is
    whatever the file holds when it is read, which is when it is asked for.
    """

    __slots__ = ("_content", "_dataset", "_instance", "_source")

    def __init__(self, content: str | bytes, source: str) -> None:
        self._content = content
        self._dataset: FileDataset | None = None
        self._instance: Instance | None = None
        self._source = source

    @property
    def source(self) -> str:
        """The path, ``<bytes>`` or ``<dataset>``."""
        return self._source

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> DicomMessage:
        """Return the message in a file, which is read when it is needed and not here.

        Parameters
        ----------
        path : path
            May be missing or no DICOM: `instance` raises then, and `dicomkit.send` answers with ``unreadable``.

        Returns
        -------
        DicomMessage
            Of that file, under the path as its source.

        Raises
        ------
        TypeError
            It is no path.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path is of type {type(path).__name__}; it takes the path of a file")
        name = os.fsdecode(path)
        return cls(name, name)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> DicomMessage:
        """Return the message in the content of a DICOM file; what can still be written to is copied.

        Parameters
        ----------
        data
            All of the file: preamble, File Meta Information and data set.

        Returns
        -------
        DicomMessage
            Its source is ``<bytes>``.

        Raises
        ------
        TypeError
            They are no bytes.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data is of type {type(data).__name__}; it takes the bytes of a DICOM file")
        return cls(bytes(data), "<bytes>")

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> DicomMessage:
        """Return the message that a Dataset is now; what happens to the Dataset later is not part of it.

        It keeps the encoding that its ``file_meta`` names or it was read in, else Explicit VR Little Endian, and the
        File Meta Information is completed.

        Parameters
        ----------
        dataset
            Is encoded at once, and not changed.

        Returns
        -------
        DicomMessage
            Its source is ``<dataset>``.

        Raises
        ------
        UnreadableError
            It has no SOP Class or Instance UID, or pydicom cannot encode it.
        TypeError
            It is no Dataset.
        """
        if not is_dataset(dataset):
            raise TypeError(f"dataset is of type {type(dataset).__name__}; it takes a pydicom Dataset")
        from dicomkit.sources.part10 import encode_dataset

        return cls(encode_dataset(dataset), "<dataset>")

    @property
    def instance(self) -> Instance:
        """What a send needs to know of it; a file that changed since is looked at again, and its note says so.

        Raises
        ------
        UnreadableError
            It cannot be sent.
        """
        if self._instance is None:
            self._instance, self._dataset = look_at(self._content, self.source), None
            return self._instance
        try:
            self._instance.open().close()
        except SourceChanged:
            from dicomkit.sources.second_look import look_again

            self._instance, self._dataset = look_again(self._instance), None
        return self._instance

    @property
    def data(self) -> bytes:
        """The whole content in the DICOM file format, in memory; that of a file is read anew each time.

        Raises
        ------
        UnreadableError
            The file cannot be read.
        """
        if isinstance(self._content, bytes):
            return self._content
        try:
            with open(as_on_disk(self._content), "rb") as file:
                return file.read()
        except (OSError, ValueError) as error:
            raise SourceError.of_system(self.source, error) from error

    @property
    def dataset(self) -> FileDataset:
        """As pydicom reads it, once, and again when its file has changed.

        Raises
        ------
        UnreadableError
            The file cannot be read, or pydicom finds nothing in it.
        """
        if isinstance(self._content, str):
            # So that it is known when the file is another one by the time it is sent.
            with suppress(UnreadableError):
                _ = self.instance
        if self._dataset is None:
            from dicomkit.sources.dataset_reader import read_dataset

            with self._reading():
                self._dataset = read_dataset(self.data, source=self.source)
        return self._dataset

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Make whatever pydicom raises a SourceError, without the cause, which may quote a patient's values."""
        from dicomkit._support.pydicom_quiet import PYDICOM_QUIET

        try:
            with PYDICOM_QUIET:
                yield
        except UnreadableError:
            raise
        except Exception as error:  # noqa: BLE001 (pydicom raises whatever its parts raise)
            raise SourceError(self.source, f"pydicom cannot read it ({type(error).__name__})") from None

    @property
    def json(self) -> str:
        """In the DICOM JSON model (PS3.18 F), bulk data inline; a value that its VR forbids is left out.

        Raises
        ------
        UnreadableError
            pydicom cannot read it, or an element of it.
        """
        with self._reading():
            return self.dataset.to_json(suppress_invalid_tags=True)

    @property
    def xml(self) -> str:
        """In the Native DICOM Model (PS3.19 A.1), bulk data inline.

        Raises
        ------
        UnreadableError
            pydicom cannot read it, or an element of it.
        """
        from dicomkit.tags.native_xml import to_native_xml

        with self._reading():
            return to_native_xml(self.dataset)

    @property
    def base64(self) -> str:
        """The whole content in base64."""
        return b64encode(self.data).decode()

    @property
    def text(self) -> str:
        """The DICOM JSON model: a DICOM message is read and written by paths as JSON is."""
        return self.json

    def __repr__(self) -> str:
        return f"DicomMessage({file_name(self.source)!r})"

    def _repr_html_(self) -> str:
        """Show in a notebook what it is, and not of whom: neither the folder of its file nor anything of a patient."""
        from dicomkit._support.html import facts_table, marked, shown
        from dicomkit._support.quantities import in_bytes

        try:
            instance = self.instance
        except UnreadableError as error:
            return shown(facts_table("DicomMessage", {"Cannot be sent": marked("bad", str(error))}))
        facts = {
            "Source": file_name(instance.source),
            "SOP class": uid_name(instance.sop_class_uid),
            "SOP instance": instance.sop_instance_uid,
            "Modality": instance.modality or "",
            "Transfer syntax": uid_name(instance.transfer_syntax),
            "Data set": in_bytes(instance.length),
            "Note": marked("warning", instance.note) if instance.note else "",
        }
        return shown(facts_table("DicomMessage", facts))
