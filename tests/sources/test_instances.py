"""One look at a file: what it finds, what it refuses, and that it agrees with pydicom on pydicom's own odd files."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import dcmread, read_dataset

from dicomkit import Instance, UnreadableError, look_at
from dicomkit.dictionary.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.sources import SourceChanged
from dicomkit.sources.readers import Stamp
from tests.support.files import ct_instance
from tests.support.peers import program

CT = "1.2.840.10008.5.1.4.1.1.2"
UID = "1.2.826.0.1.3680043.8.498.7"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
GE_PRIVATE = "1.2.840.113619.5.2"


# Files from nothing ---------------------------------------------------------------------------------------------------


def element(tag: int, vr: str, value: bytes, order: str = "little") -> bytes:
    """One explicit VR element, of undefined length where its value brings its own delimiter."""
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return head + b"\0\0" + len(value).to_bytes(4, order) + value
    return head + len(value).to_bytes(2, order) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return tag_bytes(tag) + size.to_bytes(4, "little") + value


def tag_bytes(tag: int) -> bytes:
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")


def uid(tag: int, value: str, order: str = "little") -> bytes:
    text = value.encode()
    return element(tag, "UI", text + b"\0" * (len(text) % 2), order)


ITEM = tag_bytes(0xFFFEE000)
ITEM_END = tag_bytes(0xFFFEE00D) + bytes(4)
SEQUENCE_END = tag_bytes(0xFFFEE0DD) + bytes(4)
UNDEFINED = b"\xff\xff\xff\xff"

IDENTITY = uid(0x00080016, CT) + uid(0x00080018, UID)
PLACE = uid(0x0020000D, "1.2.3") + uid(0x0020000E, "1.2.3.4")
MODALITY = element(0x00080060, "CS", b"CT")
PIXELS = element(0x7FE00010, "OW", bytes(range(200)))
BODY = IDENTITY + MODALITY + PLACE


def meta(syntax: str | None = EXPLICIT_LE, sop_class: str = CT, sop_instance: str = UID) -> bytes:
    group = uid(0x00020002, sop_class) + uid(0x00020003, sop_instance)
    if syntax is not None:
        group += uid(0x00020010, syntax)
    return element(0x00020000, "UL", len(group).to_bytes(4, "little")) + group


def part10(data_set: bytes, syntax: str | None = EXPLICIT_LE) -> bytes:
    return bytes(128) + b"DICM" + meta(syntax) + data_set


def sequence(*items: bytes, tag: int = 0x00081140, vr: bytes = b"SQ") -> bytes:
    body = b"".join(ITEM + UNDEFINED + item + ITEM_END for item in items)
    return tag_bytes(tag) + vr + b"\0\0" + UNDEFINED + body + SEQUENCE_END


def fragments(*pieces: bytes) -> bytes:
    body = b"".join(ITEM + len(piece).to_bytes(4, "little") + piece for piece in (b"", *pieces))
    return tag_bytes(0x7FE00010) + b"OB\0\0" + UNDEFINED + body + SEQUENCE_END


def data_set_of(instance: Instance) -> bytes:
    """Read as a sender does, a few buffers at a time."""
    source = instance.open()
    try:
        parts = []
        while True:
            buffers = [bytearray(100), bytearray(7), bytearray(4096)]
            count = source.readv([memoryview(buffer) for buffer in buffers])
            parts.append(b"".join(buffers)[:count])
            if count < sum(map(len, buffers)):
                return b"".join(parts)
    finally:
        source.close()


# Facts ----------------------------------------------------------------------------------------------------------------


def test_an_ordinary_file_gives_its_facts_and_where_its_data_set_lies(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(part10(BODY + PIXELS))
    instance = look_at(path)
    assert (instance.source, instance.sop_class_uid, instance.sop_instance_uid) == (str(path), CT, UID)
    assert (instance.study_instance_uid, instance.series_instance_uid, instance.modality) == (
        "1.2.3",
        "1.2.3.4",
        "CT",
    )
    assert (instance.transfer_syntax, instance.note, instance.held_bytes) == (EXPLICIT_LE, "", 0)
    assert instance.stamp == Stamp.of(path.stat())
    assert data_set_of(instance) == BODY + PIXELS


def test_bytes_are_looked_at_as_a_file_is() -> None:
    content = part10(BODY + PIXELS)
    instance = look_at(bytearray(content))
    assert (instance.source, instance.stamp, instance.held_bytes) == ("<bytes>", None, len(content))
    assert data_set_of(instance) == BODY + PIXELS
    assert look_at(content, "mine").source == "mine"


def test_bytes_that_are_written_to_later_are_not_sent_changed() -> None:
    content = bytearray(part10(BODY + PIXELS))
    instance = look_at(content)
    content[-1] ^= 0xFF
    assert data_set_of(instance) == BODY + PIXELS


def test_the_pixels_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.dcm"
    with path.open("wb") as file:
        file.write(part10(BODY + tag_bytes(0x7FE00010) + b"OW\0\0" + (2**31).to_bytes(4, "little")))
        file.truncate(file.tell() + 2**31)  # a hole: reading 2 GB of it would be felt
    assert look_at(path).length == len(BODY) + 12 + 2**31


@pytest.mark.parametrize("size", [8000, 8180, 8192, 8193, 300_000])
def test_headers_beyond_the_first_read_are_followed(tmp_path: Path, size: int) -> None:
    path = tmp_path / "long.dcm"
    data_set = IDENTITY + MODALITY + element(0x00091001, "UN", bytes(size)) + PLACE + PIXELS
    path.write_bytes(part10(data_set))
    instance = look_at(path)
    assert (instance.series_instance_uid, instance.length, instance.note) == ("1.2.3.4", len(data_set), "")


def test_a_hundred_thousand_elements_are_followed_in_a_moment() -> None:
    many = b"".join(element(0x00110000 | number, "SH", b"ab") for number in range(0x1000, 0xFFFF))
    data_set = BODY + many * 2 + PIXELS
    assert look_at(part10(data_set)).length == len(data_set)


def test_the_data_set_wins_over_the_file_meta_and_the_note_says_so() -> None:
    content = part10(uid(0x00080016, CT) + uid(0x00080018, "1.2.9") + PIXELS)
    instance = look_at(content)
    assert instance.sop_instance_uid == "1.2.9"
    assert f"the File Meta has another SOP Instance UID, {UID}" in instance.note


def test_uids_that_only_the_file_meta_has_are_used_and_the_note_says_so() -> None:
    instance = look_at(part10(MODALITY))
    assert (instance.sop_class_uid, instance.sop_instance_uid) == (CT, UID)
    assert "no SOP Instance UID, so the File Meta's is used" in instance.note


def test_an_empty_data_set_can_be_sent() -> None:
    instance = look_at(part10(b""))
    assert (instance.length, instance.sop_instance_uid, data_set_of(instance)) == (0, UID, b"")


def test_without_uids_anywhere_it_is_unreadable() -> None:
    content = bytes(128) + b"DICM" + uid(0x00020010, EXPLICIT_LE) + MODALITY
    with pytest.raises(
        UnreadableError, match="<bytes>: no SOP Class UID in the data set nor in the File Meta"
    ):
        look_at(content)


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\0\0", b"  "])
def test_padding_is_no_part_of_a_uid(padding: bytes) -> None:
    content = part10(element(0x00080016, "UI", CT.encode() + padding) + uid(0x00080018, UID))
    assert look_at(content).sop_class_uid == CT


def test_a_uid_with_letters_is_sent_and_noted() -> None:
    instance = look_at(part10(uid(0x00080016, CT) + uid(0x00080018, "abc")))
    assert instance.sop_instance_uid == "abc"
    assert "its SOP Instance UID is not a valid UID (PS3.5 9.1)" in instance.note


@pytest.mark.parametrize("value", [b"1." * 33, b"1.2\xff3", b"1.2\n3.4", b"1" * 10_000])
def test_a_uid_that_fits_no_request_is_unreadable(value: bytes) -> None:
    with pytest.raises(
        UnreadableError, match="SOP Instance UID is longer than 64 characters or not printable"
    ):
        look_at(part10(uid(0x00080016, CT) + element(0x00080018, "UI", value)))


# Encodings ------------------------------------------------------------------------------------------------------------

BODY_IMPLICIT = b"".join(
    implicit(tag, value)
    for tag, value in [
        (0x00080016, CT.encode() + b"\0"),
        (0x00080018, UID.encode() + b"\0"),
        (0x00080060, b"MR"),
        (0x0020000D, b"1.2.3\0"),
        (0x7FE00010, bytes(50)),
    ]
)
BODY_BIG = (
    uid(0x00080016, CT, "big")
    + uid(0x00080018, UID, "big")
    + element(0x00080060, "CS", b"US", "big")
    + element(0x7FE00010, "OW", bytes(50), "big")
)


@pytest.mark.parametrize(
    ("syntax", "data_set", "modality"),
    [
        (IMPLICIT_LE, BODY_IMPLICIT, "MR"),
        (GE_PRIVATE, BODY_IMPLICIT, "MR"),
        (EXPLICIT_BE, BODY_BIG, "US"),
        (JPEG_BASELINE, BODY + fragments(b"ab" * 100), "CT"),
        ("1.2.3.4.5", BODY + PIXELS, "CT"),  # a private one nobody knows is explicit
    ],
)
def test_every_encoding_is_followed(syntax: str, data_set: bytes, modality: str) -> None:
    instance = look_at(part10(data_set, syntax))
    assert (instance.transfer_syntax, instance.modality, instance.note) == (syntax, modality, "")
    assert data_set_of(instance) == data_set


@pytest.mark.parametrize(
    ("data_set", "syntax"),
    [(BODY_IMPLICIT, IMPLICIT_LE), (BODY + PIXELS, EXPLICIT_LE), (BODY_BIG, EXPLICIT_BE)],
)
def test_a_missing_transfer_syntax_is_guessed_and_the_note_says_so(data_set: bytes, syntax: str) -> None:
    without_meta, without_element = look_at(data_set), look_at(part10(data_set, None))
    for instance in (without_meta, without_element):
        assert instance.transfer_syntax == syntax
        assert "its Transfer Syntax UID is missing; the data set looks like" in instance.note
        assert data_set_of(instance) == data_set


def test_file_meta_without_preamble_is_read() -> None:
    instance = look_at(meta() + BODY + PIXELS)
    assert (instance.transfer_syntax, instance.note) == (EXPLICIT_LE, "")


def test_file_meta_in_implicit_vr_is_read() -> None:
    group = b"".join(
        implicit(tag, value + b"\0" * (len(value) % 2))
        for tag, value in [
            (0x00020002, CT.encode()),
            (0x00020003, UID.encode()),
            (0x00020010, IMPLICIT_LE.encode()),
        ]
    )
    content = (
        bytes(128) + b"DICM" + implicit(0x00020000, len(group).to_bytes(4, "little")) + group + BODY_IMPLICIT
    )
    instance = look_at(content)
    assert (instance.transfer_syntax, data_set_of(instance), instance.note) == (
        IMPLICIT_LE,
        BODY_IMPLICIT,
        "",
    )


@pytest.mark.parametrize("length", [0, 10, 10_000, 0xFFFFFFFF])
def test_a_wrong_group_length_of_the_file_meta_is_not_believed(length: int) -> None:
    content = bytearray(part10(BODY + PIXELS))
    content[140:144] = length.to_bytes(4, "little")
    assert data_set_of(look_at(content)) == BODY + PIXELS


@pytest.mark.parametrize(
    ("said", "data_set", "found"),
    [
        (EXPLICIT_LE, BODY_IMPLICIT, IMPLICIT_LE),
        (IMPLICIT_LE, BODY, EXPLICIT_LE),
        (EXPLICIT_LE, BODY_BIG, EXPLICIT_BE),
    ],
)
def test_the_bytes_win_over_a_transfer_syntax_they_contradict(said: str, data_set: bytes, found: str) -> None:
    instance = look_at(part10(data_set, said))
    assert instance.transfer_syntax == found
    assert "but the data set is in" in instance.note
    assert data_set_of(instance) == data_set


def deflated(data_set: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(data_set) + squeeze.flush()


def test_a_deflated_data_set_is_looked_into_and_sent_as_it_is() -> None:
    body = deflated(
        BODY + element(0x00091001, "UN", os.urandom(30_000)) + element(0x7FE00010, "OW", bytes(10**6))
    )
    body += b"\0" * (len(body) % 2)  # PS3.5 A.5
    instance = look_at(part10(body, DEFLATED_LE))
    assert (instance.modality, instance.note, data_set_of(instance)) == ("CT", "", body)


def test_bytes_after_the_deflated_data_set_are_left_out() -> None:
    body = deflated(BODY + PIXELS)
    instance = look_at(part10(body + b"trailer", DEFLATED_LE))
    assert data_set_of(instance) == body
    assert "7 bytes after the last element" in instance.note


def test_a_deflated_data_set_is_truncated_in_either_layer() -> None:
    with pytest.raises(UnreadableError, match="the deflated data ends early"):
        look_at(part10(deflated(BODY + PIXELS)[:-5], DEFLATED_LE))
    with pytest.raises(UnreadableError, match="20 bytes of Pixel Data"):
        look_at(part10(deflated((BODY + PIXELS)[:-20]), DEFLATED_LE))
    with pytest.raises(UnreadableError, match="does not inflate"):
        look_at(part10(b"\xff" * 100, DEFLATED_LE))


# Sequences, and odd elements ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        sequence(),
        sequence(b""),
        sequence(IDENTITY, sequence(IDENTITY, tag=0x00081199)),
        sequence(implicit(0x00080018, b"1.99")),  # an implicit item in an explicit sequence
        sequence(implicit(0x00091001, b"1.99"), tag=0x00091010, vr=b"UN"),
        sequence(element(0x00091001, "LO", b"ab"), tag=0x00091010, vr=b"UN"),  # forbidden, and seen
        tag_bytes(0x00081140) + b"SQ\0\0" + UNDEFINED + ITEM + b"\4\0\0\0abcd" + SEQUENCE_END,
        element(0x00081140, "SQ", b"whatever: a value with a length is not looked into"),
        sequence(fragments(b"xy")),  # a compressed icon
    ],
)
def test_sequences_are_passed_over_and_nothing_in_them_is_believed(odd: bytes) -> None:
    data_set = IDENTITY + MODALITY + odd + PLACE + PIXELS
    instance = look_at(part10(data_set))
    assert (instance.sop_instance_uid, instance.series_instance_uid, instance.note) == (UID, "1.2.3.4", "")
    assert instance.length == len(data_set)


def test_sequences_of_implicit_vr_are_passed_over() -> None:
    inner = ITEM + UNDEFINED + implicit(0x00080018, b"9.9\0") + ITEM_END
    data_set = (
        BODY_IMPLICIT[:-58]
        + implicit(0x00280010, b"")
        + implicit(0x00291010, inner + SEQUENCE_END, 0xFFFFFFFF)
    )
    instance = look_at(part10(data_set, IMPLICIT_LE))
    assert (instance.sop_instance_uid, instance.length, instance.note) == (UID, len(data_set), "")


def test_nesting_without_end_is_refused_and_not_recursed_into() -> None:
    deep = (tag_bytes(0x00081140) + b"SQ\0\0" + UNDEFINED + ITEM + UNDEFINED) * 50_000
    with pytest.raises(UnreadableError):
        look_at(part10(deep))


def test_group_lengths_and_unordered_elements_are_no_obstacle() -> None:
    data_set = element(0x00080000, "UL", bytes(4)) + PLACE + PIXELS + IDENTITY + MODALITY
    instance = look_at(part10(data_set))
    assert (instance.sop_instance_uid, instance.modality, instance.note) == (UID, "CT", "")
    assert instance.length == len(data_set)


def test_what_the_walk_cannot_follow_is_shown_to_pydicom() -> None:
    data_set = IDENTITY + ITEM_END + MODALITY + PLACE
    instance = look_at(part10(data_set))
    assert (instance.sop_instance_uid, instance.length) == (UID, len(data_set))
    assert "cannot be followed to the end ((FFFE,E00D) stands where an element should)" in instance.note


def test_a_dicomdir_is_not_an_instance() -> None:
    content = bytes(128) + b"DICM" + meta(sop_class="1.2.840.10008.1.3.10") + element(0x00041130, "CS", b"AB")
    with pytest.raises(UnreadableError, match="a DICOMDIR is not sent itself; name it as a source"):
        look_at(content)


# Truncated, or with something after the end ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_set", "syntax", "name"),
    [
        (BODY + PIXELS, EXPLICIT_LE, r"Pixel Data \(7FE0,0010\)"),
        (BODY_IMPLICIT, IMPLICIT_LE, r"Pixel Data \(7FE0,0010\)"),
        (BODY + fragments(b"ab" * 50), JPEG_BASELINE, r"Pixel Data \(7FE0,0010\)"),
        (BODY + sequence(IDENTITY, tag=0x0040A730), EXPLICIT_LE, r"Content Sequence \(0040,A730\)"),
        (BODY + element(0x300A00B0, "SQ", bytes(100)), EXPLICIT_LE, r"\(300A,00B0\)"),
    ],
)
def test_a_truncated_file_says_what_is_missing(data_set: bytes, syntax: str, name: str) -> None:
    content = part10(data_set, syntax)
    for missing in range(1, 9):
        with pytest.raises(
            UnreadableError, match=rf"truncated: \d+ bytes of {name} are missing; get a complete copy"
        ):
            look_at(content[:-missing])


@pytest.mark.parametrize(
    ("data_set", "syntax"),
    [
        (BODY + PIXELS, EXPLICIT_LE),
        (BODY_IMPLICIT, IMPLICIT_LE),
        (BODY_BIG, EXPLICIT_BE),
        (BODY, EXPLICIT_LE),
    ],
)
def test_a_file_cut_anywhere_but_between_elements_is_unreadable(data_set: bytes, syntax: str) -> None:
    content = part10(data_set, syntax)
    kept = []
    for size in range(len(content)):
        try:
            kept.append(look_at(content[:size]).length)
        except UnreadableError:
            continue
    dataset = read_dataset(
        pydicom.filebase.DicomBytesIO(data_set), syntax == IMPLICIT_LE, syntax != EXPLICIT_BE
    )
    ends = [dataset.get_item(tag).value_tell + dataset.get_item(tag).length for tag in sorted(dataset.keys())]
    assert kept == [0, *ends[:-1]], "nobody can tell where an element ends, or right after the File Meta"


LAYOUTS = pytest.mark.parametrize(
    ("data_set", "syntax"),
    [(BODY + PIXELS, EXPLICIT_LE), (BODY_IMPLICIT, IMPLICIT_LE), (BODY + fragments(b"ab"), JPEG_BASELINE)],
    ids=["explicit", "implicit", "compressed"],
)


@pytest.mark.parametrize(
    "rest", [b"\0", bytes(500), b"GARBAGE"], ids=["a zero", "zeros", "fewer bytes than a header"]
)
@LAYOUTS
def test_what_cannot_be_an_element_is_left_out_and_the_note_says_so(
    data_set: bytes, syntax: str, rest: bytes
) -> None:
    instance = look_at(part10(data_set + rest, syntax))
    assert data_set_of(instance) == data_set
    assert (
        f"{len(rest)} bytes after the last element are no part of the data set and left out" in instance.note
    )


@pytest.mark.parametrize(
    "rest",
    [b"garbage and more", b"\xff" * 64, b"GARBAGE!", part10(BODY)],
    ids=["text", "ones", "capitals", "another file"],
)
@LAYOUTS
def test_what_looks_like_an_element_and_is_none_makes_it_unreadable(
    data_set: bytes, syntax: str, rest: bytes
) -> None:
    with pytest.raises(
        UnreadableError, match=rf"damaged: the {len(rest)} bytes after Pixel Data .* no elements"
    ):
        look_at(part10(data_set + rest, syntax))


@pytest.mark.parametrize(
    "rest",
    [BODY, element(0x7FE10010, "LO", b"abcd"), element(0x00080018, "UI", b"1.2")],
    ids=["another data set", "a private element", "an element once more"],
)
def test_elements_after_pixel_data_are_sent(rest: bytes) -> None:
    data_set = BODY + PIXELS + rest
    assert data_set_of(look_at(part10(data_set))) == data_set


def test_another_compressed_file_behind_it_is_sent_as_it_is() -> None:
    data_set = BODY + fragments(b"ab") + part10(BODY + fragments(b"cd"), JPEG_BASELINE)
    assert data_set_of(look_at(part10(data_set, JPEG_BASELINE))) == data_set


@pytest.mark.parametrize("rest", [b"\0\0\0", bytes(5000)])
def test_zeros_after_the_last_element_of_a_report_are_left_out(rest: bytes) -> None:
    instance = look_at(part10(BODY + sequence(IDENTITY, tag=0x0040A730) + rest))
    assert "bytes after the last element" in instance.note


@given(
    st.lists(
        st.sampled_from([bytes(1), b"\xff", b"\x08\0", b"UI", b"LO", b"??"]) | st.binary(max_size=9),
        max_size=6,
    ),
    st.sampled_from(
        [
            (BODY + PIXELS, EXPLICIT_LE),
            (BODY, EXPLICIT_LE),
            (BODY_IMPLICIT, IMPLICIT_LE),
            (BODY_BIG, EXPLICIT_BE),
        ]
    ),
)
@settings(max_examples=300, deadline=None)
def test_nothing_that_could_be_an_element_is_left_out(pieces: list[bytes], body: tuple[bytes, str]) -> None:
    data_set = body[0] + b"".join(pieces)
    try:
        sent = data_set_of(look_at(part10(data_set, body[1])))
    except UnreadableError:
        return
    rest = data_set[len(sent) :]
    assert data_set.startswith(sent)
    assert len(rest) < 8 or not any(rest)


def test_trailing_padding_is_part_of_the_data_set() -> None:
    data_set = BODY + PIXELS + element(0xFFFCFFFC, "OB", bytes(100))
    instance = look_at(part10(data_set))
    assert (instance.length, instance.note) == (len(data_set), "")


def test_zeros_in_the_middle_are_not_taken_for_the_end() -> None:
    data_set = BODY + bytes(64) + PIXELS
    instance = look_at(part10(data_set))
    assert data_set_of(instance) == data_set
    assert "cannot be followed to the end" in instance.note


# Not DICOM ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"hello " * 100, "no DICM at byte 128, and no element of DICOM at byte 0"),
        (b"\x1f\x8b\x08", "compressed by gzip; unpack it first"),
        (b"PK\x03\x04", "a zip archive: name it as a source"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x08\0" + b"text that begins like an element" * 9, "no DICM at byte 128"),
        (MODALITY + element(0x00100010, "PN", b"A^B "), "no SOP Instance UID"),
    ],
)
def test_what_is_no_dicom_is_called_what_it_is(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        look_at(content)


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"gone\.dcm: there is no such file or folder; check the path"):
        look_at(tmp_path / "gone.dcm")
    with pytest.raises(UnreadableError, match=tmp_path.name):
        look_at(tmp_path)
    with pytest.raises(UnreadableError, match="null"):
        look_at("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="not a file"):
        look_at(tmp_path / "pipe")


# Opened for sending ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_what_was_looked_at_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(ct_instance())
    instance = look_at(path)
    instance.open().close()
    os.truncate(path, 1000)
    with pytest.raises(SourceChanged, match="changed after it was looked at"):
        instance.open()
    path.unlink()
    with pytest.raises(UnreadableError, match="no such file"):
        instance.open()


def test_a_file_that_shrinks_while_it_is_sent_is_read_short(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(ct_instance())
    instance = look_at(path)
    source = instance.open()
    os.truncate(path, instance.offset + 10)
    assert source.readv([memoryview(bytearray(4)), memoryview(bytearray(100))]) == 10
    assert source.readv([memoryview(bytearray(100))]) == 0
    with pytest.raises(SourceChanged, match="changed while it was sent"):
        source.check_unchanged()
    source.close()


@pytest.mark.parametrize("in_memory", [True, False])
def test_reading_stops_where_the_data_set_does(tmp_path: Path, in_memory: bool) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(part10(BODY + PIXELS + bytes(100)))
    source = look_at(path.read_bytes() if in_memory else path).open()
    buffer = bytearray(b"x" * 10_000)
    assert source.readv([memoryview(buffer)]) == len(BODY + PIXELS)
    assert buffer == (BODY + PIXELS).ljust(10_000, b"x")
    source.close()


def test_thousands_of_buffers_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(ct_instance())
    instance = look_at(path)
    buffers = [bytearray(3) for _ in range(5000)]
    source = instance.open()
    count = source.readv([memoryview(buffer) for buffer in buffers])
    source.close()
    assert count == min(15_000, instance.length)
    assert b"".join(buffers)[:count] == ct_instance()[instance.offset :][:count]


# Anything at all ------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(BODY, IDENTITY, MODALITY, PLACE, PIXELS, BODY_IMPLICIT, BODY_BIG),
        *(
            sequence(IDENTITY),
            fragments(b"ab"),
            deflated(BODY),
            tag_bytes(0x00081140) + b"SQ\0\0" + UNDEFINED,
        ),
        *(ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, bytes(9)),
    ]
)
SYNTAXES = st.sampled_from(
    [None, IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE, JPEG_BASELINE, GE_PRIVATE]
)


@given(st.lists(PIECES | st.binary(max_size=40), max_size=8), SYNTAXES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_instance_or_unreadable(
    pieces: list[bytes], syntax: str | None, has_meta: bool
) -> None:
    data_set = b"".join(pieces)
    content = part10(data_set, syntax) if has_meta else data_set
    try:
        instance = look_at(content)
    except UnreadableError as error:
        assert str(error).startswith("<bytes>: ")
    else:
        assert 0 <= instance.offset <= instance.offset + instance.length <= len(content)
        assert data_set_of(instance) == content[instance.offset : instance.offset + instance.length]


@given(
    st.integers(0, 2**16), st.binary(min_size=1, max_size=8), st.sampled_from([BODY_BIG, BODY_IMPLICIT, BODY])
)
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_is_an_instance_or_unreadable(place: int, damage: bytes, data_set: bytes) -> None:
    content = bytearray(part10(data_set, EXPLICIT_BE if data_set is BODY_BIG else None))
    place %= len(content)
    content[place : place + len(damage)] = damage
    with suppress(UnreadableError):
        look_at(content)


# pydicom's own files --------------------------------------------------------------------------------------------------

PYDICOM = Path(pydicom.__file__).parent / "data"


def corpus() -> list[Path]:
    """Every file that comes with pydicom and pydicom-data; what would have to be downloaded is left out."""
    data_store = pytest.importorskip("data_store")  # the module of the distribution pydicom-data
    roots = [PYDICOM / "test_files", PYDICOM / "charset_files", Path(data_store.__file__).parent / "data"]
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return sorted(path for path in files if path.suffix not in (".py", ".pyc"))


# Where pydicom gives an answer and we refuse, or the other way round.
DIFFERENT = {
    "MR_truncated.dcm": "62 bytes of its Pixel Data are missing; pydicom hands out the rest",
    "rtplan_truncated.dcm": "ends within its Beam Sequence; pydicom leaves the sequence out",
    "SC_rgb_jpeg.dcm": "is in Implicit VR under JPEG Baseline, which PS3.5 A.4 does not have; pydicom reads it",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "has no sequence delimiter at its end; pydicom reads no element of it",
}


def as_pydicom_reads(path: Path) -> tuple[dict[str, str | None], FileDataset]:
    dataset = dcmread(path, force=True)
    facts = {
        keyword: str(dataset.get(keyword) or "") or None
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
    }
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        facts[keyword] = facts[keyword] or str(dataset.file_meta.get(f"MediaStorage{keyword}") or "") or None
    guesses = {(True, True): IMPLICIT_LE, (False, True): EXPLICIT_LE, (False, False): EXPLICIT_BE}
    facts["TransferSyntaxUID"] = str(
        dataset.file_meta.get("TransferSyntaxUID") or guesses[dataset.original_encoding]
    )
    return facts, dataset


def raw_elements(dataset: Dataset) -> list[tuple[int, object]]:
    """The values as bytes, or as nested data sets; Specific Character Set is decoded by reading the others."""
    return [(int(tag), dataset.get_item(tag).value) for tag in sorted(dataset.keys()) if tag != 0x00080005]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.name)
def test_we_agree_with_pydicom_on_its_own_files(path: Path) -> None:
    facts, dataset = as_pydicom_reads(path)
    can_be_sent = facts["SOPClassUID"] and facts["SOPInstanceUID"]
    if dataset.file_meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        with pytest.raises(UnreadableError, match="DICOMDIR"):
            look_at(path)
        return
    if not can_be_sent or path.name in DIFFERENT:
        with pytest.raises(UnreadableError):
            look_at(path)
        return
    instance = look_at(path)
    assert {
        "SOPClassUID": instance.sop_class_uid,
        "SOPInstanceUID": instance.sop_instance_uid,
        "StudyInstanceUID": instance.study_instance_uid,
        "SeriesInstanceUID": instance.series_instance_uid,
        "Modality": instance.modality,
        "TransferSyntaxUID": instance.transfer_syntax,
    } == facts
    content = data_set_of(instance)
    if instance.transfer_syntax == DEFLATED_LE:
        content = zlib.decompress(content, -15)
    ours = read_dataset(pydicom.filebase.DicomBytesIO(content), *dataset.original_encoding)
    assert raw_elements(ours) == raw_elements(dcmread(path, force=True)), (
        "all of the data set, and nothing else"
    )


def test_the_files_we_differ_on_are_there() -> None:
    assert DIFFERENT.keys() <= {path.name for path in corpus()}


def test_dcmtk_calls_dicom_what_we_call_dicom() -> None:
    paths = [path for path in corpus() if path.suffix in (".dcm", ".txt", ".gz", ".json", ".icc", "")]
    answers = subprocess.run(
        [program("dcmftest"), *map(str, paths)], capture_output=True, text=True
    ).stdout.splitlines()
    for path, answer in zip(paths, answers, strict=True):
        if answer.startswith("no:"):
            continue  # DCMTK asks for a preamble, we do not
        try:
            look_at(path)
        except UnreadableError as error:
            assert "not DICOM" not in str(error)


# Start-up -------------------------------------------------------------------------------------------------------------


def test_looking_at_files_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "ct.dcm").write_bytes(ct_instance())
    program = (
        "import sys, dicomkit.sources._instances, dicomkit.messages\n"
        f"list(dicomkit.sources._instances.find_instances({str(tmp_path)!r}))\n"
        "print([name for name in ('pydicom', 'numpy', 'pandas', 'zipfile', 'zlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
