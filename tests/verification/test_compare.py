"""Two data sets compared element by element: what counts as a difference, what is encoding, and what may be shown."""

from __future__ import annotations

import copy
import io
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments, generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import JPEG2000, UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicomkit.dictionary.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.verification._allowed import ALLOWED
from dicomkit.verification._compare import Comparison, compare
from dicomkit.verification._elements import Encoded, NotComparable, read_data_set
from tests.support.files import ct_instance, data_set_of
from tests.support.peers import program


def encoded(ds: Dataset, syntax: str = EXPLICIT_LE) -> Encoded:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = syntax == IMPLICIT_LE
    write_dataset(buffer, ds)
    return Encoded(buffer.getvalue(), syntax)


def a_data_set() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.Modality = "CT"
    ds.Manufacturer = "Maker"
    ds.PatientName = "Müller^Jürgen"
    ds.PatientID = "P1"
    ds.PixelSpacing = ["0.5", "0.5"]
    ds.SliceThickness = "1.0"
    ds.Rows = 3
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    item.ReferencedSOPInstanceUID = "1.2.3"
    ds.ReferencedImageSequence = Items([item])
    block = ds.private_block(0x0009, "dicomkit tests", create=True)
    block.add_new(0x01, "LO", "secret")
    block.add_new(0x02, "SQ", Items([copy.deepcopy(item)]))
    return ds


def said(change: Callable[[Dataset], object]) -> list[str]:
    """What the comparison says when only one of the two was changed."""
    changed = a_data_set()
    change(changed)
    return [str(difference) for difference in compare(encoded(a_data_set()), encoded(changed)).differences]


def test_a_data_set_equals_itself_in_either_encoding_private_sequences_included() -> None:
    for one in (EXPLICIT_LE, IMPLICIT_LE):
        for other in (EXPLICIT_LE, IMPLICIT_LE):
            comparison = compare(encoded(a_data_set(), one), encoded(a_data_set(), other))
            assert comparison.differences == ()
            assert comparison.elements == 12


def test_a_changed_name_is_told_by_tag_and_keyword_and_never_by_value() -> None:
    assert said(lambda ds: setattr(ds, "PatientName", "Other^Name")) == ["(0010,0010) PatientName changed"]


@pytest.mark.parametrize(
    ("tag", "vr", "values"),
    [
        (0x00080020, "DA", ("20260101", "20260102")),
        (0x00080018, "UI", ("1.2.3", "1.2.4")),
        (0x00100030, "DA", ("19700101", "19700102")),
        (0x00100040, "CS", ("M", "F")),
        (0x00101010, "AS", ("040Y", "041Y")),
        (0x00101030, "DS", ("70", "71")),
        (0x00111001, "US", (1, 2)),
    ],
)
def test_what_may_identify_is_not_shown_though_its_kind_is(
    tag: int, vr: str, values: tuple[object, object]
) -> None:
    """PS3.15 Table E.1-1, and every private attribute."""
    one, other = Dataset(), Dataset()
    one.add_new(tag, vr, values[0])
    other.add_new(tag, vr, values[1])
    (difference,) = compare(encoded(one), encoded(other)).differences
    assert difference.what == "changed"
    assert difference.values == ""


def test_values_are_shown_where_they_identify_nobody() -> None:
    assert said(lambda ds: setattr(ds, "Modality", "MR")) == [
        "(0008,0060) Modality changed ('CT' became 'MR')"
    ]
    assert said(lambda ds: setattr(ds, "Rows", 4)) == ["(0028,0010) Rows changed ('3' became '4')"]
    assert said(lambda ds: setattr(ds, "PixelSpacing", None)) == [
        "(0028,0030) PixelSpacing changed ('0.5\\\\0.5' became nothing)"
    ]


def test_a_number_written_otherwise_is_a_change() -> None:
    assert said(lambda ds: setattr(ds, "SliceThickness", "1.00")) == [
        "(0018,0050) SliceThickness changed ('1.0' became '1.00')"
    ]


def test_free_text_and_private_elements_are_named_only() -> None:
    assert said(lambda ds: setattr(ds, "Manufacturer", "Doe^John")) == ["(0008,0070) Manufacturer changed"]
    assert said(lambda ds: setattr(ds[0x0009, 0x1001], "value", "other")) == ["(0009,1001) changed"]


def test_missing_and_added_elements_are_told_apart() -> None:
    def exchange(ds: Dataset) -> None:
        del ds.PatientID
        ds.PatientComments = "a comment"

    assert said(exchange) == ["(0010,0020) PatientID missing", "(0010,4000) PatientComments added"]


def test_an_element_in_a_sequence_is_told_with_its_item() -> None:
    assert said(lambda ds: setattr(ds.ReferencedImageSequence[0], "ReferencedSOPInstanceUID", "1.2.4")) == [
        "(0008,1140)[1] > (0008,1155) ReferencedSOPInstanceUID changed"
    ]
    assert said(lambda ds: ds.ReferencedImageSequence.append(Dataset())) == [
        "(0008,1140) ReferencedImageSequence changed (1 items became 2)"
    ]


def test_many_differences_are_counted() -> None:
    ds = Dataset()
    for element in range(20):
        ds.add_new((0x0018, 0x1400 + element), "LO", "x")
    assert str(compare(encoded(ds), encoded(Dataset()))).endswith("; and 12 more")


