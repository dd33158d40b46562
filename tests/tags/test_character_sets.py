"""Text by its Specific Character Set: the examples of PS3.5, every set, what does not fit, and what DCMTK reads."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from dicomkit.tags import character_problem, find_rows, text_at, value
from dicomkit.tags._character_sets import decode_text
from dicomkit.widgets.image import series_from
from tests.support.peers import program

IR_13 = "ISO 2022 IR 13"
IR_58 = "ISO 2022 IR 58"
IR_87 = "ISO 2022 IR 87"
IR_149 = "ISO 2022 IR 149"
IR_159 = "ISO 2022 IR 159"

# PS3.5 H.3.1, H.3.2, I.2, K.2: the bytes as they stand there.
NAMES = {
    "H.3.1": (
        ["", IR_87],
        "59 61 6d 61 64 61 5e 54 61 72 6f 75 3d 1b 24 42 3b 33 45 44 1b 28 42 5e 1b 24 42 42 40 4f 3a 1b 28 42 3d"
        "1b 24 42 24 64 24 5e 24 40 1b 28 42 5e 1b 24 42 24 3f 24 6d 24 26 1b 28 42",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "H.3.2": (
        [IR_13, IR_87],
        "d4 cf c0 de 5e c0 db b3 3d 1b 24 42 3b 33 45 44 1b 28 4a 5e 1b 24 42 42 40 4f 3a 1b 28 4a 3d"
        "1b 24 42 24 64 24 5e 24 40 1b 28 4a 5e 1b 24 42 24 3f 24 6d 24 26 1b 28 4a",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "I.2": (
        ["", IR_149],
        "48 6f 6e 67 5e 47 69 6c 64 6f 6e 67 3d 1b 24 29 43 fb f3 5e 1b 24 29 43 d1 ce d4 d7 3d"
        "1b 24 29 43 c8 ab 5e 1b 24 29 43 b1 e6 b5 bf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "K.2": (
        ["", IR_58],
        "5a 68 61 6e 67 5e 58 69 61 6f 44 6f 6e 67 3d 1b 24 29 41 d5 c5 5e 1b 24 29 41 d0 a1 b6 ab 3d",
        "Zhang^XiaoDong=张^小东",
    ),
    "J.1": (["ISO_IR 192"], "Wang^XiaoDong=王^小東".encode().hex(), "Wang^XiaoDong=王^小東"),
    "J.3": (["GB18030"], "Wang^XiaoDong=王^小东".encode("gb18030").hex(), "Wang^XiaoDong=王^小东"),
    "IR 159 after IR 87": (
        ["", IR_87, IR_159],
        "41 5e 42 3d 1b 24 28 44 30 21 30 22 1b 28 42 5e 1b 24 42 3b 33 1b 28 42",
        "A^B=丂丄^山",
    ),
    "two of one byte": (
        ["ISO 2022 IR 100", "ISO 2022 IR 144"],
        "42 6a f8 72 6e 5e 1b 2d 4c bb ee da 5e 78 f8",
        "Bjørn^Люк^xø",
    ),
    "Greek by escape": (["", "ISO 2022 IR 126"], "78 5e 1b 2d 46 c4 e9 ef", "x^Διο"),
    "Latin-9 by escape": (["", "ISO 2022 IR 203"], "1b 2d 62 bc 20 a4", "Œ €"),
}


def explicit(tag: int, vr: bytes, stored: bytes) -> bytes:
    stored += b" " * (len(stored) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(stored)) + stored


def file_of(path: Path, terms: list[str], *elements: bytes) -> Path:
    """A file with these elements, in Explicit VR Little Endian; bytes of text are taken as they are."""
    meta = explicit(0x00020002, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0") + explicit(
        0x00020010, b"UI", b"1.2.840.10008.1.2.1\0"
    )
    body = (
        explicit(0x00080005, b"CS", "\\".join(terms).encode())
        + explicit(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0")
        + explicit(0x00080018, b"UI", b"1.2.3\0")
        + b"".join(elements)
    )
    group = explicit(0x00020000, b"UL", struct.pack("<I", len(meta)))
    path.write_bytes(bytes(128) + b"DICM" + group + meta + body)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_the_standard_are_read_as_they_are_printed_there(name: str, tmp_path: Path) -> None:
    terms, stored, expected = NAMES[name]
    path = file_of(tmp_path / "name.dcm", terms, explicit(0x00100010, b"PN", bytes.fromhex(stored)))
    dataset = dcmread(path)
    (row,) = [row for row in find_rows(dataset) if row.tag == 0x00100010]
    assert value(row) == (expected, True)
    assert character_problem(row) == ""


@pytest.mark.parametrize("name", [name for name in NAMES if "." in name])
def test_a_name_that_pydicom_has_converted_is_read_from_the_bytes_it_keeps(name: str, tmp_path: Path) -> None:
    terms, stored, expected = NAMES[name]
    stored_bytes = bytes.fromhex(stored)
    path = file_of(
        tmp_path / "n.dcm",
        terms,
        explicit(0x00081030, b"LO", b"-"),
        explicit(0x00100010, b"PN", stored_bytes),
    )
    dataset = dcmread(path)
    assert dataset.PatientName is not None
    (row,) = [row for row in find_rows(dataset) if row.tag == 0x00100010]
    assert value(row) == (expected, True)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if not {IR_87, "ISO 2022 IR 203"} & set(NAMES[name][0])]
)
def test_dcmtk_reads_the_same_names(name: str, tmp_path: Path) -> None:
    """Those whose sets it converts: without ISO 2022 IR 87 and 159."""
    terms, stored, expected = NAMES[name]
    path = file_of(tmp_path / "name.dcm", terms, explicit(0x00100010, b"PN", bytes.fromhex(stored)))
    said = subprocess.run(
        [program("dcmdump"), "+U8", "+P", "0010,0010", str(path)], capture_output=True, check=True, timeout=60
    ).stdout.decode()
    assert said[said.index("[") + 1 : said.rindex("]")].rstrip("=") == expected


def test_several_values_and_lines_begin_in_the_initial_set(tmp_path: Path) -> None:
    """PS3.5 6.1.2.5.3; K.3 has such lines."""
    line = b"\x1b$)A\xd0\xc2"
    text = decode_text(line + b"1\r\n" + line + b"2\\x", ["", IR_58], "LT")
    assert (text.text, text.problem) == ("新1\r\n新2\\x", "")
    said = decode_text(b"\x1b-F\xc1\\\xe4", ["ISO 2022 IR 100", "ISO 2022 IR 126"], "LO")
    assert (said.text, said.problem) == ("\u0391\\ä", "")


def test_a_backslash_within_a_character_is_none_between_values() -> None:
    """The second byte of a character may be 5C in GB18030, GBK (PS3.5 6.1.2.4), and JIS X 0208."""
    in_gbk = bytes((0x81, 0x5C))
    assert decode_text(in_gbk + b"\\A", ["GBK"], "LO").text == f"{in_gbk.decode('gbk')}\\A"
    kanji = bytes((0x30, 0x5C))
    said = decode_text(b"\x1b$B" + kanji + b"\x1b(B\\A", ["", IR_87], "LO")
    assert said.text == f"{bytes((0xB0, 0xDC)).decode('euc_jp')}\\A"


def test_the_places_where_jis_x_0201_is_not_ascii() -> None:
    assert decode_text(b"a~\\\xd4", ["ISO_IR 13"], "ST").text == "a\u203e\xa5ﾔ"
    assert decode_text(b"a\\\xd4", ["ISO_IR 13"], "LO").text == "a\\ﾔ"


SINGLE = {
    "100": "iso8859_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "tis_620",
    "203": "iso8859_15",
}


@pytest.mark.parametrize("number", SINGLE)
@pytest.mark.parametrize("term", ["ISO_IR {}", "ISO 2022 IR {}", "ISO IR {}", "iso-ir-{}"])
def test_every_character_of_every_set_of_one_byte(number: str, term: str) -> None:
    """PS3.3 Tables C.12-2 and C.12-3, and how writers spell them."""
    for byte in range(0xA0, 0x100):
        stored = bytes((0x41, byte))
        try:
            expected = stored.decode(SINGLE[number])
        except UnicodeError:
            said = decode_text(stored, [term.format(number)], "LO")
            assert said.text == "A\ufffd"
            assert f"none of ISO_IR {number}" in said.problem
        else:
            assert decode_text(stored, [term.format(number)], "LO").text == expected


@given(st.text(st.sampled_from("東京 ABC山田あア漢字"), max_size=30))
def test_what_python_writes_in_iso_2022_jp_is_read(text: str) -> None:
    said = decode_text(text.encode("iso2022_jp"), ["", IR_87], "UT")
    assert (said.text, said.problem) == (text, "")


@given(
    st.binary(max_size=60),
    st.sampled_from(["", IR_13, IR_58, IR_87, IR_149, "GBK", "ISO_IR 192", "x", "latin1"]),
)
def test_any_bytes_under_any_set_are_some_text(data: bytes, term: str) -> None:
    for vr in ("PN", "LO", "UT", "CS"):
        said = decode_text(data, [term, IR_159], vr)
        assert isinstance(said.text, str)
        assert said.problem or "\ufffd" not in said.text


@given(st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20), max_size=50))
def test_ascii_is_ascii_in_every_set_but_the_japanese_one(text: str) -> None:
    for term in ("", "ISO_IR 100", IR_87, IR_149, IR_58, "GB18030", "GBK", "ISO_IR 192", "unheard of"):
        assert decode_text(text.encode(), [term], "LO").text == text


@pytest.mark.parametrize(
    ("terms", "stored", "shown", "problem"),
    [
        ([], "Grün".encode("latin-1"), "Grün", "has bytes beyond ASCII, and no Specific Character Set"),
        ([], "Grün".encode(), "GrÃ¼n", "it is valid UTF-8"),
        (["ISO_IR 192"], b"Gr\xfcn", "Gr\ufffdn", "has bytes that are none of ISO_IR 192"),
        (["ISO_IR 100"], b"it\x92s", "it\x92s", "Windows-1252"),
        (["ISO_IR 999"], b"x\xe9", "xé", "has the Specific Character Set ISO_IR 999, which is not known"),
        (["ISO 2022 IR 100"], b"\x1b-L\xbb", "Л", "switches to ISO_IR 144, which its Specific Character Set"),
        (["", IR_58], b"\x1b$)A\xd5", "\ufffd", "none of ISO 2022 IR 58"),
        (["", IR_87], b"\x1b$B\x21", "\ufffd", "none of ISO 2022 IR 87"),
    ],
)
def test_what_does_not_fit_is_told(terms: list[str], stored: bytes, shown: str, problem: str) -> None:
    said = decode_text(stored, terms, "LO")
    assert said.text == shown
    assert problem in said.problem


def test_a_code_string_has_no_character_set(tmp_path: Path) -> None:
    path = file_of(tmp_path / "odd.dcm", ["ISO_IR 192"], explicit(0x00180015, b"CS", b"KN\xc9E"))
    (row,) = [row for row in find_rows(dcmread(path)) if row.tag == 0x00180015]
    assert value(row)[0] == "KNÉE"
    assert "which the VR CS has none of" in character_problem(row)


def test_items_inherit_their_character_set_or_have_their_own(tmp_path: Path) -> None:
    """PS3.3 C.12.1.1.2; a set that pydicom does not know, so that it could not pass it on."""
    own = explicit(0x00080005, b"CS", b"ISO_IR 126") + explicit(0x00080104, b"LO", b"\xc1")
    inherited = explicit(0x00080104, b"LO", b"\xa4")
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in (own, inherited))
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, len(items)) + items
    path = file_of(tmp_path / "items.dcm", ["ISO_IR 203"], sequence)
    said = [value(row)[0] for row in find_rows(dcmread(path)) if row.tag == 0x00080104]
    assert said == ["\u0391", "€"]


def test_series_and_patients_are_named_by_their_character_set(tmp_path: Path) -> None:
    described = b"\x1b$)A\xd0\xd8\xb2\xbf"
    path = file_of(tmp_path / "s.dcm", ["", IR_58], explicit(0x0008103E, b"LO", described))
    assert text_at(dcmread(path), "SeriesDescription") == "胸部"
    assert text_at(dcmread(path), "PatientName") == ""
    (series,) = series_from(path)
    assert series.name == "胸部"
