"""Messages: what they are made from, what they can be read as, and that they do not change."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import traceback
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicomkit import (
    BinaryMessage,
    DicomMessage,
    JsonMessage,
    TextMessage,
    UnreadableError,
    XmlMessage,
    look_at,
)
from dicomkit.dictionary.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.messages import Message
from tests.sources.test_instances import PYDICOM, data_set_of
from tests.support.files import ct_instance
from tests.support.peers import program

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize("thing", [None, 5, 1.5, [1], object(), {"a": 1}])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (DicomMessage.from_file, "path"),
        (DicomMessage.from_bytes, "data"),
        (DicomMessage.from_dataset, "dataset"),
    ],
)
def test_a_message_of_the_wrong_type_says_what_it_takes(make: Any, name: str, thing: object) -> None:
    with pytest.raises(TypeError, match=f"^{name} is of type {type(thing).__name__}; it takes "):
        make(thing)


def sample(name: str) -> Path:
    return next(PYDICOM.rglob(name))


def made_from_nothing() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3"
    dataset.PatientName = "Doe^Jane"
    dataset.Rows = 2
    return dataset


# Made ---------------------------------------------------------------------------------------------------------------


def test_a_message_is_made_from_a_file_its_bytes_or_its_dataset(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(ct_instance())
    by_file = DicomMessage.from_file(path)
    by_bytes = DicomMessage.from_bytes(bytearray(ct_instance()))
    by_dataset = DicomMessage.from_dataset(pydicom.dcmread(path))
    assert [message.source for message in (by_file, by_bytes, by_dataset)] == [
        str(path),
        "<bytes>",
        "<dataset>",
    ]
    for message in (by_file, by_bytes, by_dataset):
        assert data_set_of(message.instance) == data_set_of(look_at(path))
        assert message.dataset == by_file.dataset
    assert by_file.data == by_bytes.data == ct_instance()
    assert base64.b64decode(by_file.base64) == ct_instance()


def test_a_file_is_not_read_before_it_is_needed() -> None:
    message = DicomMessage.from_file("gone.dcm")
    assert message.source == "gone.dcm"
    for attribute in ("instance", "dataset", "data", "json", "xml", "base64", "text"):
        with pytest.raises(
            UnreadableError, match=r"^gone\.dcm: there is no such file or folder; check the path$"
        ):
            getattr(message, attribute)


def test_what_is_no_dicom_has_no_dataset(tmp_path: Path) -> None:
    for content in (b"", b"\x08\0" * 3):
        with pytest.raises(UnreadableError):
            _ = DicomMessage.from_bytes(content).instance
    with pytest.raises(UnreadableError, match="not DICOM"):
        _ = DicomMessage.from_bytes(b"").dataset


def test_a_dataset_from_nothing_becomes_explicit_little_endian_with_file_meta() -> None:
    message = DicomMessage.from_dataset(made_from_nothing())
    assert (message.instance.transfer_syntax, message.instance.note) == (EXPLICIT_LE, "")
    read = pydicom.dcmread(DicomBytesIO(message.data))  # without force: it is a DICOM file
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == "1.2.3"


@pytest.mark.parametrize(
    ("syntax", "expected"), [(ImplicitVRLittleEndian, IMPLICIT_LE), (ExplicitVRBigEndian, EXPLICIT_BE)]
)
def test_a_dataset_keeps_the_encoding_it_was_read_in(syntax: pydicom.uid.UID, expected: str) -> None:
    first = made_from_nothing()
    first.file_meta = FileMetaDataset()
    first.file_meta.TransferSyntaxUID = syntax
    dataset = pydicom.dcmread(DicomBytesIO(DicomMessage.from_dataset(first).data))
    del dataset.file_meta
    dataset.PatientName = "Changed"
    message = DicomMessage.from_dataset(dataset)
    assert message.instance.transfer_syntax == expected
    assert message.dataset.PatientName == "Changed"


def test_making_a_message_does_not_change_the_dataset() -> None:
    dataset = pydicom.dcmread(sample("CT_small.dcm"))
    dataset.SOPInstanceUID = "1.2.3"
    before = (dataset.to_json(), str(dataset.file_meta), dataset.preamble)
    message = DicomMessage.from_dataset(dataset)
    assert (dataset.to_json(), str(dataset.file_meta), dataset.preamble) == before
    assert (message.instance.sop_instance_uid, message.instance.note) == ("1.2.3", "")


def test_a_message_is_what_its_dataset_was_when_it_was_made() -> None:
    dataset = made_from_nothing()
    message = DicomMessage.from_dataset(dataset)
    dataset.PatientName = "Other"
    message.dataset.PatientName = "Another"
    again = DicomMessage.from_bytes(message.data)
    assert again.dataset.PatientName == "Doe^Jane"
    with pytest.raises(AttributeError):
        message.source = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_a_dataset_without_uids_is_refused_with_what_to_set(keyword: str) -> None:
    dataset = made_from_nothing()
    del dataset[keyword]
    with pytest.raises(UnreadableError, match=f"<dataset>: it has no {keyword}; set that before it is sent"):
        DicomMessage.from_dataset(dataset)


def test_compressed_pixels_need_a_transfer_syntax() -> None:
    dataset = made_from_nothing()
    dataset.PixelData = pydicom.encaps.encapsulate([b"ab"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(
        UnreadableError, match=r"compressed and nothing says how; set file_meta\.TransferSyntaxUID"
    ):
        DicomMessage.from_dataset(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    assert DicomMessage.from_dataset(dataset).instance.transfer_syntax == JPEGBaseline8Bit


def test_an_error_of_pydicom_quotes_no_patient() -> None:
    dataset = made_from_nothing()
    dataset.add_new(0x00101010, "IS", "4")
    dataset[0x00101010]._value = "SECRET^NAME"
    dataset.add_new(0x00020010, "LO", "SECRET")
    with pytest.raises(UnreadableError, match="pydicom cannot encode it") as caught:
        DicomMessage.from_dataset(dataset)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_an_element_that_pydicom_cannot_read_quotes_no_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    content = ct_instance().replace(b"\x10\0\x20\0LO\x08\0PHANTOM1", b"\x10\0\x20\0IS\x08\0PHANTOM1")
    path = tmp_path / "Doe^Jane" / "0.dcm"
    path.parent.mkdir()
    path.write_bytes(content.replace(b"\x18\0\x60\0DS", b"\x18\0\x60\0ZZ"))
    assert "PHANTOM1" not in DicomMessage.from_file(path).json  # left out, as its VR forbids it
    with pytest.raises(UnreadableError, match=r"^0\.dcm: pydicom cannot read it \(\w+Error\)$") as caught:
        DicomMessage.from_file(path).xml  # noqa: B018
    assert not caplog.records
    assert not recwarn.list
    assert "PHANTOM1" not in "".join(traceback.format_exception(caught.value))


# Read as something else ---------------------------------------------------------------------------------------------


def test_json_is_the_dicom_json_model() -> None:
    message = DicomMessage.from_file(sample("CT_small.dcm"))
    parsed = json.loads(message.json)
    assert parsed["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert "00020010" not in parsed
    assert Dataset.from_json(message.json)["PixelData"].value == message.dataset["PixelData"].value
    assert message.text == message.json


def flattened(root: ElementTree.Element, *, words_swapped: bool) -> list[tuple[str, ...]]:
    """Every leaf of a Native DICOM Model with the path that leads to it; numbers as numbers.

    Specific Character Set is left out: dcm2xml adds it where there is none.
    """
    leaves = []

    def descend(node: ElementTree.Element, path: tuple[str, ...], vr: str) -> None:
        name = node.tag.rsplit("}", 1)[-1]
        here = (*path, name, *(f"{key}={node.get(key)}" for key in ("tag", "vr", "number") if node.get(key)))
        vr = node.get("vr", vr)
        if name == "DicomAttribute":
            here += (f"creator={(node.get('privateCreator') or '').strip()}",)
            if len(node) == 0:
                leaves.append(here)
        for child in node:
            descend(child, here, vr)
        if len(node) == 0 and name != "DicomAttribute":
            text = node.text or ""
            if vr in ("FL", "FD", "DS", "IS") and text.strip():
                text = repr(float(np.float32(float(text))))
            if name == "InlineBinary" and vr == "OW" and words_swapped:
                text = base64.b64encode(
                    np.frombuffer(base64.b64decode(text), "<u2").byteswap().tobytes()
                ).decode()
            leaves.append((*here, text.strip()))

    descend(root, (), "")
    return [leaf for leaf in leaves if "tag=00080005" not in leaf]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "CT_small.dcm",
            "MR_small.dcm",
            "MR_small_implicit.dcm",
            "test-SR.dcm",
            "reportsi.dcm",
            "rtplan.dcm",
        ),
        *(
            "chrFrenMulti.dcm",
            "chrRuss.dcm",
            "chrArab.dcm",
            "SC_rgb_small_odd.dcm",
        ),
        "MR_small_bigendian.dcm",
    ],
)
def test_xml_says_what_dcmtk_says(name: str) -> None:
    path = sample(name)
    command = [
        program("dcm2xml"),
        "--native-format",
        "--encode-base64",
        "--convert-to-utf8",
        "--load-all",
        str(path),
    ]
    theirs = subprocess.run(command, capture_output=True, check=True).stdout
    ours = DicomMessage.from_file(path).xml
    assert flattened(ElementTree.fromstring(ours), words_swapped=False) == flattened(
        ElementTree.fromstring(theirs),
        words_swapped=True,  # DCMTK 3.6.7 writes words big endian, and PS3.19 wants them little
    )


def test_xml_has_the_parts_of_a_name_and_keeps_their_scripts() -> None:
    root = ElementTree.fromstring(DicomMessage.from_file(sample("chrH31.dcm")).xml)
    name = root.find("./DicomAttribute[@keyword='PatientName']/PersonName")
    assert name is not None
    assert name.findtext("Alphabetic/FamilyName") == "Yamada"
    assert name.findtext("Ideographic/GivenName") == "太郎"
    assert name.findtext("Phonetic/FamilyName") == "やまだ"


def test_xml_is_well_formed_whatever_the_text() -> None:
    dataset = made_from_nothing()
    dataset.PatientComments = "a \x1b[1m \x00 <&> \ud800 \ufffe"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    from dicomkit.tags.native_xml import to_native_xml

    root = ElementTree.fromstring(to_native_xml(dataset))
    text = root.findtext("./DicomAttribute[@keyword='PatientComments']/Value")
    assert text is not None
    assert re.fullmatch(r"a \ufffd\[1m \ufffd <&> \ufffd \ufffd", text)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_test_file_of_pydicom_that_can_be_sent_can_be_read_as_json_and_xml() -> None:
    failed = {}
    for path in sorted(PYDICOM.rglob("*.dcm")):
        message = DicomMessage.from_file(path)
        try:
            _ = message.instance
        except UnreadableError:
            continue
        try:
            ElementTree.fromstring(message.xml)
            json.loads(message.json)
        except Exception as error:  # noqa: BLE001 (all of them, to be shown together)
            failed[path.name] = repr(error)
    assert failed == {}


# Shown --------------------------------------------------------------------------------------------------------------


def test_a_notebook_shows_what_it_is_and_not_who_it_is() -> None:
    html = DicomMessage.from_file(sample("CT_small.dcm"))._repr_html_()
    assert "CT Image Storage" in html
    assert "39 KB" in html
    assert "CompressedSamples" not in html
    assert "&lt;bytes&gt;: not DICOM" in DicomMessage.from_bytes(b"<b>")._repr_html_()
    assert repr(DicomMessage.from_bytes(b"")) == "DicomMessage('<bytes>')"


def test_the_other_messages_are_their_text() -> None:
    for kind in (TextMessage, JsonMessage, XmlMessage):
        message = kind("{}")
        assert (message.text, isinstance(message, Message), isinstance(message, DicomMessage)) == (
            "{}",
            True,
            False,
        )
        assert message == kind(text="{}")
        with pytest.raises(AttributeError):
            message.text = "other"  # type: ignore[misc]
    assert BinaryMessage(b"\0\1").text == "AAE="
    assert TextMessage("{}") != JsonMessage("{}")


def test_reading_a_message_warns_of_nothing_on_an_ordinary_file() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = DicomMessage.from_bytes(ct_instance())
        _ = message.xml, message.json, message.instance