def test_padding_group_lengths_and_trailing_padding_are_no_difference() -> None:
    one, other = Dataset(), Dataset()
    one.StudyDescription, other.StudyDescription = "text", "text  "
    one.ImageType, other.ImageType = ["ORIGINAL", "PRIMARY"], ["ORIGINAL ", "PRIMARY "]
    one.StudyInstanceUID, other.StudyInstanceUID = UID("1.2.3"), UID("1.2.3")
    other.add_new((0x0008, 0x0000), "UL", 10)
    other.add_new((0xFFFC, 0xFFFC), "OB", bytes(8))
    comparison = compare(encoded(one), encoded(other))
    assert (comparison.elements, comparison.differences) == (3, ())


@pytest.mark.parametrize(
    ("vr", "sent", "back", "is_same"),
    [
        (b"OB", b"abc", b"abc\0", True),
        (b"OB", b"abc", b"abc ", False),
        (b"OB", b"abc", b"abc\0\0\0", False),
        (b"OB", b"ab", b"ab\0", False),
        (b"UN", b"abc", b"abc ", True),
        (b"UN", b"abc", b"abc\0", True),
        (b"UN", b"ab", b"ab ", False),
    ],
)
def test_one_byte_that_makes_a_length_even_is_no_difference(
    vr: bytes, sent: bytes, back: bytes, is_same: bool
) -> None:
    """PS3.5 6.2, 7.1.1: bytes are padded with a NUL, and what stands in UN may have been a text."""
    one, other = (Encoded(element(0x00091001, vr, value), EXPLICIT_LE) for value in (sent, back))
    assert (compare(one, other).differences == ()) is is_same
    assert (compare(other, one).differences == ()) is is_same


def test_leading_spaces_of_a_comment_mean_something() -> None:
    one, other = Dataset(), Dataset()
    one.PatientComments, other.PatientComments = "text", " text"
    assert len(compare(encoded(one), encoded(other)).differences) == 1


