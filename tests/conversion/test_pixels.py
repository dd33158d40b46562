"""Every bit and every frame of compressed pixels, beside what DCMTK and pydicom's plugins make of them."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from dicomkit.conversion import NotConverted
from dicomkit.conversion._pixels import CODINGS, decompress
from dicomkit.conversion._rewriter import Decompressed
from tests.support.files import instance_uid
from tests.support.peers import program

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
END = b"\xff\xd9"

# Broken on purpose: without a code stream, and with one that ends where a sequence delimiter is in it.
BROKEN = {"SC_rgb_jpeg.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"}


def compressed_files() -> list[str]:
    names = []
    for path in sorted(TEST_FILES.glob("*.dcm")):
        try:
            ds = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        if "PixelData" in ds and ds.file_meta.get("TransferSyntaxUID") in CODINGS and path.name not in BROKEN:
            names.append(path.name)
    return names


COMPRESSED = compressed_files()
NOT_BY_PLUGINS = {"JPEG-lossy.dcm"}  # of 12 bits


def even(fragment: bytes) -> bytes:
    return fragment + b"\0" * (len(fragment) % 2)


def raw_attributes(ds: Dataset) -> dict[int, bytes]:
    """Group 0028 in Little Endian, as it is in the file."""
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    pydicom.filewriter.write_dataset(buffer, ds.group_dataset(0x0028))
    again = pydicom.filereader.read_dataset(io.BytesIO(buffer.getvalue()), True, True)
    return {int(tag): raw.value for tag, raw in again._dict.items()}  # type: ignore[union-attr, misc]


def convert(
    attributes: Dataset | Mapping[int, bytes],
    fragments: Sequence[bytes],
    syntax: str,
    *,
    offset_table: bytes = b"",
    extended: tuple[bytes, bytes] | None = None,
    max_decoded_bytes: int = 1 << 31,
) -> Decompressed:
    """Decompress fragments that lie in a source one after the other, as they do in a file."""
    source, places = bytearray(b"before"), []
    for fragment in fragments:
        source += struct.pack("<HHI", 0xFFFE, 0xE000, len(fragment))
        places.append((len(source), len(fragment)))
        source += fragment
    content = bytes(source)
    return decompress(
        lambda position, count: content[position : position + count],
        places,
        offset_table,
        extended,
        raw_attributes(attributes) if isinstance(attributes, Dataset) else attributes,
        syntax,
        max_decoded_bytes=max_decoded_bytes,
    )


def convert_file(ds: Dataset) -> Decompressed:
    fragments = list(fragments_of(ds))
    return convert(ds, fragments, ds.file_meta.TransferSyntaxUID)


def fragments_of(ds: Dataset) -> Iterator[bytes]:
    items = pydicom.encaps.generate_fragments(ds.PixelData)
    next(items)  # the Basic Offset Table
    yield from items


def value(converted: Decompressed) -> bytes:
    return b"".join(bytes(piece) for piece in converted.value)


def described(ds: Dataset, converted: Decompressed) -> Dataset:
    """The data set with the decompressed pixels, as who receives it reads it."""
    after = pydicom.Dataset()
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"):
        if keyword in ds:
            after[keyword] = ds[keyword]
    for keyword in ("PlanarConfiguration", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit"):
        if keyword in ds:
            after[keyword] = ds[keyword]
    for tag, raw in converted.attributes.items():
        if raw is None:
            del after[tag]
            continue
        vr = pydicom.datadict.dictionary_VR(tag)
        after.add_new(tag, vr, struct.unpack("<H", raw)[0] if vr == "US" else raw.decode().strip())
        assert len(raw) % 2 == 0
    data = value(converted)
    after.PixelData = data + b"\0" * (len(data) % 2)
    after["PixelData"].VR = converted.vr
    after.file_meta = pydicom.dataset.FileMetaDataset()
    after.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = after.Rows * after.Columns * after.SamplesPerPixel * after.BitsAllocated
    assert len(data) == -(-bits * int(after.get("NumberOfFrames", 1)) // 8)
    assert after.BitsStored <= after.BitsAllocated
    assert after.BitsStored - 1 <= after.HighBit < after.BitsAllocated
    return after


def image(samples: Any = None, **attributes: Any) -> Dataset:
    """An image in whose header each attribute may be another than that of the samples."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, instance_uid(0)
    ds.Rows, ds.Columns = (40, 50) if samples is None else samples.shape[:2]
    colour = samples is not None and samples.ndim == 3
    ds.SamplesPerPixel = samples.shape[2] if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 16 if samples is None else 8 * samples.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = 0
    for keyword, attribute in attributes.items():
        if attribute is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, attribute)
    return ds


RANDOM = np.random.default_rng(12)
GREY_8 = RANDOM.integers(0, 256, (40, 50)).astype("u1")
GREY_12 = RANDOM.integers(0, 4096, (40, 50)).astype("<u2")
GREY_16 = RANDOM.integers(0, 65536, (40, 50)).astype("<u2")
COLOUR = RANDOM.integers(0, 256, (40, 50, 3)).astype("u1")


def jpeg_2000(samples: Any, bits: int | None = None, **options: Any) -> bytes:
    from openjpeg.utils import encode_array

    options.setdefault("use_mct", False)
    photometric = 1 if samples.ndim == 3 else 2
    return even(
        bytes(encode_array(samples, photometric_interpretation=photometric, bits_stored=bits, **options))
    )


