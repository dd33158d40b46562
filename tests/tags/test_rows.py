"""A data set as rows: what is listed, what it says, who it tells about, and how two of them differ."""

from __future__ import annotations

import warnings
from copy import deepcopy
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from dicomkit.dictionary.identifying import action_words, profile_action
from dicomkit.samples import sample_folder
from dicomkit.tags import (
    Pair,
    TagRow,
    children,
    difference,
    element_of,
    find_rows,
    groups,
    has_children,
    hex_dump,
    keyword,
    meaning,
    name,
    one_line,
    pair_children,
    pair_groups,
    search_text,
    tag_text,
    value,
    value_bytes,
    vr,
)

SAMPLES = sorted(sample_folder().rglob("*.dcm"))
ODD_FILES = sorted(Path(pydicom.__file__).parent.joinpath("data", "test_files").glob("*.dcm"))
SPINE = next(path for path in SAMPLES if "private" in path.name)


def rows_of(dataset: Dataset) -> dict[str, TagRow]:
    return {row.key: row for row in find_rows(dataset)}


def row_of(dataset: Dataset, tag: int) -> TagRow:
    return rows_of(dataset)[f"data/{tag:08x}"]


def pairs_of(left: Dataset, right: Dataset) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    waiting = pair_groups(left, right)
    while waiting:
        pair = waiting.pop()
        found[pair.row.key] = pair
        waiting.extend(pair_children(pair))
    return found


def differences(left: Dataset, right: Dataset) -> dict[str, str]:
    said = {
        key: difference(pair) for key, pair in pairs_of(left, right).items() if pair.row.kind == "element"
    }
    return {key: one for key, one in said.items() if one}


# What is listed