def test_a_text_that_was_encoded_again_is_a_change() -> None:
    def to_latin(ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 100"

    assert said(to_latin) == [
        "(0008,0005) SpecificCharacterSet changed ('ISO_IR 192' became 'ISO_IR 100')",
        "(0010,0010) PatientName changed",
    ]


def test_the_same_bytes_in_another_character_set_are_another_text() -> None:
    ds = a_data_set()
    bytes_before = encoded(ds).data
    relabelled = Encoded(bytes_before.replace(b"ISO_IR 192", b"ISO_IR 100"), EXPLICIT_LE)
    tags = [difference.path for difference in compare(encoded(ds), relabelled).differences]
    assert tags == ["(0008,0005) SpecificCharacterSet"]


def test_one_pixel_is_a_difference() -> None:
    data = bytearray(data_set_of(ct_instance()))
    sent = Encoded(bytes(data), EXPLICIT_LE)
    data[-1000] ^= 1
    comparison = compare(sent, Encoded(bytes(data), EXPLICIT_LE))
    assert str(comparison) == "(7fe0,0010) PixelData changed"


def test_what_is_cut_short_differs_or_cannot_be_compared() -> None:
    sent = Encoded(data_set_of(ct_instance()), EXPLICIT_LE)
    assert compare(sent, Encoded(sent.data[:-10], EXPLICIT_LE)).differences
    assert compare(sent, Encoded(b"", EXPLICIT_LE)).differences
    with pytest.raises(NotComparable, match="no deflated data set"):
        compare(sent, Encoded(sent.data, DEFLATED_LE))


@given(st.binary(max_size=400))
def test_whatever_comes_back_is_compared_or_refused(data: bytes) -> None:
    sent = encoded(a_data_set())
    for syntax in (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE):
        with suppress(NotComparable):
            compare(sent, Encoded(data, syntax))
            compare(Encoded(data, syntax), sent)


# Values: one changed byte of any is a difference, and none is when only the encoding changes


def element(tag: int, vr: bytes, value: bytes, syntax: str = EXPLICIT_LE) -> bytes:
    """One element by hand, as no library would write it."""
    order = ">" if syntax == EXPLICIT_BE else "<"
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT_LE:
        return head + struct.pack("<I", len(value)) + value
    if vr in (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SV", b"UV", b"SQ", b"UN", b"UT", b"UC", b"UR"):
        return head + vr + b"\0\0" + struct.pack(f"{order}I", len(value)) + value
    return head + vr + struct.pack(f"{order}H", len(value)) + value


WORDS = {b"US": 2, b"SS": 2, b"AT": 2, b"OW": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"OF": 4, b"OL": 4} | {
    b"FD": 8,
    b"OD": 8,
    b"OV": 8,
    b"SV": 8,
    b"UV": 8,
}
TEXTS = (
    b"AE",
    b"AS",
    b"CS",
    b"DA",
    b"DS",
    b"DT",
    b"IS",
    b"LO",
    b"LT",
    b"PN",
    b"SH",
    b"ST",
    b"TM",
    b"UC",
    b"UR",
    b"UT",
)
TAGS = st.integers(0x0010, 0x00FF).map(lambda number: 0x00110000 | number << 8 | 0x01)


@st.composite
def values(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    """A private element: tag, VR, and a value of even length in Little Endian."""
    vr = draw(st.sampled_from([*WORDS, *TEXTS, b"UI", b"OB", b"UN"]))
    value = draw(st.binary(max_size=24))
    value += bytes(-len(value) % WORDS.get(vr, 2))
    return draw(TAGS), vr, value


def swapped(value: bytes, size: int) -> bytes:
    return b"".join(value[at : at + size][::-1] for at in range(0, len(value), size))


def written(elements: dict[int, tuple[bytes, bytes]], syntax: str) -> Encoded:
    data = b""
    for tag, (vr, value) in sorted(elements.items()):
        in_order = swapped(value, WORDS.get(vr, 1)) if syntax == EXPLICIT_BE else value
        data += element(tag, vr, in_order, syntax)
    return Encoded(data, syntax)


SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE)


@given(st.lists(values(), max_size=6), st.sampled_from(SYNTAXES), st.sampled_from(SYNTAXES))
def test_another_encoding_of_the_same_values_is_no_difference(
    found: list[tuple[int, bytes, bytes]], syntax: str, other: str
) -> None:
    elements = {tag: (vr, value) for tag, vr, value in found}
    comparison = compare(written(elements, syntax), written(elements, other))
    assert (comparison.elements, comparison.differences) == (len(elements), ())


PUBLIC = {
    0x00080070: b"LO",
    0x00081030: b"LO",
    0x00100010: b"PN",
    0x00104000: b"LT",
    0x00181063: b"DS",
    0x0020000E: b"UI",
    0x00280009: b"AT",
    0x00280106: b"US",
    0x00281052: b"DS",
    0x00281201: b"OW",
    0x0040A160: b"UT",
    0x00720066: b"SL",
    0x00720074: b"FD",
    0x00720076: b"FL",
}


@pytest.fixture
def dcmconv() -> str:
    return program("dcmconv")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(sorted(PUBLIC)), st.binary(max_size=24), max_size=8),
    st.lists(values(), max_size=4),
    st.sampled_from(SYNTAXES),
    st.sampled_from([("+ti",), ("+te",), ("+tb",), ("+te", "+g"), ("+td",)]),
)
def test_what_dcmtk_encoded_anew_is_no_difference(
    dcmconv: str,
    tmp_path: Path,
    public: dict[int, bytes],
    private: list[tuple[int, bytes, bytes]],
    syntax: str,
    options: tuple[str, ...],
) -> None:
    # DCMTK takes white space out of a UID, where there should be none.
    digits = bytes(0x30 + byte % 10 for byte in range(256))
    public = {
        tag: value.translate(digits) if PUBLIC[tag] == b"UI" else value for tag, value in public.items()
    }
    private = [(tag, vr, value.translate(digits) if vr == b"UI" else value) for tag, vr, value in private]
    elements = {
        tag: (PUBLIC[tag], value + bytes(-len(value) % max(2, WORDS.get(PUBLIC[tag], 2))))
        for tag, value in public.items()
    } | {tag: (vr, value) for tag, vr, value in private}
    elements[0x00080016] = (b"UI", b"1.2.840.10008.5.1.4.1.1.7\0")
    elements[0x00080018] = (b"UI", b"1.2.3.4\0")
    elements |= {tag & 0xFFFF0000 | tag >> 8 & 0xFF: (b"LO", b"tests ") for tag, _, _ in private}
    sent = written(elements, syntax)
    meta = element(0x00020010, b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    source, result = tmp_path / "one.dcm", tmp_path / "two.dcm"
    source.write_bytes(
        bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + sent.data
    )
    subprocess.run([dcmconv, *options, source, result], check=True, capture_output=True)
    other = {"+ti": IMPLICIT_LE, "+te": EXPLICIT_LE, "+tb": EXPLICIT_BE, "+td": DEFLATED_LE}[options[0]]
    assert compare(sent, Encoded(data_set_of(result), other)).differences == ()


@given(values(), st.integers(0), st.integers(1, 255), st.sampled_from(SYNTAXES), st.sampled_from(SYNTAXES))
def test_every_changed_byte_of_a_value_is_noticed(
    found: tuple[int, bytes, bytes], position: int, change: int, syntax: str, other: str
) -> None:
    tag, vr, value = found
    assume(value)
    changed = bytearray(value)
    changed[position % len(value)] ^= change
    before, after = value[position % len(value)], changed[position % len(value)]
    assume(not (vr in (*TEXTS, b"UI") and {before, after} <= {0x00, 0x20}))  # padding, maybe
    if vr in (*TEXTS, b"UI") and {before, after} & {0x00, 0x20, 0x5C}:
        # Spaces around one of several values: what is left when these are taken away must differ, or it is padding.
        assume(
            value.replace(b" ", b"").replace(b"\0", b"")
            != bytes(changed).replace(b" ", b"").replace(b"\0", b"")
        )
    comparison = compare(written({tag: (vr, value)}, syntax), written({tag: (vr, bytes(changed))}, other))
    assert [difference.tag for difference in comparison.differences] == [tag]


@given(st.integers(0, 2**16 - 1))
def test_numbers_in_big_endian_are_shown_right(rows: int) -> None:
    sent = Encoded(element(0x00280010, b"US", struct.pack(">H", rows), EXPLICIT_BE), EXPLICIT_BE)
    back = Encoded(element(0x00280010, b"US", struct.pack("<H", rows ^ 1)), EXPLICIT_LE)
    (difference,) = compare(sent, back).differences
    assert difference.values == f"'{rows}' became '{rows ^ 1}'"


def test_a_word_whose_bytes_were_not_swapped_is_a_change() -> None:
    sent = Encoded(element(0x00281201, b"OW", b"\1\2\3\4", EXPLICIT_BE), EXPLICIT_BE)
    assert compare(sent, Encoded(element(0x00281201, b"OW", b"\2\1\4\3"), EXPLICIT_LE)).differences == ()
    assert len(compare(sent, Encoded(element(0x00281201, b"OW", b"\1\2\3\4"), EXPLICIT_LE)).differences) == 1


def test_a_number_that_is_signed_now_is_another_number() -> None:
    def number(vr: bytes, value: int) -> Encoded:
        return Encoded(element(0x00280106, vr, struct.pack("<H", value)), EXPLICIT_LE)

    assert compare(number(b"US", 5), number(b"SS", 5)).differences == ()
    assert len(compare(number(b"US", 0xFFFF), number(b"SS", 0xFFFF)).differences) == 1


@pytest.mark.parametrize("vr", [b"??", b"\0\0", b"  ", b"--"])
def test_what_follows_an_unknown_representation_is_looked_at(vr: bytes) -> None:
    """As DCMTK writes it, which makes UN of it."""
    before = element(0x00080060, b"CS", b"CT")
    odd = struct.pack("<HH2sH", 0x0029, 0x1010, vr, 4) + b"abcd"
    after = element(0x0040A160, b"UT", b"finding ")
    sent = Encoded(before + odd + after, EXPLICIT_LE)
    known = before + element(0x00291010, b"UN", b"abcd") + after
    assert compare(sent, Encoded(known, EXPLICIT_LE)).differences == ()
    cut = compare(sent, Encoded(before, EXPLICIT_LE))
    assert str(cut) == "(0029,1010) missing; (0040,a160) TextValue missing"


def test_what_comes_after_the_last_element_and_could_be_none_means_nothing() -> None:
    sent = Encoded(element(0x00080060, b"CS", b"CT"), EXPLICIT_LE)
    for tail in (b"\0" * 64, b"\0" * 7, b"abc"):
        assert compare(Encoded(sent.data + tail, EXPLICIT_LE), sent).differences == ()
    longer = Encoded(sent.data + b"\0" * 512 + element(0x00080070, b"LO", b"ACME"), EXPLICIT_LE)
    assert str(compare(longer, sent)) == "(0008,0070) Manufacturer missing"


def test_items_of_the_other_kind_are_read_as_what_they_are() -> None:
    """Explicit items in UN, against PS3.5 6.2.2, and implicit ones in an explicit sequence: some write both."""

    def item(content: bytes, *, is_open: bool) -> bytes:
        length = 0xFFFFFFFF if is_open else len(content)
        end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) if is_open else b""
        return struct.pack("<HHI", 0xFFFE, 0xE000, length) + content + end

    explicit = element(0x00080060, b"CS", b"CT") + element(0x00280010, b"US", b"\1\2")
    implicit = struct.pack("<HHI2sHHI2s", 8, 0x60, 2, b"CT", 0x28, 0x10, 2, b"\1\2")
    kinds = {
        (vr, is_open, kind): Encoded(
            struct.pack("<HH2sHI", 0x0009, 0x1010, vr, 0, 0xFFFFFFFF)
            + item(content, is_open=is_open)
            + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
            + element(0x00100020, b"LO", b"P1"),
            EXPLICIT_LE,
        )
        for vr in (b"UN", b"SQ")
        for is_open in (True, False)
        for kind, content in (("explicit", explicit), ("implicit", implicit))
    }
    for sent in kinds.values():
        for back in kinds.values():
            assert compare(sent, back).differences == ()
        changed = Encoded(sent.data.replace(b"\1\2", b"\1\3"), EXPLICIT_LE)
        assert str(compare(sent, changed)).startswith("(0009,1010)[1] > (0028,0010) Rows changed")


