"""Files that are not what they say: odd value representations, File Meta that ends elsewhere, syntaxes that contradict.

DCMTK's storescu is the guide to what can be sent: what it sends, we send, and what it refuses is unreadable.
"""

from __future__ import annotations

import pickle
import random
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicomkit import DicomMessage, LocalSCP, UnreadableError, look_at, send, send_batch
from dicomkit.dictionary.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.sources import PREFIX_END, SourceError
from dicomkit.sources.contradictions import syntax_of_code_stream
from tests.sources.test_instances import (
    BODY,
    BODY_BIG,
    BODY_IMPLICIT,
    CT,
    IDENTITY,
    JPEG_BASELINE,
    MODALITY,
    PIXELS,
    PLACE,
    UID,
    UNDEFINED,
    data_set_of,
    deflated,
    element,
    fragments,
    implicit,
    meta,
    part10,
    sequence,
    tag_bytes,
    uid,
)
from tests.support.peers import Storescp, program, storescu

# Value representations that PS3.5 does not know ----------------------------------------------------------------------

TEXT = element(0x0040A160, "UT", b"finding: " + b"x" * 591)
PRIVATE = tag_bytes(0x00291010)


def short_form(vr: bytes) -> bytes:
    return PRIVATE + vr + b"\4\0abcd"


def long_form(vr: bytes) -> bytes:
    return PRIVATE + vr + b"\0\0\4\0\0\0abcd"


@pytest.mark.parametrize(
    "odd",
    [
        *map(short_form, (b"\0\0", b"  ", b"??", b"--", b"ab", b"\xff\xff", b"A\0", b"ZZ")),
        *map(long_form, (b"ZZ", b"ox", b"??", b"\0\0")),
        PRIVATE + b"\4\0\0\0abcd",
        PRIVATE + b"ZZ\0\0" + UNDEFINED + tag_bytes(0xFFFEE0DD) + bytes(4),
    ],
)
@pytest.mark.parametrize("rest", [TEXT, PLACE + PIXELS, b""])
def test_an_unknown_value_representation_ends_no_data_set(odd: bytes, rest: bytes) -> None:
    data_set = IDENTITY + MODALITY + element(0x00290010, "LO", b"MAKER ") + odd + rest
    instance = look_at(part10(data_set))
    assert data_set_of(instance) == data_set
    assert "(0029,1010) has no value representation of PS3.5; the data set is sent as it is" in instance.note
    assert instance.series_instance_uid == ("1.2.3.4" if PLACE in rest else None)
    in_item = IDENTITY + MODALITY + sequence(odd) + rest
    assert data_set_of(look_at(part10(in_item))) == in_item


def test_zeros_that_a_wrong_reading_may_have_led_to_are_not_left_out() -> None:
    data_set = IDENTITY + MODALITY + short_form(b"??") + bytes(100)
    assert data_set_of(look_at(part10(data_set))) == data_set
    jumps_into_zeros = IDENTITY + PRIVATE + b"\4\0\0\0" + b"abcdLO\0\1" + bytes(2000)
    assert data_set_of(look_at(part10(jumps_into_zeros))) == jumps_into_zeros


def test_zeros_after_pixel_data_are_no_part_of_it_all_the_same() -> None:
    data_set = IDENTITY + short_form(b"??") + PLACE + PIXELS
    assert data_set_of(look_at(part10(data_set + bytes(100)))) == data_set


@pytest.mark.parametrize("vr", [b"\0\0", b"??", b"ox"])
def test_no_half_of_a_header_is_left_out(vr: bytes) -> None:
    data_set = BODY + PRIVATE + vr + bytes(2) + bytes(4)  # an empty value, by 32 bits of length
    assert data_set_of(look_at(part10(data_set))) == data_set


def test_an_unknown_one_may_be_the_first_and_the_syntax_missing() -> None:
    data_set = short_form(b"??") + BODY
    instance = look_at(part10(data_set, None))
    assert (instance.transfer_syntax, data_set_of(instance)) == (EXPLICIT_LE, data_set)


def test_one_at_the_beginning_costs_a_truncated_file_no_identity() -> None:
    with pytest.raises(SourceError) as caught:
        look_at(part10(short_form(b"??") + BODY + PIXELS)[:-9])
    assert caught.value.header is not None
    assert (caught.value.header.sop_instance_uid, caught.value.header.modality) == (UID, "CT")


