"""Every kind of High-Throughput JPEG 2000 reaches a peer that takes nothing compressed, decompressed.

pydicom has no file of it, so here are three codestreams of two ramps. OpenJPH 0.26.3 made them, through imagecodecs
2026.3.6: `htj2k_encode(GREY, resolutions=2, reversible=True, tlm=True)`, `htj2k_encode(COLOUR, resolutions=2,
reversible=True, rgb=True, tlm=True)` and `htj2k_encode(GREY, resolutions=2, reversible=False, level=0.0001)`. They
are in RPCL order, which every HTJ2K transfer syntax allows.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    SecondaryCaptureImageStorage,
)

from dicomkit import send_batch
from tests.support.files import instance_uid
from tests.support.peers import Storescp

ROW, COLUMN = np.mgrid[:16, :24]
GREY = (40 * COLUMN + 90 * ROW + COLUMN * ROW % 7).astype("<u2")
COLOUR = np.stack([10 * COLUMN, 15 * ROW, 5 * COLUMN + 7 * ROW], axis=-1).astype("u1")

CODESTREAMS = {
    "grey": base64.b64decode(
        "/0//UQApQAAAAAAYAAAAEAAAAAAAAAAAAAAAGAAAABAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAIEBEAB/1wA"
        "CiCIkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv9VAAoAYAAAAAABO/+QAAoAAAAAATsAAf+TwAAu4P3/FP25/uX7"
        "vf6pPod/lt/Xl+AX87v2Lv3I/UV+eH37Hkq/tI/Ns+oh8vX5LfwdfrLqBkIAMboAwAAWlAABbMAAFeBIVADAosE+gJX2f1hc"
        "QWo6mADCgMEFIAEcBRwDIAkgIUAICiEADHlUlZsAIArRkaScYUANeodYCbgAwAAuzgABd/AAC6/VBBocDkXCNoDEYlAY+ASC"
        "hwKSEOEJAHkEiPNnWhdmEqzlfPTQr51mK4muEI16d7196AERIwgUo2xcVvZYmKSFAWQIG0DHa5AZcD4AWoQNoOMZ0P5wQgLY"
        "IhAWwRCAFj6jDxZb1Met8qFX1z5plpuPXgGb5qjI68zIUUoyiLJoSa8oJa0tK/4wJqd2/y6p8vUp1Dbdf/cp+rvYXRJL+6Ra"
        "Af/Z"
    ),
    "colour": base64.b64decode(
        "/0//UQAvQAAAAAAYAAAAEAAAAAAAAAAAAAAAGAAAABAAAAAAAAAAAAADBwEBBwEBBwEB/1AACAACAAAAA/9SAAwAAgABAQIE"
        "BEAB/1wACiBQWFhYUFBQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv9VAAoAYAAAAAABYP+QAAoAAAAAAWAAAf+TwBb4/dnw"
        "SvA+yhZ240y6sjS0SA8hA+wS/AUhoQAAANG5AMAW4N+8HMe2PV4m43+8ft77eDwnJuEAwGOINaTUuQDAFvi38+Qxue0+xpoi"
        "73efJ8/rodONqsgADBY4w1BE1LoAwArYAWnACpAAAAAAAIAE4axYr7cAAAAKKKCAAgqgAABAAAGOVK+6AAAAgBhorKs2AMAJ"
        "4AVgRETYp8J1AOMYY4zgAPYAAey4AMAKiAFajDH22nACdQDDYRiG4eAI9hCB7LgAwBaUAWtAFtAAKQIA9H5Tbrrrqaenue7u"
        "bQAAEAIAAAAA/HeZAcnv3ye/fJ7zAG4AAAAAAAAAKqqqq91VVVVe6qqqqveaaaaZ1AHAFXAFoAAAAPPwp6enQngA/3//f/8Q"
        "BJ79knv2Sey8AMAVkAWiIiIiIvPwp6enwngAvbu7u7u7/xye/fJ798nsuwD/2Q=="
    ),
    "lossy grey": base64.b64decode(
        "/0//UQApQAAAAAAYAAAAEAAAAAAAAAAAAAAAGAAAABAAAAAAAAAAAAABDwEB/1AACAACAAAAJ/9SAAwAAgABAAIEBEAA/1wA"
        "ESKEuIUhhSGFjXz2fPZ8mf9kABcAAU9wZW5KUEggVmVyIDAuMjYuMy7/kAAKAAAAAAC0AAH/k8AAXcBvoH/P5M8tT8Ins9Pj"
        "eebsdRY4pZybTVXnbjOWc1rzvonQlGySMmOaQkxjJvbyHX6y6gZCADG6AMAAV8AAWyCGUxCDnaLYASZ+AK0LeAASpIhIRByJ"
        "IzESR2Ik/gAIphCBTjzVaNsAwAC04ABdCCQAE4AEQGL8c+UV/Jdkr9FZGwAEQADGBjs2dmzs4NiwsWNjf0Dkp0+SnT5Kbta1"
        "WtVqMQH/2Q=="
    ),
}
LOSSY_RATIO = f"{GREY.nbytes / len(CODESTREAMS['lossy grey']):.1f}"


def write(folder: Path, codestream: str, syntax: UID) -> Path:
    """A file with that codestream as its one frame."""
    ds = Dataset()
    ds.SOPClassUID = SecondaryCaptureImageStorage if codestream == "colour" else CTImageStorage
    ds.SOPInstanceUID = instance_uid(0)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = instance_uid(1), instance_uid(2)
    ds.Rows, ds.Columns = GREY.shape
    ds.PixelRepresentation = 0
    if codestream == "colour":
        ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, 0, "YBR_RCT"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    else:
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    if codestream == "lossy grey":
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionRatio = LOSSY_RATIO
        ds.LossyImageCompressionMethod = "ISO_15444_15"  # PS3.3 C.7.6.1.1.5.1
    ds.PixelData = encapsulate([CODESTREAMS[codestream]])
    ds["PixelData"].VR = "OB"
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    path = folder / "one.dcm"
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


@pytest.fixture
def peer() -> Iterator[Storescp]:
    """storescp as installed: uncompressed transfer syntaxes only."""
    with Storescp(bit_preserving=True) as peer:
        yield peer


def send_and_receive(path: Path, peer: Storescp) -> tuple[Any, Dataset]:
    row = send_batch(peer.setting(), path).to_frame().iloc[0]
    return row, pydicom.dcmread(peer.received()[row.sop_instance_uid])


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_lossless_grey_arrives_pixel_for_pixel_and_the_row_says_so(
    tmp_path: Path, peer: Storescp, syntax: UID
) -> None:
    row, received = send_and_receive(write(tmp_path, "grey", syntax), peer)
    assert row.outcome == "stored"
    assert (row.transfer_syntax, row.sent_transfer_syntax) == (syntax, ExplicitVRLittleEndian)
    assert f"converted from {syntax.name} to Explicit VR Little Endian" in row.detail
    assert np.array_equal(pixel_array(received, raw=True), GREY)
    assert received.PhotometricInterpretation == "MONOCHROME2"
    assert "LossyImageCompression" not in received


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_colour_that_was_transformed_for_compression_arrives_as_rgb(
    tmp_path: Path, peer: Storescp, syntax: UID
) -> None:
    _, received = send_and_receive(write(tmp_path, "colour", syntax), peer)
    assert received.PhotometricInterpretation == "RGB"  # PS3.3 C.7.6.3.1.2
    samples = np.frombuffer(received.PixelData, "u1")
    in_planes = received.PlanarConfiguration == 1  # PS3.3 C.7.6.3.1.3
    assert np.array_equal(samples, (np.moveaxis(COLOUR, -1, 0) if in_planes else COLOUR).ravel())


def test_what_was_lossy_arrives_as_it_was_seen_and_says_so(tmp_path: Path, peer: Storescp) -> None:
    row, received = send_and_receive(write(tmp_path, "lossy grey", HTJ2K), peer)
    assert row.outcome == "stored"
    difference = np.abs(pixel_array(received, raw=True).astype(int) - GREY)
    assert 0 < difference.max() <= 8
    assert received.LossyImageCompression == "01"
    assert f"{received.LossyImageCompressionRatio:.1f}" == LOSSY_RATIO
    assert received.LossyImageCompressionMethod == "ISO_15444_15"


def test_without_a_decoder_the_row_names_the_extra(
    tmp_path: Path, peer: Storescp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    row = send_batch(peer.setting(), write(tmp_path, "grey", HTJ2K)).to_frame().iloc[0]
    assert row.outcome == "not_accepted"
    assert "pip install 'dicomkit[codecs]'" in row.detail
