"""Which bits of a frame are its values: packed ones, those above High Bit, overlays, whatever decoded them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicomkit.errors import UnreadableError
from dicomkit.preview import Colour, picture_of, to_8bit
from dicomkit.preview._codestreams import Codestream, parsed
from tests.preview.test_preview import grey, image
from tests.support.peers import program


def packed(frames: np.ndarray[Any, Any]) -> Dataset:
    """Return an image of one bit a pixel, its frames without gaps (PS3.5 8.1.1)."""
    dataset = image(frames.astype("u1"))
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    data = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return dataset


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        dataset.get("SOPClassUID") or "1.2.840.10008.5.1.4.1.1.7",
        "2.25.1",
    )
    dataset.save_as(path, enforce_file_format=True)
    return path


def big_endian(dataset: Dataset, path: Path) -> Dataset:
    """Return a data set as it reads from a file in explicit VR big endian; DCMTK writes it."""
    little = saved(dataset, path.with_suffix(".little"))
    subprocess.run([program("dcmconv"), "+tb", little, path], check=True, capture_output=True, timeout=30)
    found = pydicom.dcmread(path)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    return found


# One bit a pixel


@given(
    frames=st.integers(1, 12),
    rows=st.integers(1, 23),
    columns=st.integers(1, 23),
    seed=st.integers(0, 2**32 - 1),
)
def test_frames_of_bits_are_cut_by_bits(frames: int, rows: int, columns: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (frames, rows, columns))
    dataset = packed(bits)
    for index in range(frames):
        assert np.array_equal(grey(dataset, index).stored, bits[index])


def test_a_segmentation_of_frames_that_end_amid_bytes_loses_none(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (10, 21, 22))
    path = saved(packed(bits), tmp_path / "seg.dcm")
    deferred = pydicom.dcmread(path, defer_size=16)
    for index in range(10):
        picture = picture_of(deferred, index, path)
        assert np.array_equal(to_8bit(picture), bits[index] * 255)


def test_big_endian_words_of_bits_are_swapped(tmp_path: Path) -> None:
    bits = np.random.default_rng(2).integers(0, 2, (3, 5, 7))
    found = big_endian(packed(bits), tmp_path / "bits.dcm")
    for index in range(3):
        assert np.array_equal(grey(found, index).stored, bits[index])


def test_bits_that_are_cut_off_leave_the_frames_that_are_there() -> None:
    dataset = packed(np.ones((4, 8, 8), int))
    dataset.PixelData = dataset.PixelData[:16]
    assert grey(dataset, 1).stored.all()
    with pytest.raises(UnreadableError, match="16 bytes of bits"):
        picture_of(dataset, 2)


# Bits above High Bit, for every decoder


def model(words: np.ndarray[Any, Any], stored: int, high: int, is_signed: bool) -> np.ndarray[Any, Any]:
    """PS3.5 8.1.1: Bits Stored bits up to High Bit, two's complement where signed."""
    values = (words.astype(np.int64) >> (high - stored + 1)) & (2**stored - 1)
    return np.where(values >= 2 ** (stored - 1), values - 2**stored, values) if is_signed else values


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int, bool]:
    allocated = draw(st.sampled_from([8, 16, 32]))
    stored = draw(st.integers(2, allocated))
    return allocated, stored, draw(st.integers(stored - 1, allocated - 1)), draw(st.booleans())


def words_of(allocated: int, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 2**allocated, shape).astype(f"<u{allocated // 8}")


def laid_out(words: np.ndarray[Any, Any], stored: int, high: int, is_signed: bool) -> Dataset:
    return image(words, BitsStored=stored, HighBit=high, PixelRepresentation=int(is_signed))


@given(layout=layouts(), seed=st.integers(0, 2**32 - 1))
def test_every_layout_of_bits_is_read_as_the_standard_has_it(
    layout: tuple[int, int, int, bool], seed: int
) -> None:
    allocated, stored, high, is_signed = layout
    words = words_of(allocated, (4, 6), seed)
    found = grey(laid_out(words, stored, high, is_signed)).stored
    assert np.array_equal(found, model(words, stored, high, is_signed))


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize(("stored", "high"), [(12, 11), (12, 15), (10, 12), (16, 15)])
def test_rle_keeps_all_bits_and_they_are_removed_alike(stored: int, high: int, is_signed: bool) -> None:
    words = words_of(16, (8, 8), 3)
    dataset = laid_out(words, stored, high, is_signed)
    dataset.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(grey(dataset).stored, model(words, stored, high, is_signed))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("is_signed", [False, True])