@given(st.binary(min_size=2, max_size=2), st.binary(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_two_bytes_as_value_representation_lose_nothing(vr: bytes, value: bytes) -> None:
    data_set = IDENTITY + PRIVATE + vr + len(value).to_bytes(2, "little") + value + PLACE + PIXELS
    try:
        sent = data_set_of(look_at(part10(data_set)))
    except UnreadableError:
        return
    assert sent == data_set


def test_what_nobody_can_read_after_an_unknown_one_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match=r"damaged: \(0029,1010\) has no value representation of PS3.5"):
        look_at(part10(IDENTITY + PRIVATE + b"??\xff\xff" + TEXT))


def test_a_truncated_file_with_an_unknown_one_is_unreadable() -> None:
    content = part10(IDENTITY + short_form(b"??") + PLACE + PIXELS)
    with pytest.raises(UnreadableError, match="damaged"):
        look_at(content[:-5])


@pytest.mark.parametrize("vr", [b"\0\0", b"  ", b"??", b"--"])
def test_dcmtk_finds_the_elements_that_are_sent(tmp_path: Path, vr: bytes) -> None:
    path = tmp_path / "odd.dcm"
    path.write_bytes(part10(IDENTITY + short_form(vr) + TEXT))
    instance = look_at(path)
    again = tmp_path / "sent.dcm"
    again.write_bytes(part10(data_set_of(instance)))
    shown = [
        subprocess.run([program("dcmdump"), one], capture_output=True, check=True).stdout
        for one in (path, again)
    ]
    assert shown[0] == shown[1]
    assert b"finding: xxx" in shown[1]


# Where the File Meta Information ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_set", "syntax"),
    [
        (meta(JPEG_BASELINE) + BODY + PIXELS, EXPLICIT_LE),
        (meta(JPEG_BASELINE)[12:] + BODY + PIXELS, EXPLICIT_LE),
        (uid(0x00020012, "1.2.3") + BODY, EXPLICIT_LE),
        (implicit(0x00020012, b"1.2.3\0") + BODY_IMPLICIT, IMPLICIT_LE),
        (implicit(0x00020100, b"") + BODY_IMPLICIT, IMPLICIT_LE),
        (implicit(0x00041130, b"AB") + BODY_IMPLICIT, IMPLICIT_LE),
        (implicit(0x00080001, bytes(4)) + BODY_IMPLICIT, IMPLICIT_LE),
        (implicit(0x00070010, b"MAKER ") + BODY_IMPLICIT, IMPLICIT_LE),
        (implicit(0x70530010, b"MAKER ") + BODY_IMPLICIT, IMPLICIT_LE),
        (implicit(0x00080005, b"x" * 0x4543) + BODY_IMPLICIT, IMPLICIT_LE),  # its length reads CE
        (implicit(0x00080005, b"x" * 0x5343) + BODY_IMPLICIT, IMPLICIT_LE),  # its length reads CS
        (short_form(b"??") + BODY, EXPLICIT_LE),
    ],
)
def test_the_file_meta_ends_where_its_group_length_says(data_set: bytes, syntax: str) -> None:
    instance = look_at(part10(data_set, syntax))
    assert (instance.transfer_syntax, instance.sop_instance_uid) == (syntax, UID)
    assert data_set_of(instance) == data_set


def test_without_a_group_length_all_of_group_2_is_file_meta() -> None:
    content = bytes(128) + b"DICM" + meta(EXPLICIT_LE)[12:] + meta(JPEG_BASELINE)[12:] + BODY
    instance = look_at(content)
    assert (instance.transfer_syntax, data_set_of(instance)) == (EXPLICIT_LE, BODY)


@pytest.mark.parametrize("data_set", [BODY_BIG, BODY])
@pytest.mark.parametrize("preamble", [bytes(128) + b"DICM", b""])
def test_file_meta_in_big_endian_is_read_and_no_part_of_the_data_set(
    preamble: bytes, data_set: bytes
) -> None:
    syntax = EXPLICIT_BE if data_set is BODY_BIG else EXPLICIT_LE
    group = b"".join(
        uid(tag, value, "big") for tag, value in ((0x00020002, CT), (0x00020003, UID), (0x00020010, syntax))
    )
    length = element(0x00020000, "UL", len(group).to_bytes(4, "big"), "big")
    for content in (preamble + length + group + data_set, preamble + group + data_set):
        instance = look_at(content)
        assert (instance.transfer_syntax, instance.note, data_set_of(instance)) == (syntax, "", data_set)


