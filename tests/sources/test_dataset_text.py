"""Datasets as objects: what was only looked at keeps its bytes, and text that does not fit is named, not replaced.

The judge is pydicom's reading of raw elements: bytes before any decoding.
"""

from __future__ import annotations

import copy
import pickle
import struct
import traceback
import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicomkit import UnreadableError, look_at
from dicomkit.dictionary.uids import IMPLICIT_LE
from dicomkit.sources import SourceError
from dicomkit.sources.part10 import encode_dataset
from tests.sources.test_instances import IDENTITY, ITEM, corpus, data_set_of, element, part10, sequence

KANJI = "\u5c71\u7530^\u592a\u90ce"
KATAKANA = b"\xd4\xcf CT "

pytestmark = pytest.mark.filterwarnings("ignore")


def sent(dataset: Dataset) -> bytes:
    return data_set_of(look_at(encode_dataset(dataset)))


def made(**values: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def look_everywhere(dataset: Dataset) -> None:
    """As a notebook does that shows it, or a filter that asks for values."""
    for _ in dataset.iterall():
        pass
    str(dataset)


def character_set(*names: str) -> bytes:
    text = "\\".join(names).encode()
    return element(0x00080005, "CS", text + b" " * (len(text) % 2))


# Only looked at -------------------------------------------------------------------------------------------------------

ODD_VALUES = {
    "katakana": character_set("ISO_IR 13") + IDENTITY + element(0x00081030, "LO", KATAKANA),
    "not its character set": character_set("ISO_IR 192") + IDENTITY + element(0x00081030, "LO", b"\xff\xfe"),
    "no character set": IDENTITY + element(0x00081030, "LO", b"M\xfcller"),
    "a designation twice": character_set("", "ISO 2022 IR 87")
    + IDENTITY
    + element(0x00081030, "LO", b"\x1b$B;3\x1b(B\x1b$BED\x1b(B"),
    "padding": IDENTITY + element(0x00100020, "LO", b" ID1  \0"[:6]) + element(0x00200010, "SH", b"\0\0"),
    "a UID": element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7 ")
    + element(0x00080018, "UI", b"1.2.3.4\n"),
    "numbers": IDENTITY + element(0x00200013, "IS", b"007 ") + element(0x00281050, "DS", b"+1.0e1"),
    "a signalling NaN": IDENTITY + element(0x00189073, "FD", b"\1\0\0\0\0\0\xf0\x7f"),
    "items": IDENTITY + sequence(element(0x00080104, "LO", b"M\xfcller")),
    "an item's own character set": IDENTITY
    + sequence(character_set("ISO_IR 13") + element(0x00080104, "LO", KATAKANA)),
    "a sequence with lengths": IDENTITY
    + element(
        0x00081140,
        "SQ",
        ITEM
        + (22).to_bytes(4, "little")
        + element(0x00080000, "UL", bytes(4))
        + element(0x00080104, "LO", b"\xfc "),
    ),
}


@pytest.mark.parametrize("name", ODD_VALUES)
@pytest.mark.parametrize("is_file", [True, False])
def test_what_was_looked_at_goes_out_with_its_bytes(tmp_path: Path, name: str, is_file: bool) -> None:
    content = part10(ODD_VALUES[name])
    path = tmp_path / "one.dcm"
    path.write_bytes(content)
    dataset = dcmread(path if is_file else BytesIO(content))
    look_everywhere(dataset)
    assert sent(dataset) == ODD_VALUES[name]


def is_instance(path: Path) -> bool:
    try:
        look_at(path)
    except UnreadableError:
        return False
    return True


@pytest.mark.parametrize("path", filter(is_instance, corpus()), ids=lambda path: path.name)
def test_looking_changes_no_byte_of_what_is_sent(path: Path) -> None:
    untouched, looked_at = dcmread(path, force=True), dcmread(path, force=True)
    expected = sent(untouched)
    look_everywhere(looked_at)
    assert sent(looked_at) == expected


def test_making_the_bytes_looks_at_nothing() -> None:
    dataset = dcmread(BytesIO(part10(ODD_VALUES["padding"])))
    encode_dataset(dataset)
    assert dataset.get_item("PatientID").is_raw
    assert dataset.get_item("SOPInstanceUID").is_raw


@pytest.mark.parametrize("name", ["katakana", "no character set"])
@pytest.mark.parametrize(
    "detach",
    [
        copy.deepcopy,
        lambda dataset: pickle.loads(pickle.dumps(dataset)),
        lambda dataset: dataset.buffer.close(),
    ],
)
def test_a_dataset_whose_source_is_gone_keeps_what_its_values_say(name: str, detach: object) -> None:
    dataset = dcmread(BytesIO(part10(ODD_VALUES[name])))
    look_everywhere(dataset)
    assert callable(detach)
    assert sent(detach(dataset) or dataset) == ODD_VALUES[name]


def test_what_could_not_be_decoded_and_is_gone_is_unreadable() -> None:
    dataset = dcmread(BytesIO(part10(ODD_VALUES["not its character set"])))
    look_everywhere(dataset)
    dataset.buffer.close()
    with pytest.raises(UnreadableError, match="StudyDescription has characters"):
        encode_dataset(dataset)


def test_a_value_that_was_changed_is_sent_changed() -> None:
    dataset = dcmread(BytesIO(part10(ODD_VALUES["katakana"])))
    dataset.StudyDescription = "\uff94\uff8f MR"
    assert sent(dataset).endswith(b"\x08\x000\x10LO\x06\x00\xd4\xcf MR ")
    dataset = dcmread(BytesIO(part10(ODD_VALUES["items"])))
    dataset.ReferencedImageSequence[0].CodeMeaning = "Other"
    assert b"Other " in sent(dataset)
    dataset = dcmread(BytesIO(part10(ODD_VALUES["numbers"])))
    dataset.RescaleIntercept = "10.00"
    dataset.WindowCenter = "10.00"
    assert b"10.00 " in sent(dataset)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_another_syntax_changes_no_text(syntax: pydicom.uid.UID) -> None:
    dataset = dcmread(BytesIO(part10(ODD_VALUES["a designation twice"])))
    dataset.file_meta.TransferSyntaxUID = syntax
    read = dcmread(BytesIO(encode_dataset(dataset)))
    assert read.get_item("StudyDescription").value == b"\x1b$B;3\x1b(B\x1b$BED\x1b(B"


# Text that does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "charset", [None, "ISO_IR 100", "ISO_IR 13", ["", "ISO 2022 IR 149"], ["ISO_IR 13", "ISO 2022 IR 149"]]
)
@pytest.mark.parametrize(
    "keyword",
    [
        "PatientName",
        "StudyDescription",
        "PatientComments",
        "AccessionNumber",
        "TextValue",
        "CommentsOnThePerformedProcedureStep",
    ],
)
def test_text_that_does_not_fit_is_unreadable_and_named(charset: object, keyword: str) -> None:
    dataset = made(**{keyword: "\u0e01 a secret"})
    if charset:
        dataset.SpecificCharacterSet = charset
    nested = made(
        ReferencedImageSequence=Sequence([Dataset(), made(ReferencedImageSequence=Sequence([dataset]))])
    )
    if charset:
        nested.SpecificCharacterSet = charset
    for one in (dataset, nested):
        with pytest.raises(UnreadableError, match=f"its {keyword} has characters .*'ISO_IR 192'") as caught:
            encode_dataset(one)
        assert "secret" not in "".join(traceback.format_exception(caught.value))
        assert isinstance(caught.value, SourceError)
        assert caught.value.header is not None
        assert caught.value.header.sop_instance_uid == "1.2.3.4"