def test_a_value_that_is_no_whole_number_of_words_is_not_turned() -> None:
    """Nobody knows how: what is sent of it is its bytes, as UN."""
    big = Encoded(struct.pack(">HH2sH", 0x0028, 0x0010, b"US", 3) + b"\0\1\2", EXPLICIT_BE)
    as_it_was = Encoded(element(0x00280010, b"UN", b"\0\1\2"), EXPLICIT_LE)
    assert compare(big, as_it_was).differences == ()
    assert compare(big, Encoded(element(0x00280010, b"UN", b"\1\0\2"), EXPLICIT_LE)).differences


def test_an_element_that_is_there_twice_is_compared_twice() -> None:
    once = element(0x00080060, b"CS", b"CT")
    comparison = compare(Encoded(once + once, EXPLICIT_LE), Encoded(once, EXPLICIT_LE))
    assert str(comparison) == "(0008,0060) Modality missing"


@given(
    st.recursive(st.just([]), lambda inner: st.lists(st.lists(inner, max_size=2), max_size=2), max_leaves=8)
)
def test_sequences_are_the_same_with_lengths_of_either_kind_and_inside_un(nested: list[object]) -> None:
    def sequence(items: list[object], syntax: str, *, is_open: bool) -> bytes:
        order = ">" if syntax == EXPLICIT_BE else "<"

        def mark(number: int, length: int) -> bytes:
            return struct.pack(f"{order}HHI", 0xFFFE, number, length)

        content = b""
        for item in items:
            of_item = element(0x00110010, b"LO", b"A ", syntax) + sequence(item, syntax, is_open=is_open)  # type: ignore[arg-type]
            content += mark(0xE000, 0xFFFFFFFF if is_open else len(of_item)) + of_item
            content += mark(0xE00D, 0) if is_open else b""
        if not is_open:
            return element(0x00111001, b"SQ", content, syntax)
        head = element(0x00111001, b"SQ", b"", syntax)[:-4] + b"\xff" * 4
        return head + content + mark(0xE0DD, 0)

    forms = [
        Encoded(sequence(nested, syntax, is_open=is_open), syntax)
        for syntax in SYNTAXES
        for is_open in (False, True)
    ]
    inside = sequence(nested, IMPLICIT_LE, is_open=False)[8:]
    forms.append(Encoded(element(0x00111001, b"UN", inside), EXPLICIT_LE))
    for one in forms:
        for other in forms:
            assert compare(one, other).differences == ()