# What the transfer syntax says and what is there ----------------------------------------------------------------------


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2, "big") + body


def jpeg(frame: int, scan: bytes) -> bytes:
    header = segment(0xE0, b"JFIF" + bytes(10)) + segment(frame, b"\x08\0\x08\0\x08\1\1\x11\0")
    return b"\xff\xd8" + header + segment(0xDA, b"\1\1\0" + scan) + b"abc\xff\xd9\0"


def jpeg_2000(transformation: int, *others: bytes) -> bytes:
    size = segment(0x51, bytes(36))
    style = segment(0x52, bytes([0, 0, 0, 1, 0, 5, 4, 4, 0, transformation]))
    return b"\xff\x4f" + size + b"".join(others) + style + segment(0x90, bytes(8)) + b"abc"


RLE = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\x01ab\x80"
ROOT = "1.2.840.10008.1.2.4."
CODE_STREAMS = {
    ROOT + "50": jpeg(0xC0, b"\0\x3f\0"),
    ROOT + "51": jpeg(0xC1, b"\0\x3f\0"),
    ROOT + "70": jpeg(0xC3, b"\1\0\0"),
    ROOT + "57": jpeg(0xC3, b"\4\0\0"),
    ROOT + "80": jpeg(0xF7, b"\0\0\0"),
    ROOT + "81": jpeg(0xF7, b"\2\0\0"),
    ROOT + "90": jpeg_2000(1),
    ROOT + "91": jpeg_2000(0),
    ROOT + "201": jpeg_2000(1, segment(0x50, bytes(6))),
    ROOT + "203": jpeg_2000(0, segment(0x50, bytes(6))),
    "1.2.840.10008.1.2.5": RLE,
}


@pytest.mark.parametrize("syntax", CODE_STREAMS)
@pytest.mark.parametrize("said", [None, EXPLICIT_LE])
def test_compressed_pixels_without_their_syntax_are_unreadable_and_it_is_named(
    said: str | None, syntax: str
) -> None:
    content = part10(BODY + fragments(CODE_STREAMS[syntax]), said)
    with pytest.raises(
        UnreadableError, match=rf"its Pixel Data is compressed \(.*; declare .*\({syntax}\) in its File"
    ):
        look_at(content)


@pytest.mark.parametrize(
    "first", [b"\xff\xd8" + bytes(20) + b"\xff\xd9", b"\0\0\0\x18ftypmp42", b"", b"?" * 80]
)
def test_where_it_is_not_certain_no_syntax_is_named(first: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"its Pixel Data is compressed \(.*\); export it again"):
        look_at(part10(BODY + fragments(first)))