def jpeg_lossless(samples: Any, bits: int | None = None, predictor: int = 1) -> bytes:
    bits = bits or 8 * samples.dtype.itemsize
    return even(imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=bits, predictor=predictor))


def jpeg_ls(samples: Any, interleave: int = 0) -> bytes:
    from jpeg_ls import encode_array

    in_planes = samples.ndim == 3 and interleave == 0
    return even(
        bytes(encode_array(np.moveaxis(samples, -1, 0).copy() if in_planes else samples, 0, interleave))
    )


def rle_of(segments: Sequence[bytes]) -> bytes:
    """Segments in literal runs (PS3.5 G.3)."""
    body, offsets = b"", []
    for segment in segments:
        offsets.append(64 + len(body))
        runs = (segment[start : start + 128] for start in range(0, len(segment), 128))
        body += even(b"".join(bytes([len(run) - 1]) + run for run in runs))
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + body


def rle(samples: Any) -> bytes:
    """Most significant bytes first, plane after plane (PS3.5 G.2)."""
    planes = np.moveaxis(samples, -1, 0) if samples.ndim == 3 else samples[None]
    width = samples.dtype.itemsize
    cells = np.ascontiguousarray(planes).view("u1").reshape(len(planes), -1, width)
    return rle_of(
        [cells[plane, :, byte].tobytes() for plane in range(len(planes)) for byte in reversed(range(width))]
    )


def pillow_jpeg(**options: Any) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(COLOUR).save(buffer, "JPEG", **options)
    return even(buffer.getvalue())


ONE_OF_EACH = {
    JPEGLosslessSV1: jpeg_lossless(GREY_16),
    JPEGLSLossless: jpeg_ls(GREY_16),
    JPEG2000Lossless: jpeg_2000(GREY_16),
    HTJ2KLossless: even(imagecodecs.htj2k_encode(GREY_16, reversible=True)),
    RLELossless: rle(GREY_16),
}
each_coding = pytest.mark.parametrize("syntax", ONE_OF_EACH, ids=lambda syntax: syntax.keyword)


# --- other implementations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COMPRESSED if name not in NOT_BY_PLUGINS])
def test_samples_are_those_that_the_plugins_of_pydicom_decode(name: str) -> None:
    ds = pydicom.dcmread(TEST_FILES / name)
    after = described(ds, convert_file(ds))
    expected, _ = get_decoder(ds.file_meta.TransferSyntaxUID).as_array(ds, raw=True)
    got = pixel_array(after, raw=True)
    # Another decoder may round the cosine transform to the other side.
    is_rounded = ds.file_meta.TransferSyntaxUID in (JPEGBaseline8Bit, JPEGExtended12Bit)
    assert np.abs(got.astype(int) - expected).max() <= is_rounded


TOOLS = {"JPEG": ("dcmdjpeg", "+cn"), "JPEG-LS": ("dcmdjpls",), "RLE": ("dcmdrle",)}


def by_dcmtk(path: Path, folder: Path) -> Dataset:
    tool, *options = TOOLS[coding_of(path)]
    result = folder / "native.dcm"
    subprocess.run([program(tool), *options, str(path), str(result)], check=True, capture_output=True)
    return pydicom.dcmread(result)