def test_the_character_set_of_an_item_is_its_own() -> None:
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientName = KANJI
    assert KANJI.encode() in sent(made(ReferencedImageSequence=Sequence([item])))
    del item.SpecificCharacterSet
    with pytest.raises(UnreadableError, match="its PatientName has"):
        encode_dataset(made(ReferencedImageSequence=Sequence([item])))
    assert KANJI.encode() in sent(
        made(SpecificCharacterSet="ISO_IR 192", ReferencedImageSequence=Sequence([item]))
    )


def test_umlauts_need_a_character_set() -> None:
    with pytest.raises(UnreadableError, match="its PatientName has"):
        encode_dataset(made(PatientName="M\xfcller"))
    with pytest.raises(UnreadableError, match="its StudyID has"):
        encode_dataset(made(SpecificCharacterSet=["", "ISO 2022 IR 87"], StudyID="\u65e5\xfc"))
    read = dcmread(BytesIO(part10(IDENTITY)))
    read.PatientName = "M\xfcller"
    with pytest.raises(UnreadableError, match="its PatientName has"):
        encode_dataset(read)
    assert b"M\xfcller" in sent(made(SpecificCharacterSet="ISO_IR 100", PatientName="M\xfcller"))


def test_a_name_that_pydicom_wrote_before_is_encoded_anew() -> None:
    dataset = made(PatientName=KANJI)
    dataset.save_as(BytesIO(), implicit_vr=False, little_endian=True)  # pydicom keeps what it wrote: ??^??
    with pytest.raises(UnreadableError, match="its PatientName has"):
        encode_dataset(dataset)