@given(st.sampled_from([*CODE_STREAMS.values()]), st.integers(0, 200), st.binary(max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_damaged_code_stream_is_no_matter(stream: bytes, place: int, damage: bytes) -> None:
    content = bytearray(stream)
    content[place : place + len(damage)] = damage
    kind, syntax = syntax_of_code_stream(bytes(content[: len(stream) // 2]))
    assert kind
    assert not syntax or syntax in CODE_STREAMS


SHAPE = b"".join(
    element(tag, "US", number.to_bytes(2, "little"))
    for tag, number in ((0x00280002, 1), (0x00280010, 10), (0x00280011, 20), (0x00280100, 8))
)


def test_native_pixels_under_a_compressed_syntax_are_unreadable() -> None:
    for shape in (SHAPE, b""):
        with pytest.raises(
            UnreadableError,
            match=r"JPEG Baseline .* but its Pixel Data is not compressed.*declare Explicit VR Little Endian",
        ):
            look_at(part10(BODY + shape + PIXELS, JPEG_BASELINE))
    with pytest.raises(UnreadableError, match=r"is not compressed.*; export it again"):
        look_at(part10(BODY + SHAPE + element(0x7FE00010, "OW", bytes(100)), JPEG_BASELINE))
    with pytest.raises(UnreadableError, match=r"a code stream .* without the fragments"):
        look_at(part10(BODY + element(0x7FE00010, "OB", CODE_STREAMS[JPEG_BASELINE]), JPEG_BASELINE))
    with pytest.raises(UnreadableError, match="and has fragments in it"):
        look_at(part10(BODY + element(0x7FE00010, "OB", fragments(b"abcd")[12:]), JPEG_BASELINE))


@pytest.mark.parametrize(
    ("data_set", "advice"),
    [
        (BODY_IMPLICIT, r"declare Implicit VR Little Endian \(1.2.840.10008.1.2\)"),
        (BODY_IMPLICIT[:-58], r"declare Implicit VR Little Endian \(1.2.840.10008.1.2\)"),
        (BODY_BIG, r"declare Explicit VR Big Endian"),
        (
            BODY_IMPLICIT[:-58]
            + tag_bytes(0x7FE00010)
            + UNDEFINED
            + fragments(CODE_STREAMS[ROOT + "50"])[12:],
            "needs Explicit VR Little Endian.*export it again",
        ),
    ],
)
def test_another_encoding_under_a_compressed_syntax_is_unreadable(data_set: bytes, advice: str) -> None:
    with pytest.raises(UnreadableError, match=advice):
        look_at(part10(data_set, JPEG_BASELINE))


@pytest.mark.parametrize(
    "data_set",
    [
        BODY,
        BODY + element(0x7FE00010, "OB", b""),
        BODY + sequence(fragments(b"ab")) + fragments(b"cd"),
        BODY + sequence(PIXELS) + fragments(b"cd"),
        BODY + sequence(PIXELS),
    ],
    ids=["no pixels", "empty pixels", "a compressed icon", "a native icon", "only an icon"],
)
def test_what_a_compressed_syntax_may_hold_is_sent(data_set: bytes) -> None:
    assert data_set_of(look_at(part10(data_set, JPEG_BASELINE))) == data_set


def test_a_compressed_icon_is_no_contradiction() -> None:
    data_set = BODY + sequence(fragments(b"ab")) + PIXELS
    assert data_set_of(look_at(part10(data_set))) == data_set


def test_deflated_that_is_not_and_the_other_way_round_are_unreadable() -> None:
    for data_set, syntax in (
        (BODY + PIXELS, EXPLICIT_LE),
        (BODY_IMPLICIT, IMPLICIT_LE),
        (BODY_BIG, EXPLICIT_BE),
    ):
        with pytest.raises(
            UnreadableError, match=rf"Deflated .* but its data set is not deflated; declare .*\({syntax}\)"
        ):
            look_at(part10(data_set, DEFLATED_LE))
    for said in (None, EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, JPEG_BASELINE):
        for body in (deflated(BODY + PIXELS), zlib.compress(BODY + PIXELS, 0, -15)):
            with pytest.raises(
                UnreadableError, match=rf"its data set is deflated; declare .*\({DEFLATED_LE}\)"
            ):
                look_at(part10(body, said))
    with pytest.raises(UnreadableError, match=r"Deflated .* but its Pixel Data is compressed"):
        look_at(part10(deflated(BODY + fragments(RLE)), DEFLATED_LE))
    for said in (None, EXPLICIT_LE, IMPLICIT_LE, JPEG_BASELINE, DEFLATED_LE):
        with pytest.raises(UnreadableError, match=r"what it inflates to is in Implicit VR Little Endian"):
            look_at(part10(deflated(BODY_IMPLICIT), said))


@pytest.mark.parametrize(
    ("data_set", "said"),
    [
        (BODY_IMPLICIT, "1.2.840.10008.1.2.4.94"),
        (BODY_BIG, "1.2.840.10008.1.2.4.94"),
        (BODY, "1.2.840.113619.5.2"),
        (BODY_BIG, "1.2.840.113619.5.2"),
    ],
    ids=["JPIP implicit", "JPIP big", "GE explicit", "GE big"],
)
def test_another_encoding_than_a_syntax_has_is_unreadable(data_set: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=rf"\({said}\), which needs .*, but its data set is in "):
        look_at(part10(data_set, said))


def test_how_a_data_set_is_encoded_is_told_beside_its_syntax() -> None:
    assert look_at(part10(BODY)).encoding == EXPLICIT_LE
    assert look_at(part10(BODY_BIG, EXPLICIT_BE)).encoding == EXPLICIT_BE
    assert look_at(part10(deflated(BODY), DEFLATED_LE)).encoding == EXPLICIT_LE
    assert look_at(part10(BODY_IMPLICIT, EXPLICIT_LE)).encoding == IMPLICIT_LE
    private = look_at(part10(BODY_IMPLICIT, "1.2.3.4.5"))
    assert (private.transfer_syntax, private.encoding) == ("1.2.3.4.5", IMPLICIT_LE)


# UIDs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    [
        b"\n",
        b"\r\n",
        b"\0garbage!",
        b"\0" + b"\xff" * 99,
        b"\t ",
        b" junk",
        b"\xff\xfe",
        b"\0001.2",
        b"\n\0x",
    ],
)
def test_what_stands_after_a_uid_is_sent_and_no_part_of_it(junk: bytes) -> None:
    data_set = uid(0x00080016, CT) + element(0x00080018, "UI", UID.encode() + junk) + PLACE
    instance = look_at(part10(data_set))
    assert (instance.sop_instance_uid, data_set_of(instance)) == (UID, data_set)
    assert "its SOP Instance UID has bytes around it that are none of a UID (PS3.5 9.1)" in instance.note


def test_the_other_uids_are_without_it_too() -> None:
    data_set = IDENTITY + element(0x0020000D, "UI", b"1.2.3\n") + element(0x0020000E, "UI", b"1.2.4\0abc")
    content = bytes(128) + b"DICM" + element(0x00020010, "UI", EXPLICIT_LE.encode() + b"\n") + data_set
    instance = look_at(content)
    assert (instance.study_instance_uid, instance.series_instance_uid) == ("1.2.3", "1.2.4")
    assert instance.transfer_syntax == EXPLICIT_LE
    for name in ("Study", "Series"):
        assert f"its {name} Instance UID has bytes around it that are none of a UID" in instance.note


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1.02", "is not a valid UID (PS3.5 9.1): a component begins"),
        ("1.x", "is not a valid"),
        ("1.0.2", ""),
    ],
)
def test_the_uids_of_study_and_series_are_judged_too(value: str, says: str) -> None:
    for tag, name in ((0x0020000D, "Study"), (0x0020000E, "Series")):
        note = look_at(part10(IDENTITY + uid(tag, value))).note
        assert f"its {name} Instance UID {says}" in note if says else not note


@pytest.mark.parametrize("value", ["1.02.3", "01.2", "1.2.00", "1.2.3.0001"])
def test_a_component_with_a_leading_zero_is_sent_and_noted(value: str) -> None:
    instance = look_at(part10(uid(0x00080016, CT) + uid(0x00080018, value)))
    assert instance.sop_instance_uid == value
    assert (
        "its SOP Instance UID is not a valid UID (PS3.5 9.1): a component begins with a zero" in instance.note
    )


@pytest.mark.parametrize("value", ["1.2.0", "0.1", "1.0.10.100"])
def test_a_zero_alone_is_a_component(value: str) -> None:
    assert "valid" not in look_at(part10(uid(0x00080016, CT) + uid(0x00080018, value))).note


# What is known of what cannot be sent ---------------------------------------------------------------------------------


def test_what_is_truncated_or_contradicts_itself_keeps_its_identity() -> None:
    for content, syntax in (
        (part10(BODY + PIXELS)[:-9], EXPLICIT_LE),
        (part10(BODY_IMPLICIT, IMPLICIT_LE)[:-9], IMPLICIT_LE),
        (part10(BODY + PIXELS, JPEG_BASELINE), JPEG_BASELINE),
        (part10(BODY + PIXELS + b"garbage!"), EXPLICIT_LE),
    ):
        with pytest.raises(SourceError) as caught:
            look_at(content)
        header = caught.value.header
        assert header is not None
        assert (header.sop_class_uid, header.sop_instance_uid, header.transfer_syntax) == (CT, UID, syntax)
        assert (header.study_instance_uid, header.modality) == (
            "1.2.3",
            "CT" if MODALITY in content else "MR",
        )


def test_a_file_that_ends_in_its_file_meta_is_what_that_says() -> None:
    whole = meta(EXPLICIT_LE)
    content = part10(BODY)[: PREFIX_END + len(whole) - 3]
    with pytest.raises(SourceError, match="truncated") as caught:
        look_at(content)
    header = caught.value.header
    assert header is not None
    assert (header.sop_class_uid, header.sop_instance_uid, header.modality) == (CT, UID, None)


@pytest.mark.parametrize("kept", [400, -1])
def test_a_deflated_file_that_is_cut_keeps_its_identity(kept: int) -> None:
    noise = element(0x7FE00010, "OW", random.Random(1).randbytes(2000))
    content = part10(deflated(BODY + noise), DEFLATED_LE)
    begin = content.index(deflated(BODY + noise))
    with pytest.raises(SourceError, match="ends early") as caught:
        look_at(content[: begin + kept] if kept > 0 else content[:kept].rstrip(b"\0")[:-1])
    header = caught.value.header
    assert header is not None
    assert (header.sop_instance_uid, header.study_instance_uid, header.modality) == (UID, "1.2.3", "CT")


def test_a_member_that_fails_its_checksum_keeps_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "one.zip"
    pixels = element(0x7FE00010, "OW", bytes(200_000))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.dcm", part10(BODY + pixels))
    archived = bytearray(path.read_bytes())
    archived[archived.index(pixels) + len(pixels) - 1] ^= 1
    path.write_bytes(archived)
    with LocalSCP() as scp:
        row = send_batch(scp.setting(), path).to_frame().iloc[0]
    assert (row.outcome, row.sop_instance_uid, row.study_instance_uid) == ("unreadable", UID, "1.2.3")
    assert "checksum" in row.detail


def test_a_row_of_what_cannot_be_sent_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(part10(BODY + PIXELS)[:-9])
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.write(path, "cut.dcm")
    dataset = dcmread(BytesIO(part10(BODY + PIXELS)))
    dataset.PatientName = "\u5c71\u7530"
    with LocalSCP() as scp:
        sources = [path, tmp_path / "some.zip", path.read_bytes(), dataset, DicomMessage.from_file(path)]
        frame = send_batch(scp.setting(), [*sources, tmp_path]).to_frame()
        one = send(scp.setting(), DicomMessage.from_file(path))
    assert list(frame["outcome"]) == ["unreadable"] * 6
    for row in (*frame.itertuples(), one):
        assert (row.sop_class_uid, row.sop_instance_uid, row.transfer_syntax) == (CT, UID, EXPLICIT_LE)
        assert (row.study_instance_uid, row.series_instance_uid, row.modality) == ("1.2.3", "1.2.3.4", "CT")


def test_errors_survive_pickling_with_what_the_header_says() -> None:
    with pytest.raises(SourceError) as caught:
        look_at(part10(BODY + PIXELS)[:-9], "one.dcm")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.header) == (str(caught.value), caught.value.header)