def test_file_meta_is_a_group_of_its_own_before_the_data_set() -> None:
    assert [tag_text(row) for row in groups(dcmread(SPINE))] == ["File Meta Information", "Data Set"]
    assert [row.key for row in groups(Dataset())] == ["data"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_python_expression_of_every_row_leads_to_it(path: Path) -> None:
    dataset = dcmread(path)
    for row in find_rows(dataset):
        found = eval(row.expression, {"dataset": dataset})
        if row.kind == "element":
            element = row.holder[Tag(row.tag)]
            assert getattr(found, "value", found) == element.value
        else:
            assert found is row.holder


def test_elements_stand_in_the_order_of_their_tags_and_items_in_their_own() -> None:
    dataset = Dataset()
    dataset.PatientName = "A"
    dataset.ReferencedImageSequence = Sequence([Dataset(), Dataset()])
    data = groups(dataset)[0]
    assert [tag_text(row) for row in children(data)] == ["(0008,1140)", "(0010,0010)"]
    assert [tag_text(row) for row in children(children(data)[0])] == ["Item 1", "Item 2"]


def test_an_empty_sequence_has_nothing_under_it() -> None:
    dataset = Dataset()
    dataset.ReferencedImageSequence = Sequence()
    row = row_of(dataset, 0x00081140)
    assert not has_children(row)
    assert value(row) == ("0 items", True)


def test_listing_a_level_does_not_touch_what_is_under_it() -> None:
    dataset = dcmread(next(path for path in SAMPLES if "report" in path.name))
    raw = [tag for tag in dataset.keys() if isinstance(dataset.get_item(tag), RawDataElement)]  # noqa: SIM118
    children(groups(dataset)[1])
    assert all(isinstance(dataset.get_item(tag), RawDataElement) for tag in raw)


@pytest.mark.parametrize("path", [*SAMPLES, *ODD_FILES], ids=lambda path: path.stem)
def test_every_row_of_any_file_says_something_and_warns_of_nothing(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path, force=True, defer_size=1024)
        except (OSError, ValueError, EOFError, NotImplementedError) as error:
            pytest.skip(f"pydicom does not read it: {type(error).__name__}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = list(find_rows(dataset))
        said = [(tag_text(row), name(row), vr(row), value(row), search_text(row)) for row in rows]
    assert len({row.key for row in rows}) == len(rows) == len(said)


# What a row says


def test_private_elements_are_named_by_their_creator() -> None:
    rows = rows_of(dcmread(SPINE))
    assert keyword(rows["data/00290010"]) == "Private Creator"
    assert keyword(rows["data/00291001"]) == "DICOMKIT SAMPLE 1.0: 01"
    nested = [row for row in rows.values() if row.key.startswith("data/00291005/0/0029")]
    assert next(keyword(row) for row in nested) == "Private Creator"


def test_private_elements_that_are_known_are_named_in_full() -> None:
    dataset = Dataset()
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x08, "CS", "IMAGE NUM 4")
    assert name(row_of(dataset, 0x00291008)) == "SIEMENS CSA HEADER: CSA Image Header Type"


def test_a_private_element_without_its_creator_says_so() -> None:
    dataset = Dataset()
    dataset.add_new(0x00291008, "LO", "x")
    assert name(row_of(dataset, 0x00291008)) == "Private, creator missing"


@pytest.mark.parametrize(
    ("tag", "vr_", "stored", "said"),
    [
        (0x7FE00010, "OW", b"\0" * 524288, "<524288 bytes>"),
        (0x00020001, "OB", b"\0\1", "00 01"),
        (0x00091001, "UN", b"TEXT ", "TEXT"),
        (0x00091001, "UN", b"", ""),
        (0x00080008, "CS", ["ORIGINAL", "PRIMARY"], "ORIGINAL\\PRIMARY"),
        (0x00280030, "DS", ["0.50", "0.5"], "0.50\\0.5"),
        (0x00100010, "PN", "Yamada^Tarou=山田^太郎", "Yamada^Tarou=山田^太郎"),
        (0x00280009, "AT", 0x00181063, "(0018,1063)"),
        (0x00280009, "AT", [0x00181063, 0x00181065], "(0018,1063)\\(0018,1065)"),
        (0x00080020, "DA", None, ""),
        (0x00280010, "US", 512, "512"),
    ],
)
def test_values_read_as_dicom_writes_them(tag: int, vr_: str, stored: object, said: str) -> None:
    dataset = Dataset()
    dataset.add_new(tag, vr_, stored)
    assert value(row_of(dataset, tag))[0] == said


def test_a_long_value_is_shortened_and_says_so() -> None:
    dataset = Dataset()
    dataset.PatientComments = "a" * 5000
    dataset.add_new(0x00283006, "US", list(range(65536)))
    assert value(row_of(dataset, 0x00104000), 100) == ("a" * 100 + "…", False)
    text, is_whole = value(row_of(dataset, 0x00283006), 20)
    assert text.startswith("0\\1\\2") and text.endswith("… (65536 values)") and not is_whole
    assert value(row_of(dataset, 0x00104000), 10_000) == ("a" * 5000, True)


def test_uids_that_have_a_name_say_it() -> None:
    dataset = dcmread(SPINE)
    assert meaning(row_of(dataset, 0x00080016)) == "MR Image Storage"
    assert meaning(row_of(dataset, 0x00080018)) == ""


def test_a_large_value_left_in_the_file_is_summarised_without_being_read(tmp_path: Path) -> None:
    dataset = dcmread(SPINE, defer_size=1024)
    row = row_of(dataset, 0x7FE00010)
    assert value(row)[0] == "<131072 bytes>"
    assert element_of(dataset, 0x7FE00010).value is None
    assert value_bytes(dataset, 0x7FE00010, 4) == dcmread(SPINE).PixelData[:4]


@pytest.mark.parametrize(
    ("tag", "vr_", "stored", "said"),
    [
        (0x00280030, "DS", b"1,5\\2 ", "1,5\\2"),
        (0x00189073, "FD", b"abc", "<no valid FD: abc>"),
    ],
)
def test_a_value_that_is_none_of_its_vr_is_shown_as_it_is(
    tag: int, vr_: str, stored: bytes, said: str
) -> None:
    dataset = Dataset()
    dataset._dict[Tag(tag)] = RawDataElement(Tag(tag), vr_, len(stored), stored, 0, False, True)
    assert value(row_of(dataset, tag))[0] == said


def test_a_damaged_sequence_is_a_value_and_no_branch() -> None:
    dataset = Dataset()
    damaged = RawDataElement(Tag(0x00081140), "SQ", 5, b"junk!", 0, False, True)
    dataset._dict[damaged.tag] = damaged
    row = row_of(dataset, 0x00081140)
    assert not has_children(row)
    assert value(row)[0].startswith("<no valid SQ")


def test_the_vr_of_implicit_files_comes_from_the_dictionaries() -> None:
    path = next(path for path in SAMPLES if "mr-head" in str(path))
    dataset = dcmread(path, defer_size=1024)
    assert vr(row_of(dataset, 0x00100010)) == "PN"
    assert vr(row_of(dataset, 0x7FE00010))[:2] in ("OB", "OW")


def test_an_item_tells_what_it_is_about() -> None:
    report = dcmread(next(path for path in SAMPLES if "report" in path.name))
    said = [value(row)[0] for row in find_rows(report) if row.kind == "item"]
    assert any("Finding" in text for text in said)
    assert "" not in said


def test_controls_and_turned_text_become_visible_signs() -> None:
    assert one_line("a\r\nb\x1b\u202eevil") == "a⏎b\u241b<U+202E>evil"
    assert one_line("a\nb\tc", keep_lines=True) == "a\nb\tc"


def test_a_search_looks_through_tag_keyword_name_and_value() -> None:
    text = search_text(row_of(dcmread(SPINE), 0x00100010))
    for word in ("(0010,0010)", "00100010", "patientname", "patient's name", "pn", "yamada", "山田"):
        assert word in text


@given(st.binary(max_size=100))
def test_a_dump_holds_every_byte(data: bytes) -> None:
    lines = hex_dump(data).splitlines()
    assert bytes.fromhex("".join(line[8:55] for line in lines)) == data


# Who it tells about


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00100010, "Z"),  # Patient's Name
        (0x00080018, "U"),  # SOP Instance UID
        (0x00081030, "X"),  # Study Description
        (0x00181000, "X/Z/D"),  # Device Serial Number
        (0x00080016, None),  # SOP Class UID
        (0x7FE00010, None),  # Pixel Data
        (0x00291010, "X"),  # private
        (0x60023000, "X"),  # Overlay Data
        (0x60020010, None),  # Overlay Rows
        (0x50103000, "X"),  # Curve Data
    ],
)
def test_the_basic_profile_decides_what_is_identifying(tag: int, action: str | None) -> None:
    assert profile_action(tag) == action


