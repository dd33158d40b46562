"""What is shown against what DCMTK renders: every image at hand, every look of it, first, middle and last frame.

`dcm2pnm`, `dcmj2pnm` and `dcml2pnm` are somebody else's reading of the same standard. One level of grey
may differ, since DCMTK rounds down where it computes by tables. What differs by more is explained below, one by one; an
explanation that explains nothing any more fails as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicomkit.preview import Grey, LookupTable, Voi, frame_count, picture_of, to_8bit
from dicomkit.samples import sample_folder
from tests.preview.test_bits import embedding, laid_out, model, overlay, packed, saved, words_of
from tests.preview.test_looks import DX, RAMP, SECONDARY_CAPTURE, ULTRASOUND, XA, lut, mammogram
from tests.preview.test_preview import TEST_FILES, image, image_names, read
from tests.preview.test_tables import CHANNELS, palette
from tests.support.peers import program

PROGRAMS = {
    JPEGBaseline8Bit: "dcmj2pnm",
    JPEGExtended12Bit: "dcmj2pnm",
    JPEGLossless: "dcmj2pnm",
    JPEGLosslessSV1: "dcmj2pnm",
    JPEGLSLossless: "dcml2pnm",
    JPEGLSNearLossless: "dcml2pnm",
}
NOT_DECODED_BY_DCMTK = (JPEG2000, JPEG2000Lossless)  # its JPEG 2000 module is no part of Debian's package
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit)
LEVELS_OF_ROUNDING = 1
LEVELS_OF_LOSSY = 5  # the cosine transform may be rounded differently (ISO 10918-2), and then colours of it


def samples() -> dict[str, Path]:
    folder = sample_folder()
    return {
        f"sample {path.relative_to(folder)}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and pydicom.misc.is_dicom(path)
    }


def generated() -> dict[str, Callable[[], Dataset]]:
    """Return images made here, several of each kind that a viewer can get wrong."""
    ramp16 = np.arange(4096, dtype="<u2").reshape(64, 64)
    found: dict[str, Callable[[], Dataset]] = {
        "two looks of one name": mammogram,
        "monochrome1 with tables": lambda: mammogram(PhotometricInterpretation="MONOCHROME1"),
        "secondary capture": lambda: image(RAMP // 3 + 9, SOPClassUID=SECONDARY_CAPTURE),
        "ultrasound": lambda: image(RAMP // 2, SOPClassUID=ULTRASOUND),
        "digital x-ray": lambda: image(
            ramp16 // 2, SOPClassUID=DX, BitsStored=12, HighBit=11, PresentationLUTShape="IDENTITY"
        ),
        "angiography": lambda: image(
            RAMP, SOPClassUID=XA, RescaleSlope=2, RescaleIntercept=9, WindowCenter=128, WindowWidth=256
        ),
        "slope of 0": lambda: image(
            RAMP, RescaleSlope=0, RescaleIntercept=9, WindowCenter=128, WindowWidth=256
        ),
        "rescaled": lambda: image(
            ramp16, RescaleSlope="1.5", RescaleIntercept=-1024, WindowCenter=[40, 400.5], WindowWidth=[400, 1]
        ),
        "sigmoid": lambda: image(ramp16, WindowCenter=2000, WindowWidth=1500, VOILUTFunction="SIGMOID"),
        "modality table": lambda: image(
            RAMP,
            ModalityLUTSequence=[lut([200, 20, 16], [value * 300 for value in range(200)])],
            WindowCenter=30000,
            WindowWidth=50000,
        ),
        "signed table": lambda: image(
            np.arange(-128, 128, dtype="<i2").reshape(16, 16),
            VOILUTSequence=[lut([256, 0xFF80, 8], list(range(256)))],
        ),
        "rescaled into a table": lambda: image(
            ramp16,
            BitsStored=12,
            HighBit=11,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            VOILUTSequence=[lut([4096, 0xFC00, 12], [4095 - value for value in range(4096)])],
        ),
        "palette": lambda: palette(image(RAMP), [256, 0, 8], CHANNELS),
        "short palette": lambda: palette(image(RAMP), [100, 50, 8], [one[:100] for one in CHANNELS]),
    }
    for stored, high, is_signed in [
        (12, 11, False),
        (12, 11, True),
        (12, 15, False),
        (12, 15, True),
        (10, 12, False),
        (15, 14, True),
    ]:
        name = f"{stored} bits up to {high}{', signed' if is_signed else ''}"

        def layout(stored: int = stored, high: int = high, is_signed: bool = is_signed) -> Dataset:
            return laid_out(words_of(16, (32, 32), stored), stored, high, is_signed)

        def by_rle(layout: Callable[[], Dataset] = layout) -> Dataset:
            dataset = layout()
            dataset.compress(RLELossless, generate_instance_uid=False)
            return dataset

        found[name] = layout
        found[f"{name}, RLE"] = by_rle
    for frames, rows, columns in ((10, 21, 22), (5, 3, 3), (3, 8, 8)):
        bits = np.random.default_rng(frames).integers(0, 2, (frames, rows, columns))
        found[f"{frames} frames of {rows} x {columns} bits"] = lambda bits=bits: packed(bits)
    return found


GENERATED = generated()
SAMPLES = samples()

EXPLAINED = {
    "SC_rgb_32bit.dcm": "DCMTK takes no 32-bit colours in OB",
    "SC_rgb_32bit_2frame.dcm": "DCMTK takes no 32-bit colours in OB",
    "SC_rgb_expb_32bit.dcm": "DCMTK takes no 32-bit colours in OB",
    "SC_rgb_expb_32bit_2frame.dcm": "DCMTK takes no 32-bit colours in OB",
    "gdcm-US-ALOKA-16.dcm": "DCMTK takes no segmented palette",
    "gdcm-US-ALOKA-16_big.dcm": "DCMTK takes no segmented palette",
    "rtdose_expb.dcm": "32-bit big-endian words in OW: DCMTK swaps each 16 bits",
    "rtdose_expb_1frame.dcm": "32-bit big-endian words in OW: DCMTK swaps each 16 bits",
    "SC_rgb_jpeg.dcm": "an implicit data set that says it is explicit: DCMTK reads no pixels",
    "SC_ybr_full_uncompressed.dcm": "YBR_FULL: DCMTK's tables of integers are up to two levels away",
}


def names() -> Iterator[str]:
    yield from image_names()
    for name, path in SAMPLES.items():
        if any(keyword in pydicom.dcmread(path, defer_size=1024) for keyword in ("PixelData",)):
            yield name
    yield from GENERATED


def opened(name: str, folder: Path) -> tuple[Dataset, Path]:
    """Return an image, and its file."""
    if name in GENERATED:
        return GENERATED[name](), saved(GENERATED[name](), folder / "generated.dcm")
    return (
        (read(name), TEST_FILES[name])
        if name in TEST_FILES
        else (pydicom.dcmread(SAMPLES[name]), SAMPLES[name])
    )


def pixels_of(netpbm: bytes) -> np.ndarray[Any, Any]:
    """Return the pixels of a binary PGM or PPM of 8 bits: rows by columns, or by 3."""
    kind, columns, rows, most = netpbm.split(maxsplit=4)[:4]
    assert int(most) == 255
    shape = (int(rows), int(columns), 3) if kind == b"P6" else (int(rows), int(columns))
    # The header ends with exactly one white space; a first pixel may look like another.
    return np.frombuffer(netpbm[-int(np.prod(shape)) :], np.uint8).reshape(shape).astype(int)


def rendered(path: Path, syntax: str, options: list[str], folder: Path) -> np.ndarray[Any, Any]:
    """Return a picture as DCMTK renders it."""
    out = folder / "picture.pnm"
    out.unlink(missing_ok=True)
    command = [program(PROGRAMS.get(syntax, "dcm2pnm")), *options, path, out]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return pixels_of(out.read_bytes())


def options_of(picture: Grey, at: int, dataset: Dataset) -> list[str]:
    """Return the options for DCMTK to look at a picture through one of its looks.

    Windows and tables of the file are given by their number, so that DCMTK reads them itself.
    """
    voi = picture.vois[at]
    tables = [one for one in picture.vois if isinstance(one, LookupTable)]
    if isinstance(voi, LookupTable):
        return ["+Wl", str(tables.index(voi) + 1)]
    if voi.name == "As stored":
        return ["--no-windowing"]
    if voi.function == "LINEAR_EXACT" or "DoseGridScaling" in dataset:
        # DCMTK has no such function, and knows no scaling of doses; a LINEAR window of stored doses is the same
        # (PS3.3 C.11.2.1.2.1 against C.11.2.1.3.2).
        scaling = float(dataset.get("DoseGridScaling") or 1)
        center, width = voi.center / scaling + 0.5, voi.width / scaling + 1
        return ["+Wfl", "--set-window", repr(center), repr(width)]
    if picture.range_at is not None and at < picture.range_at and "WindowCenter" in dataset:
        return ["+Wi", str(at - len(tables) + 1)]
    return [
        "+Wfs" if voi.function == "SIGMOID" else "+Wfl",
        "--set-window",
        repr(float(voi.center)),
        repr(float(voi.width)),
    ]


def differences(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Yield what was looked at, and by how many levels DCMTK's picture differs at most."""
    dataset, path = opened(name, folder)
    count = frame_count(dataset)
    syntax = str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", ""))
    for index in sorted({0, count // 2, count - 1}):
        picture = picture_of(dataset, index)
        looks: list[tuple[Voi | None, list[str]]] = [(None, [])]
        if isinstance(picture, Grey):
            looks = [(voi, options_of(picture, at, dataset)) for at, voi in enumerate(picture.vois)]
        for voi, options in looks:
            theirs = rendered(path, syntax, ["--no-overlays", "+F", str(index + 1), *options], folder)
            ours = to_8bit(picture, voi).astype(int)
            if isinstance(picture, Grey) and picture.palette is not None:  # of which DCMTK knows nothing
                is_grey = picture.stored < picture.palette.first
                ours, theirs = ours[is_grey, 0], theirs[is_grey]
            yield f"frame {index + 1}, {voi}", int(np.abs(ours - theirs).max())


def compared_names() -> Iterator[str]:
    for name in names():
        path = TEST_FILES.get(name) or SAMPLES.get(name)
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True) if path else GENERATED[name]()
        if header.file_meta.get("TransferSyntaxUID") not in NOT_DECODED_BY_DCMTK:
            yield name


@pytest.mark.parametrize("name", list(compared_names()))
def test_dcmtk_shows_the_same(name: str, tmp_path: Path) -> None:
    dataset, _ = opened(name, tmp_path)
    is_lossy = dataset.file_meta.get("TransferSyntaxUID") in LOSSY
    most = LEVELS_OF_LOSSY if is_lossy else LEVELS_OF_ROUNDING
    if name not in EXPLAINED:
        assert {what: levels for what, levels in differences(name, tmp_path) if levels > most} == {}
        return
    try:
        worst = max(levels for _, levels in differences(name, tmp_path))
    except (subprocess.CalledProcessError, ValueError):
        return  # DCMTK renders nothing, or a picture of another shape
    assert worst > most, "the explanation is not needed any more"


# Overlays

MARKS = np.random.default_rng(9).integers(0, 2, (2, 8, 8)).astype(bool)
PACKED_MARKS = np.packbits(MARKS.reshape(-1), bitorder="little").tobytes()


def marked(**attributes: Any) -> Dataset:
    blank = image(np.zeros((4, 8, 8), "<u2"), BitsStored=12, HighBit=11)
    return overlay(blank, rows=8, columns=8, data=PACKED_MARKS, **attributes)


MARKED: dict[str, Callable[[], Dataset]] = {
    "one for all frames": marked,
    "one, said": lambda: marked(frames=1),
    "one, of the third frame": lambda: marked(frames=1, first=3),
    "two": lambda: marked(frames=2),
    "two, from the second frame": lambda: marked(frames=2, first=2),
    "embedded": lambda: embedding(12)[0],
    "embedded in the highest bit": lambda: embedding(15)[0],
}


@pytest.mark.parametrize("name", list(MARKED))
def test_dcmtk_draws_the_same_overlays(name: str, tmp_path: Path) -> None:
    dataset = MARKED[name]()
    path = saved(MARKED[name](), tmp_path / "marked.dcm")
    drawn = []
    # DCMTK draws the embedded overlay of the first frame over all frames; PS3.3 C.9.2 has it in each.
    for index in range(1 if name.startswith("embedded") else frame_count(dataset)):
        # All of the picture is black in this window, and an overlay is white.
        options = ["+O", "0", "+F", str(index + 1), "+Ww", "60000", "2"]
        theirs = rendered(path, "", options, tmp_path) > 0
        ours = np.zeros((8, 8), bool)
        for one in picture_of(dataset, index).overlays:
            ours |= one.bitmap
        assert np.array_equal(ours, theirs)
        drawn.append(bool(ours.any()))
    assert any(drawn)


# Against the formulas of the standard


def formula(x: np.ndarray[Any, Any], c: float, w: float, function: str) -> np.ndarray[Any, Any]:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, with 0 and 255 as ymin and ymax."""
    if function == "SIGMOID":
        return 255 / (1 + np.exp(np.clip(-4 * (x - c) / w, -700, 700)))
    if function == "LINEAR_EXACT":
        return np.where(x <= c - w / 2, 0, np.where(x > c + w / 2, 255, ((x - c) / w + 0.5) * 255))
    inside = ((x - (c - 0.5)) / max(w - 1, 1e-9) + 0.5) * 255
    return np.where(x <= c - 0.5 - (w - 1) / 2, 0, np.where(x > c - 0.5 + (w - 1) / 2, 255, inside))


@given(
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    center=st.integers(-3000, 3000),
    width=st.integers(1, 5000),
    slope=st.sampled_from([1, 2, -1, 0.5, 3.25]),
    intercept=st.integers(-2000, 2000),
    is_signed=st.booleans(),
    is_inverse=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_picture_is_what_the_formulas_make_of_its_words(
    function: str,
    center: int,
    width: int,
    slope: float,
    intercept: int,
    is_signed: bool,
    is_inverse: bool,
    seed: int,
) -> None:
    words = words_of(16, (9, 11), seed)
    dataset = laid_out(words, 12, 11, is_signed)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = center, width, function
    dataset.PhotometricInterpretation = "MONOCHROME1" if is_inverse else "MONOCHROME2"
    levels = formula(model(words, 12, 11, is_signed) * slope + intercept, center, width, function)
    expected = np.floor(levels + 0.5)
    assert np.array_equal(to_8bit(picture_of(dataset)), 255 - expected if is_inverse else expected)


@pytest.mark.parametrize("width", [0, -1])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_of_no_width_is_no_look(width: int, function: str) -> None:
    dataset = image(RAMP, WindowCenter=10, WindowWidth=width, VOILUTFunction=function)
    assert np.array_equal(to_8bit(picture_of(dataset)), RAMP)