PYDICOMS_FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_reader_finds_what_pydicom_finds() -> None:
    """Its values are those of pydicom's raw elements, in every file that comes with it and is whole."""
    compared = 0
    for path in PYDICOMS_FILES:
        content = path.read_bytes()
        if content[128:132] != b"DICM" or "truncated" in path.name or len(content) > 1_000_000:
            continue
        ds = dcmread(io.BytesIO(content), force=True)
        syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
        if not syntax or path.name == "SC_rgb_jpeg.dcm":  # Implicit VR under a syntax of Explicit VR
            continue
        with suppress(NotComparable):
            found = read_data_set(Encoded(data_set_of(content), syntax))
            for tag in list(ds.keys()):
                raw = ds.get_item(tag)
                if isinstance(raw, RawDataElement) and raw.length != 0xFFFFFFFF:
                    ours = found.get(int(tag))
                    assert ours is not None, (path.name, tag)
                    assert ours.value == (raw.value or b""), (path.name, tag)
                    compared += 1
    assert compared > 3000


@pytest.mark.parametrize("depth", [50, 5000])
def test_sequences_nested_too_deep_are_compared_or_refused(depth: int) -> None:
    head = struct.pack("<HH2sHI", 0x0011, 0x1001, b"SQ", 0, 0xFFFFFFFF) + b"\xfe\xff\0\xe0" + b"\xff" * 4
    tail = b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
    nested = Encoded(head * depth + tail * depth, EXPLICIT_LE)
    if depth == 50:
        assert compare(nested, nested).differences == ()
    else:
        with pytest.raises(NotComparable, match="nested too deep"):
            compare(nested, nested)


def test_values_in_a_sequence_that_identifies_are_not_shown() -> None:
    def request(priority: str) -> Encoded:
        item = element(0x00080060, b"CS", priority.encode())
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
        return Encoded(element(0x00400275, b"SQ", item) + element(0x00540016, b"SQ", item), EXPLICIT_LE)

    comparison = compare(request("CT"), request("MR"))
    assert str(comparison) == (
        "(0040,0275)[1] > (0008,0060) Modality changed; "
        "(0054,0016)[1] > (0008,0060) Modality changed ('CT' became 'MR')"
    )
    assert [difference.tag for difference in comparison.differences] == [0x00400275, 0x00540016]


# Pixels


def compressed(ds: Dataset, syntax: UID) -> Encoded:
    ds.compress(syntax, generate_instance_uid=False)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return Encoded(buffer.getvalue(), str(syntax))


def a_picture(changed: bool = False, *, frames: int = 1, colours: int = 1) -> Dataset:
    ds = dcmread(io.BytesIO(ct_instance(rows=64, columns=32)))
    shape = (frames, 64, 32, colours)
    pixels = np.arange(np.prod(shape), dtype="<u2").reshape(shape) * 7 % 251
    if changed:
        pixels.flat[100] += 1
    if frames > 1:
        ds.NumberOfFrames = frames
    if colours > 1:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = colours, "RGB", 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        pixels = pixels.astype("u1")
    ds.PixelData = pixels.tobytes()
    return ds


def with_changes(ds: Dataset, **changes: object) -> Dataset:
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


LOSSLESS = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize(("frames", "colours"), [(1, 1), (3, 1), (2, 3)])
def test_pixels_compressed_without_loss_are_the_same_pixels(syntax: UID, frames: int, colours: int) -> None:
    native = encoded(a_picture(frames=frames, colours=colours))
    other = compressed(a_picture(frames=frames, colours=colours), syntax)
    for sent, back in ((native, other), (other, native)):
        comparison = compare(sent, back)
        assert (comparison.differences, comparison.doubts, comparison.has_decoded) == ((), (), True)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_one_changed_pixel_is_found_through_the_compression(syntax: UID) -> None:
    verdict = compare(compressed(a_picture(), syntax), encoded(a_picture(changed=True)))
    assert str(verdict) == "(7fe0,0010) PixelData changed (1 of the 2048 decoded values of frame 1 differ)"


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda ds: with_changes(ds, NumberOfFrames=2, PixelData=ds.PixelData[: 2 * 6144]),
            "2 frames instead of 3",
        ),
        (lambda ds: with_changes(ds, PixelData=ds.PixelData[: 2 * 6144]), "2 frames of native pixels"),
        (lambda ds: with_changes(ds, PixelData=ds.PixelData[:-100]), "no whole number of frames"),
        (lambda ds: with_changes(ds, PlanarConfiguration=1), "decoded values of frame 1 differ"),
        (lambda ds: with_changes(ds, PhotometricInterpretation="YBR_FULL"), "are called YBR_FULL now"),
        (lambda ds: with_changes(ds, PhotometricInterpretation="BGR"), "came back as BGR"),
        (lambda ds: with_changes(ds, BitsStored=7, HighBit=6), "Bits Stored was 8, and 7 came back"),
        (lambda ds: with_changes(ds, PixelRepresentation=1), "Pixel Representation was 0, and 1 came back"),
        (lambda ds: with_changes(ds, Rows=32, Columns=64), "frame 1 has another size"),
    ],
)
def test_what_decompressing_did_wrong_is_a_change(
    syntax: UID, change: Callable[[Dataset], Dataset], said: str
) -> None:
    sent = compressed(a_picture(frames=3, colours=3), syntax)
    comparison = compare(sent, encoded(change(a_picture(frames=3, colours=3))))
    (difference,) = [one for one in comparison.differences if one.tag == 0x7FE00010]
    assert said in difference.values