IMAGE_PIXEL = (
    *("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    "PhotometricInterpretation",
)


def assert_as_dcmtk(path: Path, folder: Path) -> None:
    """The same bytes and the same description; planes are compared pixel by pixel."""
    ds = pydicom.dcmread(path)
    after, expected = described(ds, convert_file(ds)), by_dcmtk(path, folder)
    assert {keyword: after[keyword].value for keyword in IMAGE_PIXEL} == {
        keyword: expected[keyword].value for keyword in IMAGE_PIXEL
    }
    if after.get("PlanarConfiguration") == expected.get("PlanarConfiguration"):
        assert after.PixelData == expected.PixelData
    else:
        assert np.array_equal(pixel_array(after, raw=True), pixel_array(expected, raw=True))


def coding_of(path: Path) -> str:
    return CODINGS[pydicom.dcmread(path, specific_tags=["Rows"]).file_meta.TransferSyntaxUID]


# DCMTK has no decoder of JPEG 2000.
@pytest.mark.parametrize("name", [name for name in COMPRESSED if coding_of(TEST_FILES / name) in TOOLS])
def test_bytes_are_those_that_dcmtk_writes(name: str, tmp_path: Path) -> None:
    assert_as_dcmtk(TEST_FILES / name, tmp_path)


ENCODERS = {
    "JPEG Lossless SV1": ("dcmcjpeg", "+e1"),
    "JPEG Lossless, predictor 6": ("dcmcjpeg", "+el", "+sv", "6"),
    "JPEG Baseline": ("dcmcjpeg", "+eb"),
    "JPEG Baseline RGB": ("dcmcjpeg", "+eb", "+cr"),
    "JPEG Baseline 4:4:4": ("dcmcjpeg", "+eb", "+s4"),
    "JPEG Extended": ("dcmcjpeg", "+ee"),
    "JPEG-LS": ("dcmcjpls", "+el"),
    "JPEG-LS by line": ("dcmcjpls", "+el", "+il"),
    "JPEG-LS in planes": ("dcmcjpls", "+el", "+in"),
    "JPEG-LS near lossless": ("dcmcjpls", "+en"),
    "RLE": ("dcmcrle",),
}


SIGNED = ("CT_small.dcm", "MR_small.dcm")


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        (name, encoder)
        for name in (*SIGNED, "SC_rgb.dcm", "frames", "12 bits")
        for encoder in ENCODERS
        if name not in SIGNED
        or encoder != "JPEG-LS near lossless"  # which DCMTK does not make of signed ones
    ],
)
def test_what_dcmtk_compresses_is_what_dcmtk_decompresses(name: str, encoder: str, tmp_path: Path) -> None:
    tool, *options = ENCODERS[encoder]
    source = TEST_FILES / name
    if not source.exists():
        source = tmp_path / "source.dcm"
        ds = pydicom.dcmread(TEST_FILES / "CT_small.dcm")
        ds.PixelRepresentation = 0
        if name == "frames":
            frames = [GREY_8, GREY_8[::-1], GREY_8 // 2]
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.NumberOfFrames = 8, 8, 7, 3
        else:
            frames = [GREY_12]
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.Rows, ds.Columns = frames[0].shape
        ds.PixelData = b"".join(frame.tobytes() for frame in frames)
        ds.save_as(source)
    path = tmp_path / "compressed.dcm"
    subprocess.run([program(tool), *options, str(source), str(path)], capture_output=True, check=True)
    assert_as_dcmtk(path, tmp_path)


def test_every_file_of_pydicom_that_is_left_out_is_refused() -> None:
    for name in BROKEN:
        ds = pydicom.dcmread(TEST_FILES / name)
        with pytest.raises(NotConverted, match="could not be decoded"):
            convert_file(ds)


# --- bits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 7, 8, 9, 12, 15, 16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_of_every_precision_and_predictor(bits: int, predictor: int) -> None:
    samples = RANDOM.integers(0, 1 << bits, (40, 50)).astype("u1" if bits <= 8 else "<u2")
    ds = image(samples, BitsStored=bits, HighBit=bits - 1)
    converted = convert(ds, [jpeg_lossless(samples, bits, predictor)], JPEGLosslessSV1)
    assert value(converted) == samples.tobytes()
    assert not converted.attributes
    assert not converted.notes


@each_coding
def test_bits_above_bits_stored_are_kept(syntax: UID) -> None:
    """Overlays live there (PS3.5 8.1.2)."""
    converted = convert(image(BitsStored=12, HighBit=11), [ONE_OF_EACH[syntax]], syntax)
    assert value(converted) == GREY_16.tobytes()
    assert not converted.attributes


@pytest.mark.parametrize("encode", [jpeg_2000, jpeg_lossless, jpeg_ls])
def test_sixteen_bits_allocated_for_a_code_stream_of_eight(encode: Any) -> None:
    ds = image(BitsStored=8, HighBit=7)
    converted = convert(ds, [encode(GREY_8)], JPEG2000Lossless)
    after = described(ds, converted)
    assert after.BitsAllocated == 8
    assert converted.vr == "OB"
    assert np.array_equal(pixel_array(after), GREY_8)


def test_signed_samples_that_a_code_stream_knows_as_eight_bits_stay_the_numbers_that_they_are() -> None:
    ds = image(PixelRepresentation=1)  # 16 bits, so that the sign is the 16th
    after = described(ds, convert(ds, [jpeg_lossless(GREY_8)], JPEGLosslessSV1))
    assert np.array_equal(pixel_array(after), GREY_8)


@pytest.mark.parametrize(
    ("header", "samples", "bits", "expected"),
    [
        ({"BitsStored": 12, "HighBit": 11}, GREY_12, 12, (16, 12, 11)),
        ({}, GREY_12, 12, (16, 12, 11)),
        ({"BitsStored": 12, "HighBit": 15}, GREY_12, 12, (16, 12, 11)),
        ({"BitsStored": 10, "HighBit": 9}, GREY_12, 12, (16, 12, 11)),  # all of its bits are used
        ({"BitsStored": 10, "HighBit": 9}, GREY_12 >> 2, 12, (16, 10, 9)),  # the upper two are not
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, GREY_12, 12, (16, 12, 11)),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, GREY_16, 16, (16, 16, 15)),
        ({"BitsAllocated": None, "BitsStored": None, "HighBit": None}, GREY_12, 12, (16, 12, 11)),
    ],
)
def test_bits_are_described_as_those_of_the_code_stream(
    header: dict[str, Any], samples: Any, bits: int, expected: tuple[int, int, int]
) -> None:
    ds = image(**header)
    converted = convert(ds, [jpeg_2000(samples, bits)], JPEG2000Lossless)
    after = described(ds, converted)
    assert value(converted) == samples.tobytes()
    assert (after.BitsAllocated, after.BitsStored, after.HighBit) == expected
    assert np.array_equal(pixel_array(after), samples)


def test_more_than_sixteen_bits() -> None:
    samples = RANDOM.integers(0, 1 << 24, (40, 50)).astype("<u4")
    ds = image(samples, BitsStored=24, HighBit=23)
    assert value(convert(ds, [jpeg_2000(samples, 24)], JPEG2000Lossless)) == samples.tobytes()


