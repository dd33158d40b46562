"""Conversion of elements of every kind: what is written is read by a reader that shares nothing with it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

import dicomkit
from dicomkit import Instance, LocalSCP, look_at, send_batch
from dicomkit.conversion import Converted, NotConverted, convert
from dicomkit.scp import RefuseSyntax
from dicomkit.sources import find_instances
from tests.support.files import ct_instance
from tests.support.plain_reader import LONG, PIXEL_DATA, SHORT, WORDS, Element, read, write

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
GE = "1.2.840.113619.5.2"
TARGETS = pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT])

FIRST = Element(0x00080005, "CS", b"ISO_IR 13 ")
UIDS = [
    Element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
    Element(0x00080018, "UI", b"1.2.3.4\0"),
]
TEMPLATE = look_at(ct_instance())


def instance_of(data: bytes, syntax: str) -> Instance:
    encoding = IMPLICIT if syntax in (IMPLICIT, GE) else BIG if syntax == BIG else EXPLICIT
    return replace(
        TEMPLATE, transfer_syntax=syntax, encoding=encoding, content=data, offset=0, length=len(data)
    )


def content(converted: Converted, piece: int = 1 << 30) -> bytes:
    """What is sent, read in pieces of a size."""
    source = converted.open()
    data = bytearray(converted.length)
    view = memoryview(data)
    try:
        for at in range(0, len(data), piece):
            wanted = view[at : at + piece]
            half = len(wanted) // 2
            assert source.readv([wanted[:half], wanted[half:]]) == len(wanted)
        assert source.readv([memoryview(bytearray(1))]) == 0
    finally:
        source.close()
    return bytes(data)


def converted(elements: list[Element], source: str, target: str) -> tuple[list[Element], str]:
    """The elements as they arrive, and the notes."""
    data = write(elements, implicit=source in (IMPLICIT, GE), big=source == BIG)
    if source == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    made = convert(instance_of(data, source), target)
    return read(content(made), implicit=target == IMPLICIT), made.notes


# --- anything ----------------------------------------------------------------------------------------------------

VALUES = st.binary(max_size=40) | st.integers(8188, 8200).map(lambda size: (bytes(range(256)) * 33)[:size])
VRS = sorted((SHORT | LONG) - {"SQ"})
# Two letters are a VR of the future; anything else has a 16-bit length.
UNKNOWN_VRS = ["ZZ", "QX", "??", "\0\0", "  ", "--", "Zz", "1A"]
PRIVATE_TAGS = st.integers(0x1000, 0x10FF).map(lambda number: 0x00290000 | number)


def tags(vr: str) -> st.SearchStrategy[int]:
    known = [
        tag
        for tag, (its, *_) in DicomDictionary.items()
        if its == vr and 0x0008 < tag >> 16 < 0x7FE0 and tag & 0xFFFF
    ]
    return st.sampled_from(known) | PRIVATE_TAGS if known else PRIVATE_TAGS


@st.composite
def plain(draw: st.DrawFn) -> Element:
    vr = draw(st.sampled_from(VRS))
    return Element(draw(tags(vr)), vr, draw(VALUES))


@st.composite
def unknown(draw: st.DrawFn) -> Element:
    return Element(draw(PRIVATE_TAGS), draw(st.sampled_from(UNKNOWN_VRS)), draw(st.binary(max_size=40)))


@st.composite
def sequence(draw: st.DrawFn, inner: st.SearchStrategy[Element]) -> Element:
    items = [
        [FIRST, *item] if item else [] for item in draw(st.lists(st.lists(inner, max_size=4), max_size=3))
    ]
    lengths = [draw(st.booleans()) for _ in items]
    vr = draw(st.sampled_from(["SQ", "SQ", "UN"]))
    is_undefined = vr == "UN" or draw(st.booleans())
    tag = draw(tags("SQ").filter(lambda tag: vr == "UN" or not tag >> 16 & 1))
    return Element(tag, vr, items=items, item_lengths=lengths, is_undefined=is_undefined)


ELEMENTS = st.lists(st.recursive(plain(), sequence, max_leaves=10) | unknown(), max_size=8).map(
    lambda elements: [FIRST, *elements]
)


def assert_same(
    before: list[Element], after: list[Element], *, source: str, target: str, in_un: bool = False
) -> None:
    assert [element.tag for element in after] == [element.tag for element in before]
    for one, other in zip(before, after, strict=True):
        if one.items is not None:
            assert other.items is not None
            assert other.is_undefined == one.is_undefined
            assert other.item_lengths == one.item_lengths
            for item, its in zip(one.items, other.items, strict=True):
                assert_same(
                    item,
                    its,
                    source=source,
                    target=target,
                    in_un=in_un or (one.vr == "UN" and source != IMPLICIT),
                )
        else:
            assert other.value == one.value
        if target == EXPLICIT and not in_un:
            assert other.vr == expected_vr(one, source)
        else:
            assert other.vr is None


def expected_vr(element: Element, source: str) -> str:
    vr = element.vr
    assert vr is not None
    if source == IMPLICIT:
        if element.items is not None:
            return "SQ"
        vr = DicomDictionary[element.tag][0] if element.tag in DicomDictionary else "UN"
        if len(element.value) % WORDS.get(vr, 1) or (vr in SHORT and len(element.value) > 0xFFFF):
            return "UN"
    elif source == BIG and element.items is None and len(element.value) % WORDS.get(vr, 1):
        return "UN"
    return vr if vr in SHORT | LONG else "UN"


@TARGETS
@pytest.mark.parametrize("source", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
@given(elements=ELEMENTS)
@settings(max_examples=30, deadline=None)
def test_every_element_arrives_with_its_value(source: str, target: str, elements: list[Element]) -> None:
    after, _ = converted(elements, source, target)
    assert_same(elements, after, source=source, target=target)


@TARGETS
@pytest.mark.parametrize("source", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("vr", VRS)
def test_every_representation_arrives_with_its_value(vr: str, source: str, target: str) -> None:
    tag = (
        next(tag for tag, (its, *_) in DicomDictionary.items() if its == vr and tag >> 16 > 8)
        if vr != "UN"
        else 0x00291010
    )
    value = bytes(range(1, 17))
    before = [FIRST, Element(tag, vr, value), Element(0x7FE11010, vr, value * 1000)]
    assert_same(before, converted(before, source, target)[0], source=source, target=target)


@TARGETS
@pytest.mark.parametrize("source", [IMPLICIT, EXPLICIT, BIG])
def test_elements_lie_anywhere_in_what_is_read_at_once(tmp_path: Path, source: str, target: str) -> None:
    """Headers and values across the ends of what is read at once, at every offset in them."""
    path = tmp_path / "one.dcm"
    known = [tag for tag, (vr, *_) in DicomDictionary.items() if vr in ("CS", "LO") and tag >> 16 > 8]
    for shift in range(40):
        texts = [
            Element(tag, DicomDictionary[tag][0], b"x" * (index % 29 + (shift if not index else 0)))
            for index, tag in enumerate(known)
        ]
        before = [FIRST, *UIDS, *texts, Element(PIXEL_DATA, "OW", bytes(10_000))]
        path.write_bytes(part10(write(before, implicit=source == IMPLICIT, big=source == BIG), source))
        after = read(content(convert(look_at(path), target)), implicit=target == IMPLICIT)
        assert [element.value for element in after] == [element.value for element in before]


@pytest.mark.parametrize("extra", range(16))
def test_any_number_of_bytes_lies_between_large_values(extra: int) -> None:
    large = bytes(range(256)) * 40
    before = [
        *(FIRST, Element(0x00291010, "OB", large), Element(0x00291011, "UT", b"a" * 8000)),
        *(Element(0x00291012 + index, "UT", b"b" * 8000) for index in range(7)),
        *(Element(0x00291020, "UT", b"c" * (1412 + extra)), Element(0x00291030, "OB", large)),
    ]
    assert_same(before, converted(before, EXPLICIT, IMPLICIT)[0], source=EXPLICIT, target=IMPLICIT)


@given(
    text=st.binary(min_size=1, max_size=60),
    tag=st.sampled_from([0x00081030, 0x00100010, 0x00104000, 0x00080090, 0x0040A160]),
    character_set=st.sampled_from(
        [
            b"ISO_IR 13 ",
            b"\\ISO 2022 IR 87",
            b"ISO_IR 192",
            b"nonsense",
            b"ISO 2022 IR 6\\ISO 2022 IR 100",
            b"",
        ]
    ),
)
@settings(deadline=None)
def test_text_is_never_decoded(text: bytes, tag: int, character_set: bytes) -> None:
    vr = DicomDictionary[tag][0]
    elements = [Element(0x00080005, "CS", character_set), Element(tag, vr, text)]
    for source in (EXPLICIT, IMPLICIT, BIG):
        for target in (EXPLICIT, IMPLICIT):
            after, notes = converted(elements, source, target)
            assert [element.value for element in after] == [character_set, text]
            assert not notes


@given(elements=ELEMENTS, piece=st.integers(1, 5000))
@settings(max_examples=40, deadline=None)
def test_pieces_of_any_size_make_the_same_bytes(elements: list[Element], piece: int) -> None:
    made = convert(instance_of(write(elements, big=True), BIG), EXPLICIT)
    assert content(made, piece) == content(made)


@pytest.mark.parametrize(
    ("odd", "value"),
    [
        (b"ZZ\0\0\x08\0\0\0", b"abcdefgh"),  # a VR of the future, PS3.5 6.2
        (b"ZZ\x08\0", b"abcdefgh"),  # as pydicom reads it
        (b"??\x08\0", b"abcdefgh"),
        (b"\0\0\x08\0", b"abcdefgh"),
        (b"\x08\0\0\0", b"abcdOB\xff\xff"),  # an implicit element among explicit ones
    ],
)
def test_an_odd_vr_is_read_in_the_way_that_leads_to_the_end(odd: bytes, value: bytes) -> None:
    rest = [Element(0x00290010, "LO", b"ACME"), Element(0x00290011, "LO", b"")]
    data = write([FIRST, ROWS]) + b"\x29\0\x10\x10" + odd + value + write(rest)
    after = read(content(convert(instance_of(data, EXPLICIT), IMPLICIT)), implicit=True)
    assert [element.value for element in after] == [FIRST.value, ROWS.value, value, b"ACME", b""]


# --- representations ---------------------------------------------------------------------------------------------


def vr_from_implicit(tag: int, value: bytes, *before: Element) -> str:
    """What an element of an implicit data set becomes in an explicit one."""
    elements = [FIRST, *before, Element(tag, None, value)]
    after, _ = converted(elements, IMPLICIT, EXPLICIT)
    assert after[-1].value == value
    assert after[-1].vr is not None
    return after[-1].vr


UNSIGNED = Element(0x00280103, "US", b"\0\0")
SIGNED = Element(0x00280103, "US", b"\1\0")


@pytest.mark.parametrize(
    ("tag", "value", "before", "vr"),
    [
        (0x00280106, b"\xff\xff", (SIGNED,), "SS"),
        (0x00280106, b"\xff\xff", (UNSIGNED,), "US"),
        (0x00280106, b"\xff\xff", (), "UN"),
        (0x00280106, b"\xff\x7f", (), "US"),
        (0x00281101, b"\0\1\0\x80\x10\0", (SIGNED,), "SS"),
        (0x00281100, b"\0\1\0\0\x10\0", (), "US"),
        (0x00281100, b"\0\1\0\xf0\x10\0", (), "UN"),
        (0x00283006, b"\1\0", (Element(0x00283002, "US", b"\1\0\0\0\x10\0"),), "US"),
        (0x00283006, b"\1\0\2\0", (Element(0x00283002, "US", b"\2\0\0\0\x10\0"),), "OW"),
        (0x00283006, b"\1\0\2\0", (), "UN"),
        (0x00281200, b"\1\0\2\0", (), "UN"),
        (0x7FE00010, b"\1\2", (), "OW"),
        (0x60003000, b"\1\2", (), "OW"),
        (0x60FE3000, b"\1\2", (), "OW"),
        (0x54001010, b"\1\2", (Element(0x54001004, "US", b"\x08\0"),), "OB"),
        (0x54001010, b"\1\2", (Element(0x54001004, "US", b"\x10\0"),), "OW"),
        (0x54001010, b"\1\2", (), "UN"),
        (0x50003000, b"\1\2", (), "OB"),
        (0x5002200C, b"\1\2", (Element(0x50022002, "US", b"\0\0"),), "OW"),
        (0x5002200C, b"\1\2", (Element(0x50002002, "US", b"\0\0"),), "UN"),
        (0x00143050, b"\1\2", (), "UN"),
        (0x00280010, b"\1", (), "UN"),
        (0x00280010, b"\1\2\3", (), "UN"),
        (0x00091001, b"\1\2", (), "UN"),
        (0x00090010, b"ACME", (), "LO"),
        (0x00084321, b"ACME", (), "UN"),
        (0x00104000, b"x" * 0x10000, (), "UN"),
        (0x00104000, b"x" * 0xFFFF, (), "LT"),
        (0x00020010, b"1.2 ", (), "UI"),
    ],
)
def test_implicit_elements_get_the_representation_that_can_be_known(
    tag: int, value: bytes, before: tuple[Element, ...], vr: str
) -> None:
    assert vr_from_implicit(tag, value, *before) == vr


def test_a_representation_may_depend_on_what_is_around_the_item_or_comes_later() -> None:
    smallest = Element(0x00280106, None, b"\xff\xff")

    def within(*items: Element) -> list[Element]:
        nested = Element(0x00089121, None, items=[list(items)], item_lengths=[False])
        return [FIRST, Element(0x00081115, None, items=[[nested]], item_lengths=[True], is_undefined=True)]

    def found(elements: list[Element]) -> str | None:
        after, _ = converted(elements, IMPLICIT, EXPLICIT)
        outer = after[1].items
        assert outer is not None
        inner = outer[0][0].items
        assert inner is not None
        return next(element.vr for element in inner[0] if element.tag == smallest.tag)

    assert found(within(smallest)) == "UN"
    assert found([*within(smallest), SIGNED]) == "SS"
    assert found([*within(smallest), UNSIGNED]) == "US"
    assert found([*within(SIGNED, smallest), UNSIGNED]) == "SS"
    mapping = Element(
        0x00409096, None, items=[[SIGNED, Element(0x00409211, None, b"\xff\xff")]], item_lengths=[False]
    )
    after, _ = converted([FIRST, UNSIGNED, mapping], IMPLICIT, EXPLICIT)
    assert after[-1].items is not None
    assert after[-1].items[0][-1].vr == "SS"  # what is nearest decides
    waveform = Element(
        0x54000100,
        None,
        items=[
            [
                Element(
                    0x003A0200,
                    None,
                    items=[[Element(0x54000110, None, b"\1\2")]],
                    item_lengths=[False],
                ),
                Element(0x54001004, None, b"\x08\0"),
            ]
        ],
        item_lengths=[False],
    )
    after, _ = converted([FIRST, waveform], IMPLICIT, EXPLICIT)
    assert after[1].items is not None
    channels = after[1].items[0][0].items
    assert channels is not None
    assert channels[0][0].vr == "OB"


def test_what_is_written_as_un_is_named() -> None:
    _, notes = converted([FIRST, Element(0x00280010, None, b"\1")], IMPLICIT, EXPLICIT)
    assert "(0028,0010) has 1 bytes" in notes
    _, notes = converted([FIRST, Element(0x00280010, "US", b"\1\2\3")], BIG, EXPLICIT)
    assert "(0028,0010) has 3 bytes" in notes
    _, notes = converted([FIRST, Element(0x00291010, "SL", b"\1\2")], EXPLICIT, IMPLICIT)
    assert not notes  # nothing of it is written otherwise
    _, notes = converted([FIRST, Element(0x00291010, "??", b"\1\2")], DEFLATED, EXPLICIT)
    assert "(0029,1010) has an unknown VR" in notes


def test_odd_numbers_pass_unchanged() -> None:
    signalling = struct.pack("<I", 0x7FA00001)
    after, _ = converted([FIRST, Element(0x00189073, "FD", signalling * 2)], BIG, EXPLICIT)
    assert after[1].value == signalling * 2


def test_a_value_of_un_is_not_turned() -> None:
    after, _ = converted([FIRST, Element(0x00280010, "UN", b"\1\2")], BIG, EXPLICIT)
    assert (after[1].vr, after[1].value) == ("UN", b"\1\2")


# --- sequences ---------------------------------------------------------------------------------------------------


def item(content: bytes, *, defined: bool = True) -> bytes:
    if defined:
        return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
    return b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"


END = b"\xfe\xff\xdd\xe0\0\0\0\0"
ROWS = Element(0x00280010, "US", b"\2\1")


@TARGETS
@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("vr", [b"UN", b"SQ"])
@pytest.mark.parametrize("implicit", [True, False])
def test_items_are_read_as_what_they_are(target: str, vr: bytes, *, defined: bool, implicit: bool) -> None:
    inner = item(write([FIRST, ROWS], implicit=implicit), defined=defined)
    header = struct.pack("<HH2sHI", 0x0008, 0x1115, vr, 0, 0xFFFFFFFF)
    data = write([FIRST]) + header + inner + END
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    made = convert(instance_of(packer.compress(data) + packer.flush(), DEFLATED), target)
    after = read(content(made), implicit=target == IMPLICIT)
    assert after[1].items is not None
    assert [element.value for element in after[1].items[0]] == [FIRST.value, ROWS.value]
    assert after[1].vr == (None if target == IMPLICIT else vr.decode())


@TARGETS
@pytest.mark.parametrize("defined", [True, False])
def test_an_item_may_begin_with_an_odd_vr(target: str, *, defined: bool) -> None:
    inner = item(b"\x08\0\x04\x01??\x04\0abcd" + write([ROWS]), defined=defined)
    data = write([FIRST]) + struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF) + inner + END
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    made = convert(instance_of(packer.compress(data) + packer.flush(), DEFLATED), target)
    after = read(content(made), implicit=target == IMPLICIT)
    assert after[1].items is not None
    assert [element.value for element in after[1].items[0]] == [b"abcd", ROWS.value]


def test_a_sequence_that_is_none_is_copied_where_it_can_be() -> None:
    nonsense = b"not a sequence at all"
    after, notes = converted([FIRST, Element(0x00081115, None, nonsense), ROWS], IMPLICIT, EXPLICIT)
    assert [(element.vr, element.value) for element in after[1:]] == [("UN", nonsense), ("US", b"\2\1")]
    assert "(0008,1115) is no sequence" in notes
    damaged = write([FIRST]) + b"\x08\0\x15\x11SQ\0\0" + struct.pack("<I", len(nonsense)) + nonsense
    with pytest.raises(NotConverted, match="cannot be followed"):
        convert(instance_of(damaged, EXPLICIT), IMPLICIT)


@pytest.mark.parametrize("is_in_item", [False, True])
def test_a_delimiter_of_what_is_not_open_ends_nothing(*, is_in_item: bool) -> None:
    """What comes after it would be lost, or be of another data set (PS3.5 7.5.1)."""
    data = write([FIRST]) + struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + write([ROWS])
    if is_in_item:
        inner = item(data)
        data = write([FIRST]) + struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, len(inner)) + inner
    with pytest.raises(NotConverted, match="cannot be followed"):
        convert(instance_of(data, EXPLICIT), IMPLICIT)


def nested(depth: int) -> list[Element]:
    elements = [ROWS]
    for level in range(depth):
        elements = [
            Element(
                0x0040A730, "SQ", items=[elements], item_lengths=[level % 2 == 0], is_undefined=level % 3 == 0
            )
        ]
    return [FIRST, *elements]


def test_sequences_may_be_nested_deeply_and_not_without_end() -> None:
    for source in (EXPLICIT, BIG, IMPLICIT):
        for target in (EXPLICIT, IMPLICIT):
            before = nested(100)
            after, _ = converted(before, source, target)
            assert_same(before, after, source=source, target=target)
    data = b"\x40\0\x30\xa7\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100_000
    with pytest.raises(NotConverted, match="nested"):
        convert(instance_of(write([FIRST], implicit=True) + data, IMPLICIT), EXPLICIT)


@pytest.mark.parametrize(
    ("source", "target"), [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT), (BIG, IMPLICIT), (BIG, EXPLICIT)]
)
def test_group_lengths_are_made_right(source: str, target: str) -> None:
    wrong = b"\x63\0\0\0"
    long = Element(0x00420011, "OB", b"%PDF" * 5000)
    sequence = Element(
        0x00089215,
        "SQ",
        items=[[Element(0x00080000, "UL", wrong), Element(0x00080104, "LO", b"meaning ")]],
        item_lengths=[False],
    )
    elements = [
        *(Element(0x00080000, "UL", wrong), FIRST, sequence),
        *(Element(0x00280000, "UL", wrong), ROWS),
        *(Element(0x00420000, "UL", wrong), long),
    ]
    after, _ = converted(elements, source, target)
    implicit = target == IMPLICIT

    def measured(part: list[Element]) -> bytes:
        return struct.pack("<I", len(write(part, implicit=implicit)))

    assert [element.tag for element in after] == [element.tag for element in elements]
    assert after[0].value == measured(after[1:3])
    assert after[3].value == measured(after[4:5])
    assert after[5].value == measured(after[6:])
    assert after[2].items is not None
    assert after[2].items[0][0].value == measured(after[2].items[0][1:])


def test_pixels_of_ge_are_turned_and_nothing_else_is() -> None:
    elements = [FIRST, ROWS, Element(0x7FE00010, "OW", b"\1\2\3\4")]
    for target in (EXPLICIT, IMPLICIT):
        after, _ = converted(elements, GE, target)
        assert [element.value for element in after[1:]] == [b"\2\1", b"\2\1\4\3"]


@TARGETS
def test_what_follows_the_last_element_and_is_none_is_left_out(target: str) -> None:
    for tail, is_noted in ((b"", False), (b"\0" * 100, True), (b"\0\0\0", True), (b"xyz", True)):
        made = convert(instance_of(write([FIRST, ROWS]) + tail, EXPLICIT), target)
        assert len(read(content(made), implicit=target == IMPLICIT)) == 2
        assert bool(made.notes) == is_noted


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_what_ends_early_is_never_converted_in_part(cut: int) -> None:
    data = write([FIRST, nested(3)[1], Element(0x00280011, "OB", b"x" * 40)])
    for target in (EXPLICIT, IMPLICIT):
        with pytest.raises(NotConverted):
            convert(instance_of(data[:-cut], EXPLICIT), target)


@given(
    damage=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4),
    target=st.sampled_from([IMPLICIT, EXPLICIT]),
    source=st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED, GE, "1.2.840.10008.1.2.5"]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_damaged_is_converted_or_refused(
    damage: list[tuple[int, int]], target: str, source: str
) -> None:
    elements = [
        FIRST,
        *nested(4)[1:],
        ROWS,
        Element(0x00291010, "UN", b"private"),
        Element(0x7FE00010, "OW", b"ab" * 99),
    ]
    data = bytearray(write(elements, implicit=source in (IMPLICIT, GE), big=source == BIG))
    for at, byte in damage:
        data[at % len(data)] = byte
    packed = bytes(data)
    if source == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        packed = packer.compress(packed) + packer.flush()
    try:
        made = convert(instance_of(packed, source), target)
    except dicomkit.UnreadableError:
        return
    assert len(content(made)) == made.length


# --- compressed pixels -------------------------------------------------------------------------------------------

RLE = "1.2.840.10008.1.2.5"


def rle(rows: list[bytes]) -> bytes:
    """One segment of literal runs (PS3.5 G.3.1), a run for each row."""
    runs = b"".join(bytes([len(row) - 1]) + row for row in rows)
    return struct.pack("<16I", 1, 64, *[0] * 14) + runs + b"\0" * (len(runs) % 2)


def described(pixels: bytes, *, number_of_frames: int = 0) -> list[Element]:
    """What an image of 4 columns says of itself."""
    frames = [Element(0x00280008, "IS", b"%d " % number_of_frames)] if number_of_frames else []
    return [
        Element(0x00280002, "US", b"\1\0"),
        Element(0x00280004, "CS", b"MONOCHROME2 "),
        *frames,
        Element(0x00280010, "US", struct.pack("<H", len(pixels) // 4 // (number_of_frames or 1))),
        Element(0x00280011, "US", b"\4\0"),
        *(Element(0x00280100, "US", b"\x08\0"), Element(0x00280101, "US", b"\x08\0")),
        *(Element(0x00280102, "US", b"\7\0"), Element(0x00280103, "US", b"\0\0")),
    ]


def encapsulated(*fragments: bytes, tag: int = PIXEL_DATA) -> bytes:
    parts = b"".join(item(fragment) for fragment in (b"", *fragments))
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OB", 0, 0xFFFFFFFF) + parts + END


PIXELS = bytes(range(100, 124))
ICON = bytes(range(8))
FRAGMENT = rle([PIXELS[at : at + 4] for at in range(0, 24, 4)])


def compressed(*, defined: bool) -> bytes:
    """An image with an icon, both compressed, the icon in a sequence with lengths or without."""
    icon = write(described(ICON)) + encapsulated(rle([ICON[:4], ICON[4:]]))
    icon = item(icon + write([Element(0x7FE10010, "LO", b"ACME")]), defined=defined)
    head = struct.pack("<HH2sHI", 0x0088, 0x0200, b"SQ", 0, len(icon) if defined else 0xFFFFFFFF)
    icons = head + icon + (b"" if defined else END)
    group = Element(0x00280000, "UL", b"\0\0\0\0")
    return (
        write([FIRST, *UIDS, group, *described(PIXELS)])
        + icons
        + encapsulated(FRAGMENT)
        + write([Element(0xFFFCFFFC, "OB", b"\0\0")])
    )


@TARGETS
@pytest.mark.parametrize("defined", [True, False])
def test_pixels_at_any_depth_are_decompressed(target: str, *, defined: bool) -> None:
    made = convert(instance_of(compressed(defined=defined), RLE), target)
    after = {element.tag: element for element in read(content(made), implicit=target == IMPLICIT)}
    assert after[PIXEL_DATA].value == PIXELS
    assert list(after) == sorted(after)
    assert list(after)[-1] == 0xFFFCFFFC
    described_by = [element for tag, element in after.items() if tag >> 16 == 0x0028][1:]
    length = len(write(described_by, implicit=target == IMPLICIT))
    assert after[0x00280000].value == struct.pack("<I", length)
    icons = after[0x00880200]
    assert icons.items is not None
    assert icons.is_undefined != defined
    assert icons.item_lengths == [not defined]
    icon = {element.tag: element for element in icons.items[0]}
    assert icon[PIXEL_DATA].value == ICON
    assert icon[0x7FE10010].value == b"ACME"
    for found, pixels in ((after, PIXELS), (icon, ICON)):
        for element in described(pixels):
            assert found[element.tag].value == element.value


@TARGETS
def test_what_is_in_an_encapsulated_syntax_without_being_compressed_is_encoded_anew(target: str) -> None:
    """An icon beside compressed pixels may be native (PS3.5 A.4), and a report has no pixels at all."""
    elements = [FIRST, *UIDS, ROWS, nested(2)[1], Element(0x00291010, "OB", b"\1\2\3")]
    assert_same(elements, converted(elements, RLE, target)[0], source=RLE, target=target)
    icon = Element(
        0x00880200, "SQ", items=[[*described(ICON), Element(PIXEL_DATA, "OB", ICON)]], item_lengths=[False]
    )
    data = write([FIRST, *UIDS, *described(PIXELS), icon]) + encapsulated(FRAGMENT)
    after = read(content(convert(instance_of(data, RLE), target)), implicit=target == IMPLICIT)
    found = next(element for element in after if element.tag == 0x00880200)
    assert found.items is not None
    assert found.items[0][-1].value == ICON
    assert after[-1].value == PIXELS


def test_compressed_pixels_in_an_uncompressed_syntax_are_refused() -> None:
    data = write([FIRST, *UIDS, *described(PIXELS)]) + encapsulated(FRAGMENT)
    with pytest.raises(NotConverted, match="compressed"):
        convert(instance_of(data, EXPLICIT), IMPLICIT)


def test_fragments_of_a_private_element_are_kept_where_they_can_be() -> None:
    data = write([FIRST, *UIDS]) + encapsulated(b"abcd", b"efgh", tag=0x00291010)
    after = read(content(convert(instance_of(data, RLE), EXPLICIT)))
    assert after[-1].fragments == [b"", b"abcd", b"efgh"]
    with pytest.raises(NotConverted):  # Implicit VR has no fragments: PS3.5 A.4
        convert(instance_of(data, RLE), IMPLICIT)


# --- sources -----------------------------------------------------------------------------------------------------


def part10(data: bytes, syntax: str) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = write([Element(0x00020010, "UI", uid)])
    return (
        bytes(128) + b"DICM" + write([Element(0x00020000, "UL", struct.pack("<I", len(meta)))]) + meta + data
    )


LARGE = [
    *(FIRST, *UIDS, Element(0x00291010, "OB", bytes(range(256)) * 900), nested(3)[1]),
    *(ROWS, Element(0x7FE00010, "OW", bytes(range(256)) * 2000)),
]


@TARGETS
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("place", ["file", "stored member", "deflated member", "bytes"])
def test_every_place_gives_the_same(tmp_path: Path, syntax: str, place: str, target: str) -> None:
    data = write(LARGE, big=syntax == BIG)
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    whole = part10(data, syntax)
    source: object = whole
    if place == "file":
        (tmp_path / "one.dcm").write_bytes(whole)
        source = tmp_path / "one.dcm"
    elif place != "bytes":
        method = zipfile.ZIP_DEFLATED if place.startswith("deflated") else zipfile.ZIP_STORED
        with zipfile.ZipFile(tmp_path / "all.zip", "w", method) as archive:
            archive.writestr("one.dcm", whole)
        source = tmp_path / "all.zip"
    (instance,) = find_instances(source)
    assert isinstance(instance, Instance)
    made = convert(instance, target)
    for piece in (1 << 30, 7000):
        after = read(content(made, piece), implicit=target == IMPLICIT)
        assert_same(LARGE, after, source=syntax, target=target)


def test_a_source_that_changed_is_not_sent_as_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(part10(write(LARGE), EXPLICIT))
    made = convert(look_at(path), IMPLICIT)
    path.write_bytes(part10(write([*LARGE, *LARGE]), EXPLICIT))
    with pytest.raises(dicomkit.UnreadableError, match="changed"):
        made.open()
    path.unlink()
    with pytest.raises(dicomkit.UnreadableError):
        made.open()
    with pytest.raises(dicomkit.UnreadableError):
        convert(made.instance, IMPLICIT)


def test_a_gigabyte_costs_no_more_than_its_headers(tmp_path: Path) -> None:
    size = 1 << 30
    path = tmp_path / "large.dcm"
    for syntax in (EXPLICIT, BIG):
        header = write([FIRST, *UIDS, ROWS], big=syntax == BIG)
        pixels = struct.pack(">HH2sHI" if syntax == BIG else "<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size)
        with path.open("wb") as file:
            file.write(part10(header + pixels, syntax))
            file.truncate(file.tell() + size)
        instance = look_at(path)
        buffer = memoryview(bytearray(1 << 20))
        tracemalloc.start()
        made = convert(instance, IMPLICIT)
        source = made.open()
        got = 0
        # Byte order costs time, so of the second one only the beginning is read.
        while (count := source.readv([buffer])) and (syntax == EXPLICIT or got < 1 << 26):
            got += count
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        source.close()
        assert made.length > size
        assert syntax == BIG or got == made.length
        assert made.held_bytes < 10_000
        assert peak < 2_000_000


def test_many_small_elements_are_not_held(tmp_path: Path) -> None:
    contour = [Element(0x30060046, "IS", b"2000"), Element(0x30060050, "DS", b"1.25\\" * 1600)]
    one = Element(0x30060040, "SQ", items=[contour] * 50, item_lengths=[False, True] * 25)
    roi = Element(0x30060039, "SQ", items=[[one, one]] * 40, item_lengths=[False] * 40, is_undefined=True)
    elements = [FIRST, *UIDS, Element(0x30060000, "UL", b"\0\0\0\0"), roi, ROWS]
    path = tmp_path / "structures.dcm"
    for syntax in (EXPLICIT, BIG):
        path.write_bytes(part10(write(elements, big=syntax == BIG), syntax))
        instance = look_at(path)
        assert instance.length > 30_000_000
        for target in (IMPLICIT, EXPLICIT):
            expected = write(elements, implicit=target == IMPLICIT)
            buffer = memoryview(bytearray(len(expected) + 1))
            tracemalloc.start()
            made = convert(instance, target)
            source = made.open()
            at = 0
            while count := source.readv([buffer[at : at + 100_000]]):
                at += count
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            source.close()
            assert at == made.length == len(expected)
            assert peak < 16_000_000
            assert made.held_bytes == 0
            group = expected.index(b"\x06\x30\x00\x00") + 8
            sent = bytearray(buffer[:at])
            assert sent[group : group + 4] != b"\0\0\0\0"
            sent[group : group + 4] = b"\0\0\0\0"
            assert sent == expected


def test_the_command_converts_without_pydicom(tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(ct_instance())
    code = (
        "import sys\nfrom dicomkit.cli import main\n"
        "assert main(sys.argv[1:]) == 0\nprint(*sys.modules, file=sys.stderr)"
    )
    with LocalSCP(faults=[RefuseSyntax(EXPLICIT)]) as scp:
        scp.setting().save(tmp_path / "setting.json")
        done = subprocess.run(
            [sys.executable, "-c", code, "send", "setting.json", "one.dcm"],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert set(scp.received["transfer_syntax"]) == {IMPLICIT}
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "dicomkit.conversion" in loaded
    assert not loaded & {"pydicom", "numpy", "pandas", "pynetdicom", "dataclasses", "logging"}


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "many", None])
def test_max_decoded_bytes_is_a_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match="max_decoded_bytes"):
        send_batch(dicomkit.DicomSenderSetting(remote_host="127.0.0.1"), [], max_decoded_bytes=value)  # type: ignore[arg-type]