def test_samples_in_planes_are_the_same_samples() -> None:
    planes = np.frombuffer(a_picture(colours=3).PixelData, "u1").reshape(64, 32, 3).transpose(2, 0, 1)
    in_planes = with_changes(a_picture(colours=3), PlanarConfiguration=1, PixelData=planes.tobytes())
    for sent in (encoded(a_picture(colours=3)), compressed(a_picture(colours=3), JPEGLSLossless)):
        assert compare(sent, encoded(in_planes)).differences == ()
    mislabelled = encoded(with_changes(a_picture(colours=3), PlanarConfiguration=1))
    assert "PlanarConfiguration changed" in str(compare(encoded(a_picture(colours=3)), mislabelled))


@pytest.mark.parametrize(
    "fragments", [[0, 1], [1], [0], []], ids=["two", "second cut", "first cut", "in one"]
)
@pytest.mark.parametrize("said", [None, 1, 5])
def test_frames_are_counted_in_the_code_streams_whatever_the_header_says(
    fragments: list[int], said: int | None
) -> None:
    """Fragments cut in the middle of a frame, or holding both; Number of Frames absent, or another one."""
    ds = a_picture(frames=2)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    streams = list(generate_frames(ds.PixelData, number_of_frames=2))
    pieces = [b"".join(streams)]
    if fragments:
        pieces = [
            part
            for number, stream in enumerate(streams)
            for part in (
                [stream] if number not in fragments or len(fragments) == 2 else [stream[:100], stream[100:]]
            )
        ]
    ds.PixelData = b"\xfe\xff\0\xe0" + bytes(4)
    for piece in pieces:
        ds.PixelData += b"\xfe\xff\0\xe0" + struct.pack("<I", len(piece)) + piece
    ds["PixelData"].is_undefined_length = True
    del ds.NumberOfFrames
    if said is not None:
        ds.NumberOfFrames = said
    sent = Encoded(encoded(ds).data, str(JPEG2000Lossless))
    whole = compare(sent, encoded(a_picture(frames=2)))
    assert (whole.differences, whole.doubts, whole.has_decoded) == ((), (), True)
    assert "1 frames instead of 2" in str(compare(sent, encoded(a_picture())))


def overlaid() -> Dataset:
    """Twelve bits of a picture, and an overlay in the highest bit (PS3.5 8.1.2)."""
    ds = a_picture()
    pixels = np.frombuffer(ds.PixelData, "<u2").copy()
    pixels[::5] |= 0x8000
    return with_changes(ds, BitsStored=12, HighBit=11, PixelData=pixels.tobytes())


def test_bits_above_those_stored_are_compared() -> None:
    whole = compressed(with_changes(overlaid(), BitsStored=16, HighBit=15), RLELossless)
    sent = Encoded(
        whole.data.replace(b"US\2\0\x10\0(\0\2\1US\2\0\x0f", b"US\2\0\x0c\0(\0\2\1US\2\0\x0b"),
        whole.transfer_syntax,
    )
    assert sent.data != whole.data
    assert compare(sent, encoded(overlaid())).differences == ()
    stripped = np.frombuffer(overlaid().PixelData, "<u2") & 0x0FFF
    back = encoded(with_changes(overlaid(), PixelData=stripped.tobytes()))
    assert "410 of the 2048 decoded values of frame 1 differ" in str(compare(sent, back))


def test_the_sign_may_be_repeated_in_the_bits_above_and_nothing_else() -> None:
    samples = np.arange(-1024, 1024, dtype="<i2")

    def signed(values: np.ndarray) -> Dataset:
        changes = {"PixelRepresentation": 1, "BitsStored": 12, "HighBit": 11, "PixelData": values.tobytes()}
        return with_changes(a_picture(), **changes)

    sent = compressed(signed(samples), JPEG2000Lossless)
    for back in (samples, samples & 0x0FFF):
        assert compare(sent, encoded(signed(back))).differences == ()
    broken = samples.copy()
    broken[700] ^= 0x4000
    assert "has bits that the other one has no room for" in str(compare(sent, encoded(signed(broken))))


def rle_frame(segments: list[bytes]) -> bytes:
    """Segments in literal runs (PS3.5 G.3, G.5)."""
    body, offsets = b"", []
    for segment in segments:
        offsets.append(64 + len(body))
        for start in range(0, len(segment), 128):
            run = segment[start : start + 128]
            body += bytes([len(run) - 1]) + run
        body += bytes(len(body) % 2)
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + body


@pytest.mark.parametrize(
    ("width", "samples"),
    # RLE has no more than 15 segments.
    [(width, samples) for width in (1, 2, 3, 4, 5, 8) for samples in (1, 3, 4) if width * samples <= 15],
)
def test_rle_of_samples_as_wide_and_as_many_as_any(width: int, samples: int) -> None:
    """PS3.5 G.2: a segment for each byte of each sample, the most significant first."""
    data = np.random.default_rng(1).integers(0, 256, (64, 32, samples, width)).astype("u1")
    ds = with_changes(a_picture(), BitsAllocated=8 * width, BitsStored=8 * width, HighBit=8 * width - 1)
    if samples > 1:
        ds.SamplesPerPixel, ds.PlanarConfiguration = samples, 0
        ds.PhotometricInterpretation = "RGB" if samples == 3 else "CMYK"
    native = encoded(with_changes(ds, PixelData=data.tobytes()))
    segments = [
        data[..., sample, byte].tobytes() for sample in range(samples) for byte in reversed(range(width))
    ]
    sent = Encoded(
        encoded(with_changes(ds, PixelData=b"")).data
        + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0)
        + struct.pack("<HHI", 0xFFFE, 0xE000, len(rle_frame(segments)))
        + rle_frame(segments)
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        str(RLELossless),
    )
    sent = Encoded(sent.data.replace(element(0x7FE00010, b"OW", b""), b""), sent.transfer_syntax)
    same = compare(sent, native)
    assert (same.differences, same.doubts, same.has_decoded) == ((), (), True)
    data.flat[100] ^= 1
    changed = compare(sent, encoded(with_changes(ds, PixelData=data.tobytes())))
    assert "1 of the" in str(changed)