@pytest.mark.parametrize("representation", [0, 1])
@pytest.mark.parametrize("signed", [False, True])
def test_pixel_representation_and_the_sign_of_a_code_stream(representation: int, signed: bool) -> None:
    """The bits are those of the code stream, and Pixel Representation says what number they are."""
    samples = GREY_12.astype("<i2") - 2048 if signed else GREY_12
    ds = image(BitsStored=12, HighBit=11, PixelRepresentation=representation)
    converted = convert(ds, [jpeg_2000(samples, 12)], JPEG2000Lossless)
    after = described(ds, converted)
    assert np.array_equal(pixel_array(after, raw=True) & 0xFFF, samples & 0xFFF)
    assert (signed != bool(representation)) == ("against Pixel Representation" in converted.notes)
    if signed == bool(representation):
        assert np.array_equal(pixel_array(after), samples)


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("planar", [0, 1])
def test_rle_of_every_width(width: int, planar: int) -> None:
    colour = width <= 4
    shape = (9, 7, 3) if colour else (9, 7)
    samples = RANDOM.integers(0, 256, (*shape, width)).astype("u1").view(f"<u{width}").reshape(shape)
    ds = image(samples)
    if colour:
        ds.PlanarConfiguration = planar
    expected = np.moveaxis(samples, -1, 0) if colour and planar else samples
    converted = convert(ds, [rle(samples)], RLELossless)
    assert value(converted) == np.ascontiguousarray(expected).tobytes()
    assert not converted.attributes


def test_single_bits_of_one_frame_begin_where_those_of_the_last_end() -> None:
    bits = RANDOM.integers(0, 2, (3, 63)).astype("u1")
    ds = image(Rows=9, Columns=7, BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=3)
    frames = [rle_of([np.packbits(frame, bitorder="little").tobytes()]) for frame in bits]
    converted = convert(ds, frames, RLELossless)
    assert value(converted) == np.packbits(bits, bitorder="little").tobytes()


# --- colour ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planar", [0, 1, None])
@pytest.mark.parametrize(
    "fragment",
    [jpeg_2000(COLOUR), jpeg_lossless(COLOUR), *(jpeg_ls(COLOUR, interleave) for interleave in range(3))],
    ids=["JPEG 2000", "JPEG Lossless", "JPEG-LS in planes", "JPEG-LS by line", "JPEG-LS by sample"],
)
def test_planar_configuration_is_that_of_the_decoded_samples(fragment: bytes, planar: int | None) -> None:
    ds = image(COLOUR, PlanarConfiguration=planar)
    after = described(ds, convert(ds, [fragment], JPEG2000Lossless))
    assert after.PlanarConfiguration == 0
    assert np.array_equal(pixel_array(after), COLOUR)


@pytest.mark.parametrize(
    ("said", "transformed", "expected"),
    [
        ("RGB", False, "RGB"),
        ("RGB", True, "RGB"),
        ("YBR_RCT", True, "RGB"),
        ("YBR_RCT", False, "RGB"),
        ("YBR_FULL", False, "YBR_FULL"),
        ("YBR_FULL_422", False, "YBR_FULL"),
        ("MONOCHROME2", False, "RGB"),
    ],
)
def test_photometric_interpretation_of_jpeg_2000(said: str, transformed: bool, expected: str) -> None:
    ds = image(COLOUR, PhotometricInterpretation=said)
    converted = convert(ds, [jpeg_2000(COLOUR, use_mct=transformed)], JPEG2000Lossless)
    assert described(ds, converted).PhotometricInterpretation == expected
    assert value(converted) == COLOUR.tobytes()
    contradicts = said == "MONOCHROME2" or (said == "YBR_RCT" and not transformed)
    assert contradicts == ("Photometric Interpretation was" in converted.notes)


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}])
@pytest.mark.parametrize("said", ["RGB", "YBR_FULL", "YBR_FULL_422", "MONOCHROME2"])
def test_jpeg_is_upsampled_and_not_transformed(said: str, options: dict[str, Any]) -> None:
    """What pydicom makes RGB of it for a viewer is what Pillow shows of the JPEG file."""
    ds = image(COLOUR, PhotometricInterpretation=said)
    fragment = pillow_jpeg(**options)
    converted = convert(ds, [fragment], JPEGBaseline8Bit)
    after = described(ds, converted)
    assert after.PhotometricInterpretation == "YBR_FULL"
    shown = np.asarray(PillowImage.open(io.BytesIO(fragment)).convert("RGB")).astype(int)
    assert np.abs(pixel_array(after) - shown).max() <= 2
    assert (said in ("RGB", "MONOCHROME2")) == ("Photometric Interpretation was" in converted.notes)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        *((said, said) for said in ("RGB", "YBR_FULL", "HSV", "YBR_ICT_LIKE", "")),
        ("YBR_FULL_422", "YBR_FULL"),
        ("YBR_RCT", "RGB"),
    ],
)
@pytest.mark.parametrize("coding", ["JPEG Lossless", "JPEG-LS", "JPEG 2000", "RLE"])
def test_only_the_data_set_knows_the_colour_space_of_what_is_coded_without_loss(
    coding: str, said: str, expected: str
) -> None:
    """PS3.5 8.2: whatever the components of a code stream are named."""
    syntax, encode = {
        "JPEG Lossless": (JPEGLosslessSV1, jpeg_lossless),
        "JPEG-LS": (JPEGLSLossless, jpeg_ls),
        "JPEG 2000": (JPEG2000Lossless, jpeg_2000),
        "RLE": (RLELossless, rle),
    }[coding]
    ds = image(COLOUR, PhotometricInterpretation=said or None)
    converted = convert(ds, [encode(COLOUR)], syntax)
    after = described(ds, converted)
    assert after.get("PhotometricInterpretation", "") == expected
    assert value(converted) == COLOUR.tobytes()
    assert (said == "YBR_RCT") == ("Photometric Interpretation was YBR_RCT" in converted.notes)


