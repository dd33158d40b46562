"""Values as a file has them: its VRs, numbers in their shortest form, any spelling found, and what differs only so."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from dicomkit.tags import (
    TagRow,
    character_problem,
    difference,
    find_rows,
    has_children,
    pair_children,
    pair_groups,
    search_text,
    searchable,
    shortest_float,
    value,
    vr,
)
from dicomkit.widgets import TagBrowser
from dicomkit.widgets.table import Cell
from tests.tags.test_character_sets import explicit, file_of


def row_of(dataset: Dataset, tag: int) -> TagRow:
    return next(row for row in find_rows(dataset) if row.tag == tag and row.kind == "element")


def raw(tag: int, vr_: str | None, stored: bytes, *, little: bool = True) -> Dataset:
    """A Dataset with one element as it is read."""
    dataset = Dataset()
    dataset._dict[Tag(tag)] = RawDataElement(Tag(tag), vr_, len(stored), stored, 0, vr_ is None, little)
    return dataset


def difference_of(left: Dataset, right: Dataset) -> str:
    """How the only element of two data sets differs."""
    (pair,) = pair_children(pair_groups(left, right)[0])
    assert difference(pair_groups(left, right)[0]) in ("", "written", "changed")
    return difference(pair)


# The VR


def test_the_vr_is_the_one_that_the_file_has(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "un.dcm",
        ["ISO_IR 100"],
        long(0x00100010, b"UN", "Gr\xfcn^A".encode("latin-1")),
        explicit(0x00100020, b"SH", b"1"),
        long(0x00280010, b"UN", b"\0\2"),
        long(0x00400275, b"UN", struct.pack("<HHI", 0xFFFE, 0xE000, 0)),
    )
    dataset = dcmread(path)
    rows = {row.tag: row for row in find_rows(dataset) if row.kind == "element"}
    assert [vr(rows[tag]) for tag in (0x00100010, 0x00100020, 0x00280010, 0x00400275)] == [
        "UN",
        "SH",
        "UN",
        "UN",
    ]
    assert [value(rows[tag])[0] for tag in (0x00100010, 0x00100020, 0x00280010)] == ["Grün^A", "1", "512"]
    assert has_children(rows[0x00400275])
    assert [vr(rows[tag]) for tag in rows if tag and tag >> 16 == 0x0010] == [
        "UN",
        "SH",
    ]  # once more, the same


def long(tag: int, vr_: bytes, stored: bytes) -> bytes:
    stored += b" " * (len(stored) % 2)
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr_, 0, len(stored)) + stored


def test_looking_at_values_leaves_the_data_set_as_it_was_read(tmp_path: Path) -> None:
    path = file_of(
        tmp_path / "one.dcm", [], explicit(0x00100010, b"PN", b"A^B"), long(0x00091001, b"UN", b"x")
    )
    dataset = dcmread(path)
    before = {tag: dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118
    for row in find_rows(dataset):
        assert [vr(row), value(row), search_text(row), character_problem(row)] != ["", "", "", ""]
    assert {tag: dataset.get_item(tag) for tag in dataset.keys()} == before  # noqa: SIM118
    assert all(isinstance(before[Tag(tag)], RawDataElement) for tag in (0x00100010, 0x00091001))


# Numbers


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.33333334"),
        (1.0, "1.0"),
        (16777216.0, "16777216.0"),
        (1e-45, "1e-45"),
        (3.4028235e38, "3.4028235e+38"),
    ],
)
def test_a_float_of_32_bits_has_its_shortest_form(number: float, said: str) -> None:
    dataset = raw(0x00720076, "FL", struct.pack("<ff", number, -0.25))
    assert value(row_of(dataset, 0x00720076))[0] == f"{said}\\-0.25"


@given(st.floats(width=32))
def test_the_shortest_form_is_the_same_number(number: float) -> None:
    text = shortest_float(number)
    if math.isnan(number):
        assert text == "nan"
    else:
        assert struct.pack("<f", float(text)) == struct.pack("<f", number)
        assert len(text) <= len(str(number))


@pytest.mark.parametrize(
    ("vr_", "letter", "numbers", "said"),
    [
        ("OF", "f", [0.1, -2.5], "0.1\\-2.5"),
        ("OD", "d", [0.1, 1e300], "0.1\\1e+300"),
        ("OL", "I", [1, 4294967295], "1\\4294967295"),
        ("OV", "Q", [1, 2**64 - 1], "1\\18446744073709551615"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_of_numbers_are_read_as_numbers(
    vr_: str, letter: str, numbers: list[float], said: str, order: str
) -> None:
    dataset = raw(0x00091001, vr_, struct.pack(f"{order}2{letter}", *numbers), little=order == "<")
    assert value(row_of(dataset, 0x00091001)) == (said, True)
    looked_at = Dataset()
    looked_at.add_new(0x00091001, vr_, struct.pack(f"<2{letter}", *numbers))
    assert value(row_of(looked_at, 0x00091001)) == (said, True)


def test_a_large_array_is_shown_as_far_as_there_is_room() -> None:
    dataset = raw(0x7FE00008, "OF", struct.pack("<f", 0.5) * 1_000_000)
    text, is_whole = value(row_of(dataset, 0x7FE00008), 20)
    assert text == "0.5\\0.5\\0.5\\0.5\\0.5\\… (1000000 values)"
    assert not is_whole


def test_an_array_of_no_whole_numbers_is_bytes() -> None:
    assert value(row_of(raw(0x7FE00008, "OF", b"\1\2\3"), 0x7FE00008))[0] == "01 02 03"


# Search


def test_a_search_looks_through_all_of_a_text() -> None:
    dataset = Dataset()
    dataset.add_new(0x00104000, "LT", "x" * 200_000 + " Needle")
    assert "needle" in search_text(row_of(dataset, 0x00104000))
    one = TagBrowser(dataset)
    one.source.search("NEEDLE")
    assert one.source.hits == 1
    one.close()


@pytest.mark.parametrize(
    ("stored", "sought"),
    [
        ("Mu\u0308ller", "müller"),
        ("Müller", "mu\u0308ller"),
        ("ヤマダ", "ﾔﾏﾀﾞ"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("STRASSE", "straße"),
        ("Straße", "STRASSE"),
        ("Straße", "straße"),
        ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
        ("\uff21\uff22", "ab"),
        ("ΣΑΣ", "σας"),
    ],
)
def test_a_search_finds_every_spelling(stored: str, sought: str) -> None:
    dataset = Dataset()
    dataset.add_new(0x00104000, "LT", stored)
    one = TagBrowser(dataset)
    one.source.search(sought)
    assert one.source.hits == 1
    one.close()


@given(st.text(max_size=30))
def test_spellings_are_settled_at_once(text: str) -> None:
    assert searchable(searchable(text)) == searchable(text)


# What differs only in how it is written


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (("DS", b"1.0 "), ("DS", b"1.00"), "written"),
        (("DS", b"1.0"), ("DS", b"1.0 "), ""),
        (("DS", b"1e3\\2"), ("DS", b"1000\\2.0"), "written"),
        (("DS", b"1.0"), ("DS", b"1.01"), "changed"),
        (("DS", b"1.0"), ("DS", b"1.0\\1.0"), "changed"),
        (("DS", b"1,5"), ("DS", b"1.5"), "changed"),
        (("IS", b"7"), ("IS", b"007"), "written"),
        (("IS", b"7"), ("IS", b"8"), "changed"),
        (("PN", b"A^B^^"), ("PN", b"A^B"), "written"),
        (("PN", b"A^B="), ("PN", b"A^B"), ""),
        (("PN", b"A^B"), ("PN", b"A^C"), "changed"),
        (("LO", b" A"), ("LO", b"A"), "written"),
        (("LT", b" A"), ("LT", b"A"), "changed"),
        (("UN", b"TEXT"), ("LO", b"TEXT"), "written"),
        (("LO", b"TEXT"), ("UN", b"TEXT"), "written"),
        (("UN", b"TEXT"), ("LO", b"TEXTS "), "changed"),
        (("UN", b"1.0 "), ("DS", b"1.00"), "written"),
        (("UN", b"\1\0"), ("US", b"\1\0"), "written"),
        (("UN", b"\1\0"), ("US", b"\2\0"), "changed"),
        (("UN", b"\1\2"), ("OB", b"\1\2"), "written"),
        (("UN", b"\0\0\x80\x3f"), ("FL", b"\0\0\x80\x3f"), "written"),
        (("OB", b"\1\2"), ("OW", b"\1\2"), "written"),
        (("OB", b"\1\2"), ("OW", b"\1\3"), "changed"),
        (("LO", b"1 "), ("SH", b"1 "), "changed"),
        (("FL", b"\0\0\xc0\x7f"), ("FL", b"\0\0\xc0\x7f"), ""),
        (("UI", b"1.2\0"), ("UI", b"1.2"), ""),
    ],
)
def test_what_is_only_written_differently_is_told(
    left: tuple[str, bytes], right: tuple[str, bytes], said: str
) -> None:
    tag = 0x00091001
    assert difference_of(raw(tag, *left), raw(tag, *right)) == said
    assert difference_of(raw(tag, *right), raw(tag, *left)) == said


def test_a_known_attribute_in_un_is_the_same_written_differently() -> None:
    assert difference_of(raw(0x00100010, "UN", b"A^B "), raw(0x00100010, "PN", b"A^B ")) == "written"
    assert difference_of(raw(0x00280010, "UN", b"\0\2"), raw(0x00280010, None, b"\0\2")) == "written"
    assert difference_of(raw(0x00280010, "US", b"\0\2"), raw(0x00280010, None, b"\0\2")) == ""


def test_a_sequence_in_un_is_compared_by_its_items() -> None:
    item = struct.pack("<HHIHHI", 0xFFFE, 0xE000, 10, 0x0008, 0x0104, 2)
    left, right = raw(0x00400275, "UN", item + b"A "), Dataset()
    below = Dataset()
    below.CodeMeaning = "A"
    right.add_new(0x00400275, "SQ", Sequence([below]))
    assert difference_of(left, right) == "written"
    below.CodeMeaning = "B"
    assert difference_of(raw(0x00400275, "UN", item + b"A "), right) == "changed"


def test_byte_order_is_no_difference() -> None:
    for vr_, letter in (("US", "H"), ("OW", "H"), ("OF", "f"), ("OD", "d"), ("FL", "f"), ("SV", "q")):
        left = raw(0x00091001, vr_, struct.pack(f"<2{letter}", 1, 2))
        right = raw(0x00091001, vr_, struct.pack(f">2{letter}", 1, 2), little=False)
        assert difference_of(left, right) == "", vr_


def test_another_character_set_is_no_difference_where_the_text_is_the_same(tmp_path: Path) -> None:
    latin = file_of(tmp_path / "l.dcm", ["ISO_IR 100"], explicit(0x00100010, b"PN", "Grün".encode("latin-1")))
    utf_8 = file_of(tmp_path / "u.dcm", ["ISO_IR 192"], explicit(0x00100010, b"PN", "Grün".encode()))
    other = file_of(tmp_path / "o.dcm", ["ISO_IR 101"], explicit(0x00100010, b"PN", b"\xa3"))
    same = file_of(tmp_path / "s.dcm", ["ISO_IR 100"], explicit(0x00100010, b"PN", b"\xa3"))

    def of_name(left: Path, right: Path) -> str:
        pairs = pair_children(pair_groups(dcmread(left), dcmread(right))[-1])
        return next(difference(pair) for pair in pairs if pair.row.tag == 0x00100010)

    assert of_name(latin, utf_8) == ""
    assert of_name(other, same) == "changed"


def test_the_browser_shows_it_as_written_differently() -> None:
    left, right = Dataset(), Dataset()
    left.SliceThickness, right.SliceThickness = "1.0", "1.00"
    left.KVP, right.KVP = "120", "100"
    left.PatientID = right.PatientID = "1"
    one = TagBrowser(left, right)
    one.only_differences = True
    said = [
        cell.text
        for row in one.source.window(0, 9)
        for cell in row.cells
        if isinstance(cell, Cell) and cell.text
    ]
    assert said.count("written differently") == 1
    assert said.count("changed") == 2  # the element, and the data set that has both
    assert one.source.hits == 2
    (key,) = [key for key in one.source.shown_keys() if str(key).endswith("00180050")]
    assert ("Difference", "written differently") in [
        (fact.label, fact.text) for fact in one.source.detail(key)
    ]
    one.close()


def test_the_browser_hints_at_text_that_does_not_fit_its_character_set(tmp_path: Path) -> None:
    one = TagBrowser(file_of(tmp_path / "o.dcm", ["ISO_IR 192"], explicit(0x00100010, b"PN", b"Gr\xfcn")))
    key = "data/00100010"
    (facts,) = [fact.text for fact in one.source.detail(key) if fact.label == "Characters"]
    assert facts == "It has bytes that are none of ISO_IR 192."
    (row,) = [row for row in one.source.window(0, 99) if row.key == key]
    assert any(isinstance(cell, Cell) and cell.note == "not in its character set" for cell in row.cells)
    one.close()


@given(st.integers(0, 400), st.integers(0, 400))
def test_what_differs_somewhere_differs_at_every_level_above(depth: int, at: int) -> None:
    left, right = Dataset(), Dataset()
    for number, top in ((0, left), (1, right)):
        current = top
        for level in range(depth):
            inner = Dataset()
            inner.InstanceNumber = str(number if level == at else 0)
            current.ContentSequence = Sequence([inner])
            current = inner
    known: dict[object, str] = {}
    (root,) = pair_groups(left, right)
    said = difference(root, known)  # type: ignore[arg-type]
    assert said == ("changed" if at < depth else "")
    assert all(one == difference(root) for key, one in known.items() if key == "data")


def test_a_file_of_bytes_is_compared_with_itself() -> None:
    from tests.support.files import ct_instance

    dataset = dcmread(io.BytesIO(ct_instance()))
    assert [difference(pair) for pair in pair_groups(dataset, dcmread(io.BytesIO(ct_instance())))] == ["", ""]