# Beside DCMTK ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taking_all() -> Iterator[Storescp]:
    with Storescp(bit_preserving=True, accept_all=True) as peer:
        yield peer


def elements_in(peer: Storescp) -> list[tuple[str, str]]:
    """The tags and lengths that dcmdump finds in what the peer has got; it is taken away from there."""
    (path,) = peer.received().values()
    shown = subprocess.run([program("dcmdump"), path], capture_output=True).stdout.decode("latin-1")
    path.unlink()
    lines = [line.strip() for line in shown.partition("# Dicom-Data-Set")[2].splitlines()]
    return [
        (line[:11], line.rpartition("#")[2].split(",")[0].strip()) for line in lines if line.startswith("(")
    ]


AS_DCMTK_SENDS_IT = {
    **{
        f"VR {vr!r}": (IDENTITY + short_form(vr) + TEXT, EXPLICIT_LE)
        for vr in (b"\0\0", b"  ", b"??", b"--", b"ab")
    },
    "VR of the future": (IDENTITY + long_form(b"ZZ") + TEXT, EXPLICIT_LE),
    "two groups 0002": (meta(JPEG_BASELINE) + BODY + PIXELS, EXPLICIT_LE),
    "implicit after File Meta": (implicit(0x00020012, b"1.2.3\0") + BODY_IMPLICIT, IMPLICIT_LE),
    "a private element behind": (BODY + PIXELS + element(0x7FE10010, "LO", b"abcd"), EXPLICIT_LE),
    "a leading zero": (uid(0x00080016, CT) + uid(0x00080018, "1.02.3") + PLACE, EXPLICIT_LE),
}