def test_samples_per_pixel_is_that_of_the_code_stream() -> None:
    ds = image(GREY_8)
    converted = convert(ds, [jpeg_2000(COLOUR)], JPEG2000Lossless)
    after = described(ds, converted)
    assert (after.SamplesPerPixel, after.PhotometricInterpretation, after.PlanarConfiguration) == (
        3,
        "RGB",
        0,
    )
    assert np.array_equal(pixel_array(after), COLOUR)

    ds = image(COLOUR)
    converted = convert(ds, [jpeg_2000(GREY_8)], JPEG2000Lossless)
    after = described(ds, converted)
    assert (after.SamplesPerPixel, after.PhotometricInterpretation) == (1, "MONOCHROME2")
    assert "PlanarConfiguration" not in after
    assert "Samples per Pixel was 3" in converted.notes


def test_what_has_no_form_with_a_colour_for_every_pixel_is_refused() -> None:
    ds = image(COLOUR, PhotometricInterpretation="YBR_PARTIAL_422")
    with pytest.raises(NotConverted, match="YBR_PARTIAL_422"):
        convert(ds, [pillow_jpeg()], JPEGBaseline8Bit)


def test_a_file_around_a_jpeg_2000_code_stream() -> None:
    fragment = even(imagecodecs.jpeg2k_encode(COLOUR, reversible=True, codecformat="jp2"))
    assert value(convert(image(COLOUR), [fragment], JPEG2000Lossless)) == COLOUR.tobytes()
    for length in (fragment.index(b"jp2c") - 4, fragment.index(b"jp2h") - 4):
        with pytest.raises(NotConverted, match="JP2 file holds no code stream"):
            convert(image(COLOUR), [fragment[:length]], JPEG2000Lossless)


# --- loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "fragment", "method"),
    [
        (JPEGBaseline8Bit, pillow_jpeg(), "ISO_10918_1 "),
        (
            JPEG2000,
            even(imagecodecs.jpeg2k_encode(COLOUR, level=30, reversible=False, codecformat="j2k")),
            "ISO_15444_1 ",
        ),
        (HTJ2K, even(imagecodecs.htj2k_encode(COLOUR, level=0.01, reversible=False)), "ISO_15444_15"),
        (JPEGLSNearLossless, even(imagecodecs.jpegls_encode(COLOUR, level=3)), "ISO_14495_1 "),
        (JPEGLSNearLossless, even(imagecodecs.jpegls_encode(COLOUR, level=0)), None),
        (JPEG2000, jpeg_2000(COLOUR), None),
    ],
)
def test_loss_that_only_the_code_stream_knows_is_said(
    syntax: UID, fragment: bytes, method: str | None
) -> None:
    """PS3.3 C.7.6.1.1.5."""
    ds = image(COLOUR)
    converted = convert(ds, [fragment], syntax)
    assert converted.attributes.get(0x00282110) == (b"01" if method else None)
    assert converted.attributes.get(0x00282114) == (method.encode() if method else None)
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionMethod = "ISO_13818_1"
    assert not {0x00282110, 0x00282114} & set(convert(ds, [fragment], syntax).attributes)


# --- frames ------------------------------------------------------------------------------------------------------


def frames_of(syntax: UID, count: int) -> tuple[list[bytes], bytes]:
    return [ONE_OF_EACH[syntax]] * count, GREY_16.tobytes() * count


@each_coding
@pytest.mark.parametrize("said", [None, "0", "1", "2", "3", "7", "many", "-1"])
def test_every_code_stream_is_a_frame_whatever_number_of_frames_says(syntax: UID, said: str | None) -> None:
    frames, expected = frames_of(syntax, 3)
    attributes = raw_attributes(image())
    if said is not None:
        attributes[0x00280008] = even(said.encode())
    converted = convert(attributes, frames, syntax)
    assert value(converted) == expected
    if said == "3":
        assert not converted.attributes
        assert not converted.notes
    else:
        assert converted.attributes == {0x00280008: b"3 "}
        assert "there are 3 code streams" in converted.notes


@each_coding
def test_one_frame_needs_no_number_of_frames(syntax: UID) -> None:
    assert not convert(image(), [ONE_OF_EACH[syntax]], syntax).attributes


@each_coding
def test_several_code_streams_in_one_fragment(syntax: UID) -> None:
    frames, expected = frames_of(syntax, 3)
    for padding in (b"", bytes(6)) if syntax == RLELossless else (b"", bytes(6), b"\xff\xff", b"\x01\x02"):
        converted = convert(image(NumberOfFrames=3), [padding.join(frames) + padding], syntax)
        assert value(converted) == expected


@each_coding
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_frames_may_be_cut_anywhere_and_tables_say_anything(syntax: UID, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3), "frames")
    frames, expected = frames_of(syntax, count)
    fragments: list[bytes] = []
    for frame in frames:
        places = data.draw(st.lists(st.integers(1, len(frame)), max_size=4).map(sorted), "cuts")
        fragments += [
            frame[start:end] for start, end in zip([0, *places], [*places, len(frame)], strict=True)
        ]
        fragments[-1] += bytes(data.draw(st.integers(0, 5), "padding"))
    converted = convert(
        image(NumberOfFrames=count),
        fragments,
        syntax,
        offset_table=data.draw(st.binary(max_size=12), "offset table"),
        extended=data.draw(st.none() | st.tuples(st.binary(max_size=24), st.binary(max_size=24)), "extended"),
    )
    assert value(converted) == expected