def test_single_bits_are_compared() -> None:
    """PS3.5 8.1.1: frames of native ones begin within a byte, those of RLE with one of their own."""
    bits = np.random.default_rng(1).integers(0, 2, (3, 7, 5)).astype("u1")

    def described(**changes: object) -> Dataset:
        one = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "Rows": 7, "Columns": 5}
        return with_changes(a_picture(), **one, NumberOfFrames=3, **changes)

    def native(values: np.ndarray) -> Encoded:
        packed = np.packbits(values.reshape(-1), bitorder="little").tobytes()
        return encoded(described(PixelData=packed + bytes(len(packed) % 2)))

    frames = [rle_frame([np.packbits(one.reshape(-1), bitorder="little").tobytes()]) for one in bits]
    ds = described(PixelData=encapsulate(frames))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    sent = Encoded(encoded(ds).data, str(RLELossless))
    same = compare(sent, native(bits))
    assert (same.differences, same.doubts, same.has_decoded) == ((), (), True)
    for frame in range(3):
        changed = bits.copy()
        changed[frame, 6, 4] ^= 1
        assert f"1 of the 35 decoded values of frame {frame + 1} differ" in str(
            compare(sent, native(changed))
        )
    short = encoded(described(PixelData=native(bits).data[-14:-2]))
    assert "12 bytes of native pixels are not the 14" in str(compare(sent, short))


@pytest.mark.parametrize("said", [None, "MONOCHROME2", "PALETTE COLOR"])
def test_colour_that_the_source_gives_no_name_may_be_given_one(said: str | None) -> None:
    ds = a_picture(colours=3)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    if said is None:
        del ds.PhotometricInterpretation
    else:
        ds.PhotometricInterpretation = said
    sent = Encoded(encoded(ds).data, str(JPEGLSLossless))
    assert compare(sent, encoded(a_picture(colours=3))).differences == ()
    named = compressed(a_picture(colours=3), JPEGLSLossless)
    ds = a_picture(colours=3)
    if said is None:
        del ds.PhotometricInterpretation
    else:
        ds.PhotometricInterpretation = said
    assert "PhotometricInterpretation" in str(compare(named, encoded(ds)))


def test_what_decoders_may_differ_by_is_counted_across_zero_too() -> None:
    def signed(values: np.ndarray) -> Dataset:
        changes = {"PixelRepresentation": 1, "BitsStored": 12, "HighBit": 11, "PixelData": values.tobytes()}
        return with_changes(a_picture(), **changes)

    ds = signed(np.random.default_rng(2).integers(-6, 7, 2048).astype("<i2"))
    ds.compress(JPEG2000, j2k_psnr=[80], generate_instance_uid=False)
    decoded = ds.pixel_array.ravel().astype("<i2")
    assert (decoded == 0).any()
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    sent = Encoded(buffer.getvalue(), str(JPEG2000))
    for apart in (-1, 1):
        assert compare(sent, encoded(signed(decoded + np.int16(apart)))).differences == ()
        other = compare(sent, encoded(signed(decoded + np.int16(2 * apart))))
        assert "2048 of the 2048 decoded values of frame 1 differ by more than 1" in str(other)