def test_a_codestream_of_all_bits_is_cut_to_those_stored(syntax: UID, is_signed: bool) -> None:
    words = words_of(16, (64, 64), 4)
    dataset = laid_out(words, 16, 15, is_signed)
    if is_signed and syntax == JPEGLSLossless:
        dataset.PixelRepresentation = 0  # JPEG-LS knows no sign; what it has is 16 bits
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.PixelRepresentation = int(is_signed)
    dataset.BitsStored, dataset.HighBit = 12, 11
    assert np.array_equal(grey(dataset).stored, model(words, 12, 11, is_signed))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_12_signed_bits_keep_their_sign(syntax: UID) -> None:
    values = np.array([[-2048, -1, 0, 1, 2047, -2047, 5, -7] * 8] * 64, "<i2")
    plain = image(values.copy(), BitsStored=12, HighBit=11)
    expected = values
    if syntax == JPEGLSLossless:
        # The encoder takes unsigned samples of 12 bits: the bit pattern without its sign extension.
        plain = image((values & 0xFFF).astype("<u2"), BitsStored=12, HighBit=11)
    plain.compress(syntax, generate_instance_uid=False)
    plain.PixelRepresentation = 1
    assert np.array_equal(grey(plain).stored, expected)


def test_true_lossless_jpeg_reads_as_what_it_was_made_of(tmp_path: Path) -> None:
    words = words_of(16, (16, 16), 5)
    original = saved(image(words, BitsStored=12, HighBit=15), tmp_path / "original.dcm")
    coded = tmp_path / "coded.dcm"
    subprocess.run([program("dcmcjpeg"), "+tl", original, coded], check=True, capture_output=True, timeout=30)
    assert np.array_equal(grey(pydicom.dcmread(coded)).stored, model(words, 12, 15, False))


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_colours_of_12_bits_in_16_use_the_whole_scale(syntax: UID | None) -> None:
    samples = np.tile(np.array([[0, 0x800, 0xFFF], [0xFFF, 0, 0x400]], "<u2"), (64, 64))
    junk = np.uint16(0x3000 if syntax != JPEG2000Lossless else 0)
    dataset = image(samples | junk, BitsStored=12, HighBit=11)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.Columns = 3, 0, 64
    dataset.PhotometricInterpretation = "RGB"
    if syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False)
    expected = np.floor(samples.astype(float) * 255 / 4095 + 0.5).reshape(128, 64, 3)
    assert np.array_equal(to_8bit(picture_of(dataset)), expected)


def test_ybr_of_16_bits_is_converted() -> None:
    samples = np.array([[0x8000, 0x8080, 0x8080], [0xFFFF, 0x8080, 0x8080]], "<u2")
    dataset = image(samples)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.Columns = 3, 0, 1
    dataset.PhotometricInterpretation = "YBR_FULL"
    picture = picture_of(dataset)
    assert isinstance(picture, Colour)
    assert np.abs(picture.rgb.astype(int) - [[[128] * 3], [[255] * 3]]).max() <= 1


# Overlays


def overlay(dataset: Dataset, group: int = 0x6000, **elements: Any) -> Dataset:
    """Add an overlay to a data set: rows, columns, frames, first (Image Frame Origin), bit (position), data."""
    numbers = {"rows": (0x10, "US"), "columns": (0x11, "US"), "frames": (0x15, "IS"), "first": (0x51, "US")}
    dataset.add_new((group, 0x40), "CS", "G")
    dataset.add_new((group, 0x50), "SS", [1, 1])
    dataset.add_new((group, 0x100), "US", elements.get("allocated", 1))
    dataset.add_new((group, 0x102), "US", elements.get("bit", 0))
    for name, (element, vr) in numbers.items():
        if name in elements:
            dataset.add_new((group, element), vr, elements[name])
    if "data" in elements:
        dataset.add_new((group, 0x3000), "OW", elements["data"])
    return dataset


@pytest.mark.parametrize(
    ("attributes", "seen"),
    [
        ({}, [0, 0, 0, 0]),
        ({"frames": 1}, [0, None, None, None]),
        ({"first": 2}, [None, 0, None, None]),
        ({"frames": 1, "first": 3}, [None, None, 0, None]),
        ({"frames": 2}, [0, 1, None, None]),
        ({"frames": 2, "first": 2}, [None, 0, 1, None]),
    ],
)
def test_an_overlay_is_on_the_frames_that_it_says(attributes: dict[str, int], seen: list[int | None]) -> None:
    bitmaps = np.array([[[1, 0, 0], [0, 1, 1], [0, 0, 1]], [[0, 1, 0], [1, 0, 0], [1, 1, 0]]], bool)
    data = np.packbits(bitmaps.reshape(-1), bitorder="little").tobytes()
    dataset = overlay(image(np.zeros((4, 3, 3), "u1")), rows=3, columns=3, data=data + b"\0", **attributes)
    for index, which in enumerate(seen):
        overlays = grey(dataset, index).overlays
        if which is None:
            assert overlays == ()
        else:
            assert np.array_equal(overlays[0].bitmap, bitmaps[which])