@each_coding
def test_an_offset_table_that_is_wrong_is_mentioned(syntax: UID) -> None:
    frames, expected = frames_of(syntax, 2)
    fragments = [frames[0][:100], frames[0][100:], frames[1][:200], frames[1][200:]]
    right, ds = (0, len(frames[0]) + 16), image(NumberOfFrames=2)
    for offsets, words in (((0, 8), "does not name"), (right[:1], "does not name"), (right, "")):
        table = struct.pack(f"<{len(offsets)}I", *offsets)
        converted = convert(ds, fragments, syntax, offset_table=table)
        assert value(converted) == expected
        assert words in converted.notes
        assert bool(words) == bool(converted.notes)
        extended = struct.pack(f"<{len(offsets)}Q", *offsets)
        converted = convert(ds, fragments, syntax, extended=(extended, b""))
        assert value(converted) == expected
        assert bool(words) == bool(converted.notes)
        assert converted.attributes == {0x7FE00001: None, 0x7FE00002: None}


@pytest.mark.parametrize("fragments", [[], [b""], [b"", b""], [bytes(100)], [b"\xff\xd8" + b"x" * 100]])
@each_coding
def test_fragments_without_a_code_stream_are_refused(syntax: UID, fragments: list[bytes]) -> None:
    with pytest.raises(NotConverted, match="no code stream"):
        convert(image(), fragments, syntax)


@each_coding
def test_frames_of_different_pictures_are_refused(syntax: UID) -> None:
    other = {
        JPEGLosslessSV1: jpeg_lossless(GREY_16[:36]),
        JPEGLSLossless: jpeg_ls(GREY_16[:36]),
        RLELossless: rle(GREY_16[:36]),
    }.get(syntax, jpeg_2000(GREY_16[:36]))
    with pytest.raises(NotConverted, match="could not be decoded"):
        convert(image(NumberOfFrames=2), [ONE_OF_EACH[syntax], other], syntax)


@each_coding
def test_rows_and_columns_that_are_not_those_of_the_code_stream(syntax: UID) -> None:
    for wrong in ({"Rows": 39}, {"Rows": 41}, {"Columns": 25, "Rows": 80}):
        if syntax == RLELossless and wrong.get("Columns"):
            continue  # RLE does not know where a row ends
        with pytest.raises(NotConverted, match="could not be decoded") as caught:
            convert(image(**wrong), [ONE_OF_EACH[syntax]], syntax)
        if syntax != RLELossless:
            assert "those of the code stream 40 and 50" in str(caught.value)


def test_rows_and_columns_that_are_missing_are_those_of_the_code_stream() -> None:
    ds = image(Rows=None, Columns=None)
    converted = convert(ds, [ONE_OF_EACH[JPEG2000Lossless]], JPEG2000Lossless)
    assert converted.attributes == {0x00280010: struct.pack("<H", 40), 0x00280011: struct.pack("<H", 50)}


def test_a_code_stream_of_another_kind_is_decoded_and_mentioned() -> None:
    converted = convert(image(), [ONE_OF_EACH[JPEGLSLossless]], JPEGBaseline8Bit)
    assert value(converted) == GREY_16.tobytes()
    assert "its code stream is JPEG-LS" in converted.notes
    assert not converted.attributes


# --- broken ------------------------------------------------------------------------------------------------------