def with_icon(icon: bytes, fragments: bytes | None = None) -> bytes:
    item = encoded(a_picture()).data
    begin = item.index(struct.pack("<HH2s", 0x0028, 0x0002, b"US"))
    end = item.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    pixel_data = (
        element(0x7FE00010, b"OW", icon)
        if fragments is None
        else struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
        + fragments
        + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    content = item[begin:end] + pixel_data
    return element(0x00880200, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content)


def test_an_icon_is_compared_as_pixels_too() -> None:
    native = bytes(a_picture().PixelData)
    ds = a_picture()
    ds.compress(RLELossless, generate_instance_uid=False)
    fragments = ds.PixelData
    sent = Encoded(with_icon(b"", fragments), str(RLELossless))
    assert compare(sent, Encoded(with_icon(native), EXPLICIT_LE)).differences == ()
    changed = str(compare(sent, Encoded(with_icon(native[:-1] + b"x"), EXPLICIT_LE)))
    assert changed.startswith("(0088,0200)[1] > (7fe0,0010) PixelData changed (1 of the 2048")
    left = str(compare(sent, Encoded(with_icon(b"", fragments), EXPLICIT_LE)))
    assert left.startswith("(0088,0200)[1] > (7fe0,0010) PixelData changed (it is compressed still")


def test_the_same_stream_in_other_fragments_is_no_difference() -> None:
    whole = compressed(a_picture(), RLELossless)
    ds = a_picture()
    ds.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO(ds.PixelData)
    parse_basic_offsets(buffer)
    stream = b"".join(generate_fragments(buffer))
    ds.PixelData = encapsulate([stream], fragments_per_frame=2, has_bot=False)
    again = DicomBytesIO()
    again.is_little_endian, again.is_implicit_VR = True, False
    write_dataset(again, ds)
    in_two = Encoded(again.getvalue(), str(RLELossless))
    assert in_two.data != whole.data
    assert compare(whole, in_two).differences == ()
    broken = in_two.data.replace(stream[-20:], bytes(20))
    assert len(compare(whole, Encoded(broken, str(RLELossless))).differences) == 1


def test_offset_tables_are_no_difference_where_there_are_fragments_and_nowhere_else() -> None:
    """PS3.3 C.7.6.3.1.8: native pixels have none."""

    def with_table(ds: Dataset) -> Dataset:
        return with_changes(ds, ExtendedOffsetTable=bytes(8), ExtendedOffsetTableLengths=bytes(8))

    whole = compressed(a_picture(), RLELossless)
    assert compare(whole, compressed(with_table(a_picture()), RLELossless)).differences == ()
    assert len(compare(encoded(a_picture()), encoded(with_table(a_picture()))).differences) == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_decoded_is_not_known() -> None:
    back = compressed(a_picture(), RLELossless)
    unheard_of = compare(encoded(a_picture()), Encoded(back.data, "1.2.840.10008.1.2.4.100"))
    assert unheard_of.differences == ()
    (doubt,) = unheard_of.doubts
    assert "dicomkit[codecs]" in doubt
    garbage = Encoded(back.data[:-300] + bytes(292) + back.data[-8:], back.transfer_syntax)
    (doubt,) = compare(garbage, encoded(a_picture())).doubts
    assert "could not be decoded" in doubt
    assert "use method='find' or 'commit'" in doubt


def test_a_small_stream_that_says_it_is_huge_is_not_decoded() -> None:
    stream = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 800
    huge = with_changes(a_picture(), Rows=65535, Columns=65535, BitsAllocated=8, BitsStored=8, HighBit=7)
    huge.PixelData = encapsulate([stream], has_bot=False)
    huge["PixelData"].is_undefined_length = True
    sent = Encoded(encoded(huge).data, str(RLELossless))
    assert "another size" in str(compare(sent, encoded(a_picture())))
    other = Encoded(sent.data, str(JPEGLSLossless))
    assert compare(sent, other).doubts


# The table


def coerced(**changes: object) -> Comparison:
    return compare(encoded(a_data_set()), encoded(with_changes(a_data_set(), **changes)), coerced=True)


def test_what_an_archive_said_it_coerces_is_named_and_allowed() -> None:
    comparison = coerced(PatientID="P2")
    assert comparison.differences == ()
    assert [str(difference) for difference, _ in comparison.allowed] == ["(0010,0020) PatientID changed"]
    assert coerced(Rows=4).differences
    assert said(lambda ds: setattr(ds, "PatientID", "P2")) == ["(0010,0020) PatientID changed"]


def test_an_archives_own_attributes_are_named_and_allowed() -> None:
    back = encoded(with_changes(a_data_set(), RetrieveAETitle="ARCHIVE", InstanceAvailability="ONLINE"))
    comparison = compare(encoded(a_data_set()), back)
    assert comparison.differences == ()
    assert [difference.path for difference, _ in comparison.allowed] == [
        "(0008,0054) RetrieveAETitle",
        "(0008,0056) InstanceAvailability",
    ]


def test_what_decompressing_and_compressing_add_is_named_and_allowed_beside_decoded_pixels_only() -> None:
    marks = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "10",
        "LossyImageCompressionMethod": "ISO_10918_1",
        "DerivationDescription": "compressed",
    }
    marked = encoded(with_changes(a_picture(), **marks))
    comparison = compare(compressed(a_picture(), RLELossless), marked)
    assert comparison.differences == ()
    assert {(difference.path.split()[1], rule.words) for difference, rule in comparison.allowed} == {
        ("LossyImageCompression", "as decompressing does"),
        ("LossyImageCompressionRatio", "as decompressing does"),
        ("LossyImageCompressionMethod", "as decompressing does"),
        ("DerivationDescription", "as compressing does"),
    }
    assert len(compare(encoded(a_picture()), marked).differences) == 4
    assert (
        len(
            compare(
                compressed(with_changes(a_picture(), **marks), RLELossless), encoded(a_picture())
            ).differences
        )
        == 4
    )


def test_every_allowed_difference_has_a_reason_by_section() -> None:
    assert all("PS3." in one.reason for one in ALLOWED)
    assert all(bool(one.tags) == (one.when != "value") for one in ALLOWED)


def test_what_may_differ_is_what_the_standard_calls_so() -> None:
    keywords = {
        when: {keyword_for_tag(tag) for one in ALLOWED if one.when == when for tag in one.tags}
        for when in ("encapsulated", "decoded", "always", "coerced")
    }
    assert keywords == {
        "encapsulated": {
            *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "EncapsulatedPixelDataValueTotalLength"),
        },
        "decoded": {
            *("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
            *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
            *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
            *("DerivationDescription", "DerivationCodeSequence"),
        },
        "always": {
            *(
                "InstanceCoercionDateTime",
                "RetrieveAETitle",
                "InstanceAvailability",
                "RetrieveURL",
                "RetrieveURI",
            ),
            *("StorageMediaFileSetID", "StorageMediaFileSetUID", "OriginalAttributesSequence"),
        },
        "coerced": {
            *("PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID"),
            *("IssuerOfPatientIDQualifiersSequence", "PatientBirthDate", "PatientBirthTime", "PatientSex"),
            *("OtherPatientIDs", "OtherPatientNames", "OtherPatientIDsSequence"),
            *(
                "StudyInstanceUID",
                "SeriesInstanceUID",
                "StudyID",
                "StudyDate",
                "StudyTime",
                "StudyDescription",
            ),
            *("AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName"),
        },
    }