def embedding(bit: int, **attributes: Any) -> tuple[Dataset, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(6)
    values = generator.integers(0, 4096, (3, 8, 8)).astype("<u2")
    marks = generator.integers(0, 2, (3, 8, 8)).astype("<u2")
    dataset = image(values | (marks << bit).astype("<u2"), BitsStored=12, HighBit=11)
    overlay(dataset, rows=8, columns=8, bit=bit, allocated=16, **attributes)
    return dataset, values, marks


@pytest.mark.parametrize("is_rle", [False, True])
@pytest.mark.parametrize("bit", [12, 15])
def test_an_embedded_overlay_is_read_before_its_bits_are_removed(bit: int, is_rle: bool) -> None:
    dataset, values, marks = embedding(bit)
    if is_rle:
        dataset.compress(RLELossless, generate_instance_uid=False)
    for index in range(3):
        picture = grey(dataset, index)
        assert np.array_equal(picture.stored, values[index])
        assert np.array_equal(picture.overlays[0].bitmap, marks[index] == 1)


def test_an_embedded_overlay_in_true_lossless_jpeg_is_read(tmp_path: Path) -> None:
    dataset, values, marks = embedding(13)
    original, coded = saved(dataset, tmp_path / "original.dcm"), tmp_path / "coded.dcm"
    subprocess.run([program("dcmcjpeg"), "+tl", original, coded], check=True, capture_output=True, timeout=30)
    picture = grey(pydicom.dcmread(coded), 1)
    assert np.array_equal(picture.stored, values[1])
    assert np.array_equal(picture.overlays[0].bitmap, marks[1] == 1)


def test_an_embedded_overlay_is_on_the_frames_that_it_says() -> None:
    dataset, _, marks = embedding(14, frames=1, first=2)
    assert grey(dataset, 0).overlays == ()
    assert np.array_equal(grey(dataset, 1).overlays[0].bitmap, marks[1] == 1)


def test_no_overlay_is_made_of_stored_bits() -> None:
    dataset, values, _ = embedding(12)
    dataset[0x6000, 0x102].value = 3
    picture = grey(dataset)
    assert picture.overlays == ()
    assert np.array_equal(picture.stored, values[0])


# What a codestream says


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([(0xEE, b"Adobe\0d\0\0\0\0\0"), (0xC0, b"\x08\0\1\0\1\3\1\x11\0\2\x11\0\3\x11\0")], "RGB"),
        ([(0xEE, b"Adobe\0d\0\0\0\0\1"), (0xC0, b"\x08\0\1\0\1\3\1\x11\0\2\x11\0\3\x11\0")], "YBR_FULL"),
        ([(0xE0, b"JFIF\0\1\1"), (0xC3, b"\x08\0\1\0\1\3\1\x11\0\2\x11\0\3\x11\0")], "YBR_FULL"),
        ([(0xC0, b"\x08\0\1\0\1\3R\x11\0G\x11\0B\x11\0")], "RGB"),
        ([(0xC0, b"\x08\0\1\0\1\3\1\x11\0\2\x11\0\3\x11\0")], None),
    ],
)
def test_a_codestream_tells_its_colours(segments: list[tuple[int, bytes]], said: str | None) -> None:
    stream = b"\xff\xd8" + b"".join(segment(marker, body) for marker, body in segments)
    assert (parsed(stream).colours, parsed(stream).precision) == (said, 8)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_codestream_that_may_say_nothing(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\x4f\xff\x51"):
        assert isinstance(parsed(start + data), Codestream)


def coloured_jpeg(folder: Path, *options: str) -> Dataset:
    """Return an image of red, green and blue stripes as DCMTK compresses it."""
    stripes = np.zeros((16, 48, 3), "u1")
    for channel in range(3):
        stripes[:, 16 * channel : 16 * (channel + 1), channel] = 255
    dataset = image(stripes[..., 0])
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, 0, "RGB"
    dataset.PixelData = stripes.tobytes()
    original, coded = saved(dataset, folder / "stripes.dcm"), folder / "coded.dcm"
    command = [program("dcmcjpeg"), "+eb", "+q", "100", "+s4", *options]
    subprocess.run([*command, original, coded], check=True, capture_output=True, timeout=30)
    return pydicom.dcmread(coded)


@pytest.mark.parametrize("options", [(), ("+cr",)], ids=["ycbcr", "rgb"])
@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_the_encoder_knows_the_colours_better_than_the_header(
    options: tuple[str, ...], stated: str, tmp_path: Path
) -> None:
    dataset = coloured_jpeg(tmp_path, *options)
    dataset.PhotometricInterpretation = stated
    rgb = to_8bit(picture_of(dataset)).astype(int)
    assert np.abs(rgb[8, [8, 24, 40]] - np.eye(3) * 255).max() <= 4