@each_coding
def test_a_code_stream_that_is_cut_is_refused(syntax: UID) -> None:
    """Decoders of JPEG fill up with grey what is missing, and say nothing."""
    whole = ONE_OF_EACH[syntax].rstrip(b"\0")
    if whole.endswith(END):
        whole = whole[:-2]
    for length in (len(whole) // 3, len(whole) - 100, len(whole) - 8, len(whole) - 3):
        # In RLE every byte means something, so that others in place of those that are missing are not noticed.
        for end in (b"",) if syntax == RLELossless else (b"", END, b"\0"):
            with pytest.raises(NotConverted, match="could not be decoded"):
                convert(image(), [even(whole[:length] + end)], syntax)


FLAT = np.full((40, 50), 128, "u1")  # the grey that libjpeg fills up with
RAMP = np.add.outer(np.arange(40), np.arange(50)).astype("u1")
CUTTABLE = {
    "lossless": jpeg_lossless(GREY_16),
    "lossless, 8 bits": jpeg_lossless(RAMP),
    "lossless, grey": jpeg_lossless(FLAT),
    "lossless, colour": jpeg_lossless(COLOUR),
    "baseline": even(imagecodecs.jpeg8_encode(GREY_8)),
    "baseline, ramp": even(imagecodecs.jpeg8_encode(RAMP)),
    "baseline, grey": even(imagecodecs.jpeg8_encode(FLAT)),
    "12 bits": even(imagecodecs.jpeg8_encode(GREY_12, bitspersample=12)),
    "4:4:4": pillow_jpeg(subsampling=0),
    "4:2:2": pillow_jpeg(subsampling=1),
    "4:2:0": pillow_jpeg(subsampling=2),
}


@pytest.mark.parametrize("name", CUTTABLE)
@pytest.mark.parametrize("end", [END, b"", bytes(2), bytes(40)], ids=["closed", "open", "2 NULs", "40 NULs"])
@given(missing=st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_jpeg_cut_anywhere_near_its_end_is_refused_or_was_whole(name: str, end: bytes, missing: int) -> None:
    """Bytes that may be missing are those without which the picture is the same."""
    fragment = CUTTABLE[name]
    samples = {"12 bits": GREY_12, "lossless": GREY_16}.get(name, GREY_8)
    ds = image(COLOUR) if "colour" in name or name.startswith("4") else image(samples, BitsStored=None)
    whole = value(convert(ds, [fragment], JPEGBaseline8Bit))
    try:
        cut = convert(ds, [even(fragment.rstrip(b"\0")[: -2 - missing] + end)], JPEGBaseline8Bit)
    except NotConverted:
        return
    assert value(cut) == whole


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0, "restart_marker_blocks": 2}, {"progressive": True}]
)
def test_a_lossy_jpeg_that_is_cut_is_refused(options: dict[str, Any]) -> None:
    fragment = pillow_jpeg(**options)
    assert value(convert(image(COLOUR), [fragment], JPEGBaseline8Bit))
    whole = fragment.rstrip(b"\0")[:-2]
    places = [len(whole) // 2, len(whole) - 40, len(whole) - 3]
    places += [found for found in (whole.rfind(b"\xff\xd1"), whole.rfind(b"\xff\xd7")) if found > 0]
    for length in places:
        with pytest.raises(NotConverted, match="could not be decoded"):
            convert(image(COLOUR), [even(whole[:length] + END)], JPEGBaseline8Bit)


@pytest.mark.parametrize("frames_before", [0, 2])
def test_bytes_that_are_missing_before_a_restart_are_noticed(frames_before: int) -> None:
    fragment = pillow_jpeg(subsampling=0, restart_marker_blocks=2)
    before = frames_before * fragment  # in the same fragment
    ds = image(COLOUR, NumberOfFrames=frames_before + 1)
    assert value(convert(ds, [before + fragment], JPEGBaseline8Bit))
    restart = fragment.index(b"\xff\xd3")
    with pytest.raises(NotConverted, match="before its picture does"):
        convert(ds, [even(before + fragment[: restart - 20] + fragment[restart:])], JPEGBaseline8Bit)


def scan_by_scan(planes: Any, identifiers: Sequence[int]) -> list[bytes]:
    """A lossless JPEG stream with a scan for each component (ISO 10918-1 B.2.3): its header, and each scan."""
    rows, columns = planes[0].shape
    components = b"".join(bytes([number, 0x11, 0]) for number in identifiers)
    parts = [b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 17, 8, rows, columns, 3) + components]
    for number, plane in zip(identifiers, planes, strict=True):
        stream = imagecodecs.jpeg8_encode(plane, lossless=True, bitspersample=8, predictor=1)
        tables, scan = stream.index(b"\xff\xc4"), stream.index(b"\xff\xda")
        parts.append(stream[tables : scan + 5] + bytes([number]) + stream[scan + 6 : -2])
    return parts


@pytest.mark.parametrize("identifiers", [(1, 2, 3), (7, 8, 9), b"RGB"], ids=["from 1", "from 7", "letters"])
def test_a_scan_for_each_component(identifiers: Sequence[int]) -> None:
    parts = scan_by_scan([np.ascontiguousarray(COLOUR[..., plane]) for plane in range(3)], identifiers)
    whole = even(b"".join(parts) + END)
    assert value(convert(image(COLOUR), [whole], JPEGLosslessSV1)) == COLOUR.tobytes()
    for cut in (parts[:3], [*parts[:2], parts[2][:-20], parts[3]]):
        with pytest.raises(NotConverted, match="it ends before"):
            convert(image(COLOUR), [even(b"".join(cut) + END)], JPEGLosslessSV1)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless])
def test_a_code_stream_that_only_lacks_its_end_marker_is_whole(syntax: UID) -> None:
    whole = ONE_OF_EACH[syntax].rstrip(b"\0")
    assert whole.endswith(END)
    converted = convert(image(), [even(whole[:-2])], syntax)
    assert value(converted) == GREY_16.tobytes()
    assert "without its end marker" in converted.notes


def test_a_source_that_ends_within_a_fragment() -> None:
    fragment = ONE_OF_EACH[JPEGLSLossless]
    with pytest.raises(NotConverted, match="where the source ends"):
        decompress(
            lambda position, count: fragment[position : position + count],
            [(0, len(fragment) + 10)],
            b"",
            None,
            raw_attributes(image()),
            JPEGLSLossless,
            max_decoded_bytes=1 << 20,
        )


@pytest.mark.parametrize(
    "segments",
    [
        [b"x" * 63],  # one, of two
        [b"x" * 63] * 3,
        [b"x" * 63, b"y" * 62],
        [b"x" * 64, b"y" * 63],
        [b"x" * 70, b"y" * 56],
    ],
)
def test_rle_segments_that_do_not_fit_are_refused(segments: list[bytes]) -> None:
    with pytest.raises(NotConverted, match="segment"):
        convert(image(Rows=9, Columns=7), [rle_of(segments)], RLELossless)


