"""Two data sets compared element by element: what counts as a difference, what is encoding, and what may be shown."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments, parse_basic_offsets
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, JPEGLSLossless, RLELossless

from dicomkit.uids import DEFLATED_LE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.verification.compare import Encoded, NotComparable, compare
from dicomkit.verification.pixels import compare_pixels
from tests.files import ct_instance, data_set_of


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


def test_leading_spaces_of_a_comment_mean_something() -> None:
    one, other = Dataset(), Dataset()
    one.PatientComments, other.PatientComments = "text", " text"
    assert len(compare(encoded(one), encoded(other)).differences) == 1


def test_a_text_in_another_character_set_is_the_same_text() -> None:
    def to_latin(ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 100"

    assert said(to_latin) == ["(0008,0005) SpecificCharacterSet changed ('ISO_IR 192' became 'ISO_IR 100')"]


def test_the_same_bytes_in_another_character_set_are_another_text() -> None:
    ds = a_data_set()
    bytes_before = encoded(ds).data
    relabelled = Encoded(bytes_before.replace(b"ISO_IR 192", b"ISO_IR 100"), EXPLICIT_LE)
    tags = [difference.path for difference in compare(encoded(ds), relabelled).differences]
    assert tags == ["(0008,0005) SpecificCharacterSet", "(0010,0010) PatientName"]


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
    with pytest.raises(NotComparable, match="no data set"):
        compare(sent, Encoded(sent.data, DEFLATED_LE))


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.binary(max_size=400))
def test_whatever_comes_back_is_compared_or_refused(data: bytes) -> None:
    sent = encoded(a_data_set())
    for syntax in (EXPLICIT_LE, IMPLICIT_LE):
        with suppress(NotComparable):
            compare(sent, Encoded(data, syntax))


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what was broken on purpose
@given(st.integers(0, 700), st.integers(1, 255))
def test_every_changed_byte_of_a_data_set_is_noticed_or_padding(position: int, change: int) -> None:
    data = bytearray(data_set_of(ct_instance(rows=2, columns=2)))
    position %= len(data)
    sent = Encoded(bytes(data), EXPLICIT_LE)
    data[position] ^= change
    before, after = sent.data[position : position + 1], bytes(data[position : position + 1])
    try:
        noticed = bool(compare(sent, Encoded(bytes(data), EXPLICIT_LE)).differences)
    except NotComparable:
        noticed = True
    is_padding = {before, after} <= {b" ", b"\0"}
    is_representation = sent.data[position - 5 : position + 2].count(0) > 0  # a VR is no value
    assert noticed or is_padding or is_representation


# Pixels


def compressed(ds: Dataset, syntax: UID) -> Encoded:
    ds.compress(syntax, generate_instance_uid=False)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return Encoded(buffer.getvalue(), str(syntax))


def a_picture(changed: bool = False) -> Dataset:
    ds = dcmread(io.BytesIO(ct_instance(rows=16, columns=16)))
    if changed:
        pixels = np.frombuffer(ds.PixelData, "<u2").copy()
        pixels[100] += 1
        ds.PixelData = pixels.tobytes()
    return ds


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_pixels_compressed_without_loss_are_the_same_pixels(syntax: UID) -> None:
    sent = encoded(a_picture())
    back = compressed(a_picture(), syntax)
    assert compare_pixels(sent, back).same == "yes"
    assert compare(sent, back, leave_out=PIXEL_ENCODING).differences == ()


def test_one_changed_pixel_is_found_through_the_compression() -> None:
    verdict = compare_pixels(encoded(a_picture()), compressed(a_picture(changed=True), RLELossless))
    assert (verdict.same, verdict.sentence) == ("no", "1 of the 256 decoded values of frame 1 differ")


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


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_decoded_is_not_known() -> None:
    back = compressed(a_picture(), RLELossless)
    broken = Encoded(back.data.replace(bytes(back.data[-40:]), bytes(40)), back.transfer_syntax)
    verdict = compare_pixels(encoded(a_picture()), broken)
    assert verdict.same in ("no", "unknown")
    unheard_of = compare_pixels(encoded(a_picture()), Encoded(back.data, "1.2.840.10008.1.2.4.100"))
    assert unheard_of.same == "unknown"
    assert "dicomkit[codecs]" in unheard_of.sentence