def test_other_values_that_do_not_fit_are_named_too() -> None:
    dataset = made(Rows=1)
    dataset["Rows"]._value = 70_000
    with pytest.raises(UnreadableError, match="pydicom cannot encode its Rows"):
        encode_dataset(dataset)
    dataset = made(Modality="CT")
    dataset["Modality"]._value = "\u0416"
    with pytest.raises(UnreadableError, match="its Modality has characters"):
        encode_dataset(dataset)


def test_compressed_pixels_are_not_written_as_if_they_were_none() -> None:
    dataset = made(PixelData=pydicom.encaps.encapsulate([b"ab"]))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with pytest.raises(
        UnreadableError, match=r"its Pixel Data is compressed, but .* Explicit VR Little Endian"
    ):
        encode_dataset(dataset)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    assert sent(dataset).endswith(b"ab" + b"\xfe\xff\xdd\xe0" + bytes(4))


SETS = {
    ("",): "abc ",
    ("ISO_IR 100",): "a\xe9\xfc ",
    ("ISO_IR 101",): "a\u0141\u0159",
    ("ISO_IR 144",): "a\u0416\u0434",
    ("ISO_IR 126",): "a\u03a9\u03c9",
    ("ISO_IR 127",): "a\u0627\u0628",
    ("ISO_IR 138",): "a\u05d0\u05d1",
    ("ISO_IR 148",): "a\u015f\u011f",
    ("ISO_IR 166",): "a\u0e01\u0e02",
    ("ISO_IR 13",): "aB \uff94\uff8f",
    ("ISO_IR 192",): "a\u5c71\u0416\U0001f600",
    ("GB18030",): "a\u5c71\u7530\u0416",
    ("GBK",): "a\u5c71\u7530",
    ("", "ISO 2022 IR 87"): "a\u5c71\u7530",
    ("", "ISO 2022 IR 159"): "a\u4e02\u4e04",
    ("ISO 2022 IR 13", "ISO 2022 IR 87"): "aB\uff94\uff8f\u5c71\u7530",
    ("", "ISO 2022 IR 149"): "a\uae40\ud76c",
    ("", "ISO 2022 IR 58"): "a\u738b\u5c0f",
    ("ISO 2022 IR 100", "ISO 2022 IR 144"): "a\xe9\u0416\u0434",
}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_text_that_is_sent_reads_as_what_it_was(data: st.DataObject) -> None:
    sets = data.draw(st.sampled_from(sorted(SETS)))
    text = data.draw(
        st.text(st.sampled_from(SETS[sets] + "?^=\n") | st.characters(max_codepoint=0x2FF), max_size=12)
    )
    text = text.replace("\\", "").replace("\0", "").replace("\x1b", "").strip()
    dataset = made(
        SpecificCharacterSet=list(sets), StudyComments=text, PatientComments=text, PatientName="a" + text
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content = encode_dataset(dataset)
        except UnreadableError as error:
            assert "has characters that its Specific Character Set" in str(error)
            assert not set(text) <= set(SETS[sets] + "?\n"), "what each of the sets has can be sent"
            return
        read = dcmread(BytesIO(content))
        assert str(read.get("PatientComments") or "") == text.rstrip()
        assert str(read.PatientName).rstrip("=") == ("a" + text).rstrip("=").rstrip()


def test_what_was_read_in_big_endian_goes_out_so() -> None:
    dataset = made(Rows=258, PatientName="A^B")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    first = encode_dataset(dataset)
    read = dcmread(BytesIO(first))
    look_everywhere(read)
    assert encode_dataset(read) == first
    assert struct.pack(">H", 258) in sent(read)
    read.file_meta.TransferSyntaxUID = pydicom.uid.UID(IMPLICIT_LE)
    assert struct.pack("<H", 258) in sent(read)