@pytest.mark.parametrize("name", AS_DCMTK_SENDS_IT)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_storescu_sends_of_an_odd_file_we_send(tmp_path: Path, taking_all: Storescp, name: str) -> None:
    data_set, syntax = AS_DCMTK_SENDS_IT[name]
    path = tmp_path / "odd.dcm"
    path.write_bytes(part10(data_set, syntax))
    assert storescu(taking_all, [path], "-xi" if syntax == IMPLICIT_LE else "-xe").returncode == 0
    theirs = elements_in(taking_all)
    (outcome,) = send_batch(taking_all.setting(), path).to_frame()["outcome"]
    assert outcome == "stored"
    assert elements_in(taking_all) == theirs
    assert len(theirs) > 2


ODD_TEXT = element(0x00104000, "LT", b"abc")
AN_ODD_STREAM = next(
    stream
    for stream in (deflated(BODY + element(0x00104000, "LT", b"ab" * count)) for count in range(99))
    if len(stream) % 2
)


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize(
    ("data_set", "syntax", "sent_syntax"),
    [
        (BODY + ODD_TEXT, EXPLICIT_LE, EXPLICIT_LE),
        (BODY + ODD_TEXT + PIXELS, EXPLICIT_LE, EXPLICIT_LE),
        (BODY + element(0x7FE00010, "OB", bytes(40001)), EXPLICIT_LE, EXPLICIT_LE),
        (BODY_IMPLICIT + implicit(0x00104000, b"abc"), IMPLICIT_LE, IMPLICIT_LE),
        (AN_ODD_STREAM, DEFLATED_LE, DEFLATED_LE),
        (BODY + ODD_TEXT, EXPLICIT_LE, IMPLICIT_LE),
        (BODY + element(0x7FE00010, "OB", bytes(40001)), EXPLICIT_LE, IMPLICIT_LE),
    ],
)
def test_a_data_set_of_odd_length_is_made_even(
    tmp_path: Path, data_set: bytes, syntax: str, sent_syntax: str, packs: bool
) -> None:
    """PS3.5 7.1.1, A.5: for the rest of an odd one DCMTK waits, or it aborts."""
    assert len(data_set) % 2
    path = tmp_path / "odd.dcm"
    path.write_bytes(part10(data_set, syntax))
    option = {EXPLICIT_LE: "+xe", IMPLICIT_LE: "+xi", DEFLATED_LE: "+xd"}[sent_syntax]
    with Storescp(bit_preserving=True, options=[option]) as peer:
        (row,) = send_batch(peer.setting(), path, retries=0, pack_pdv=packs).to_frame().itertuples()
        assert (row.outcome, row.sent_transfer_syntax) == ("stored", sent_syntax)
        assert "its data set has an odd length, and a NUL was added after it" in row.detail
        (arrived,) = peer.received().values()
        content = arrived.read_bytes()
        assert row.size_bytes % 2 == 0
    if syntax == sent_syntax:
        assert content.endswith(data_set + b"\0")
        assert row.size_bytes == len(data_set) + 1


@pytest.mark.parametrize(
    ("data_set", "syntax"),
    [
        (BODY + PIXELS + b"garbage and more", EXPLICIT_LE),
        (BODY + PIXELS + b"\xff" * 64, EXPLICIT_LE),
        (BODY_IMPLICIT + b"GARBAGE!", IMPLICIT_LE),
        (BODY + fragments(RLE), EXPLICIT_LE),
        (BODY + PIXELS, JPEG_BASELINE),
        (BODY_IMPLICIT, JPEG_BASELINE),
        (IDENTITY + PRIVATE + b"??\xff\xff" + TEXT, EXPLICIT_LE),
    ],
)
def test_what_storescu_refuses_is_unreadable(
    tmp_path: Path, taking_all: Storescp, data_set: bytes, syntax: str
) -> None:
    path = tmp_path / "odd.dcm"
    path.write_bytes(part10(data_set, syntax))
    assert storescu(taking_all, [path], "-xs").returncode != 0
    with pytest.raises(UnreadableError):
        look_at(path)
    assert not taking_all.received()