def test_actions_are_said_in_words() -> None:
    assert action_words("X/Z/U") == "remove / empty / new UID"


# Two data sets


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_data_set_does_not_differ_from_itself(path: Path) -> None:
    assert differences(dcmread(path), dcmread(path, defer_size=1024)) == {}


def test_differences_are_told_down_to_the_element() -> None:
    left = dcmread(next(path for path in SAMPLES if "report" in path.name))
    right = deepcopy(left)
    right.AccessionNumber = "other"
    del right.StudyTime
    right.StudyComments = "new"
    right.ContentSequence[1].ConceptNameCodeSequence[0].CodeMeaning = "other"
    del right.ContentSequence[-1]
    last = f"data/0040a730/{len(left.ContentSequence) - 1}/"
    found = {key: one for key, one in differences(left, right).items() if not key.startswith(last)}
    assert found == {
        "data/00080030": "left",
        "data/00080050": "changed",
        "data/00324000": "right",
        "data/0040a730": "changed",
        "data/0040a730/1/0040a043": "changed",
        "data/0040a730/1/0040a043/0/00080104": "changed",
    }
    gone = {one for key, one in differences(left, right).items() if key.startswith(last)}
    assert gone == {"left"}


def test_another_encoding_of_the_same_is_no_difference(tmp_path: Path) -> None:
    explicit = dcmread(SPINE)
    other = dcmread(SPINE)
    other.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    other.save_as(tmp_path / "i.dcm")
    implicit = dcmread(tmp_path / "i.dcm")
    assert not [
        key for key in differences(explicit, implicit) if key.startswith("data/") and "/0029" not in key
    ]


def test_padding_to_an_even_length_is_no_difference() -> None:
    left, right = Dataset(), Dataset()
    left.add_new(0x00420011, "OB", b"%PDF-")
    right.add_new(0x00420011, "OB", b"%PDF-\0")
    assert differences(left, right) == {}


def test_another_vr_is_a_difference() -> None:
    left, right = Dataset(), Dataset()
    left.add_new(0x00091001, "LO", "1")
    right.add_new(0x00091001, "SH", "1")
    assert differences(left, right) == {"data/00091001": "changed"}