@each_coding
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_refused_or_decoded_to_the_size_that_is_said(syntax: UID, data: st.DataObject) -> None:
    stream = bytearray(ONE_OF_EACH[syntax])
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    ds = image()
    try:
        converted = convert(ds, [bytes(stream)], syntax, max_decoded_bytes=10_000_000)
    except NotConverted:
        return
    described(ds, converted)


# --- size --------------------------------------------------------------------------------------------------------


@each_coding
@pytest.mark.parametrize(
    "claim", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2**31 - 1}], ids=["rows", "frames"]
)
def test_what_a_header_claims_is_measured_before_decoding(syntax: UID, claim: dict[str, int]) -> None:
    with pytest.raises(NotConverted, match=r"would take .*[GT]B, and max_decoded_bytes is 2\.1 GB"):
        convert(image(**claim), [ONE_OF_EACH[syntax]], syntax)


@each_coding
def test_the_limit_is_exact(syntax: UID) -> None:
    frames, expected = frames_of(syntax, 3)
    attributes = raw_attributes(image())
    assert value(convert(attributes, frames, syntax, max_decoded_bytes=len(expected))) == expected
    with pytest.raises(NotConverted, match="max_decoded_bytes"):
        convert(attributes, frames, syntax, max_decoded_bytes=len(expected) - 1)
    with pytest.raises(NotConverted, match="max_decoded_bytes"):
        convert(attributes, [b"".join(frames)], syntax, max_decoded_bytes=len(expected) - 1)


@each_coding
def test_noise_that_takes_more_than_it_holds_is_measured_by_what_it_holds(syntax: UID) -> None:
    """PS3.5 G.3.1: a run of literals has a byte more; each code stream has a header."""
    frames, expected = frames_of(syntax, 1)
    assert RLELossless != syntax or len(frames[0]) > len(expected)
    convert(image(), frames, syntax, max_decoded_bytes=len(expected))
    frame = rle(GREY_8[:1, :9])
    ds = image(GREY_8[:1, :9])
    assert value(convert(ds, [frame], RLELossless, max_decoded_bytes=9)) == GREY_8[:1, :9].tobytes()


def test_a_compressed_frame_far_larger_than_the_limit_is_not_read() -> None:
    with pytest.raises(NotConverted, match=r"would take compressed .* max_decoded_bytes is 4.0 KB"):
        convert(image(), [rle(GREY_16) + bytes(1 << 21)], RLELossless, max_decoded_bytes=4000)


def test_what_a_decoder_takes_beside_is_not_in_the_limit_unless_it_is_much() -> None:
    """OpenJPEG has 32 bits for each sample of 8."""
    fragment = jpeg_2000(RAMP)
    converted = convert(
        image(RAMP, BitsStored=None), [fragment], JPEG2000Lossless, max_decoded_bytes=RAMP.size
    )
    assert value(converted) == RAMP.tobytes()


def with_size(syntax: UID, rows: int, columns: int) -> bytes:
    """The code stream of `syntax` that says another size."""
    stream = bytearray(ONE_OF_EACH[syntax])
    if syntax in (JPEG2000Lossless, HTJ2KLossless):
        struct.pack_into(">2I", stream, 8, columns, rows)
        struct.pack_into(">2I", stream, 24, columns, rows)
    else:
        frame = stream.index(b"\xff\xf7" if syntax == JPEGLSLossless else b"\xff\xc3")
        struct.pack_into(">2H", stream, frame + 5, rows, columns)
    return bytes(stream)


@pytest.mark.parametrize(
    "syntax", [one for one in ONE_OF_EACH if one != RLELossless], ids=lambda one: one.keyword
)
def test_what_a_code_stream_claims_is_measured_before_decoding(syntax: UID) -> None:
    ds = image(Rows=None, Columns=None)
    with pytest.raises(NotConverted, match=r"would take (while they are decoded )?[0-9.]+ GB"):
        convert(ds, [with_size(syntax, 65500, 65500)], syntax)


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory")
def test_a_small_file_of_a_huge_picture_takes_no_memory() -> None:
    code = (
        "import resource, struct\n"
        "import numpy, imagecodecs\n"
        "from dicomkit.conversion import NotConverted\n"
        "from tests.conversion.test_pixels import *\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for syntax, fragment in (\n"
        "    (RLELossless, rle_of([b'x' * 1000] * 2)),\n"
        "    (JPEGLosslessSV1, with_size(JPEGLosslessSV1, 30000, 30000)),\n"
        "):\n"
        "    try: convert(image(Rows=30000, Columns=30000), [fragment], syntax)\n"
        "    except NotConverted as error: print(error)\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("could not be decoded") == 2


# --- what cannot be done -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.94", "1.2.3"]
)
def test_what_has_no_decoder_says_so(syntax: str) -> None:
    with pytest.raises(NotConverted, match="have the peer accept it as it is stored"):
        convert(image(), [b"\xff\x0a"], syntax)


def test_without_decoders_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(NotConverted, match=r"pip install 'dicomkit\[codecs\]'"):
        convert(image(), [ONE_OF_EACH[RLELossless]], RLELossless)


def test_frames_of_a_real_multiframe_file_one_by_one() -> None:
    ds = pydicom.dcmread(TEST_FILES / "SC_rgb_rle_2frame.dcm")
    frames = list(generate_frames(ds.PixelData, number_of_frames=2))
    single = [value(convert(ds, [frame], RLELossless)) for frame in frames]
    assert value(convert_file(ds)) == b"".join(single)
