"""The dictionary of value representations says what PS3.6 says, by pydicom's copy of it."""

from __future__ import annotations

import struct
import subprocess
import sys
from itertools import product

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32
from pydicom.values import converters

from dicomkit.dictionary import uid_name, vr_of
from dicomkit.dictionary.vrs import LONG_VRS, SHORT_VRS, WORD_SIZES


def test_every_element_of_the_standard_has_its_representation() -> None:
    expected = {
        tag: vr for tag, (vr, *_) in DicomDictionary.items() if vr != "NONE" and tag >> 16 and tag & 0xFFFF
    }
    assert len(expected) > 4900
    assert {tag: vr_of(tag) for tag in expected} == expected


def test_lengths_and_words_are_those_of_pydicom() -> None:
    assert {vr.decode() for vr in SHORT_VRS} == {str(vr) for vr in EXPLICIT_VR_LENGTH_16}
    assert {vr.decode() for vr in LONG_VRS} == {str(vr) for vr in EXPLICIT_VR_LENGTH_32}
    numbers = {vr: how[1] for vr, how in converters.items() if isinstance(how, tuple)}
    sizes = {vr.encode(): struct.calcsize(f"<{letter}") for vr, letter in numbers.items()}
    assert len(sizes) == 8
    assert {vr: WORD_SIZES[vr] for vr in sizes} == sizes


def test_elements_of_repeating_groups_have_theirs() -> None:
    for pattern, (vr, *_) in RepeatersDictionary.items():
        count = pattern.count("x")
        for digits in product("02ACE" if "xx0" in pattern or "xx2" in pattern else "02E", repeat=count):
            text = pattern
            for digit in digits:
                text = text.replace("x", digit, 1)
            tag = int(text, 16)
            if tag not in DicomDictionary and tag & 0xFFFF:
                assert vr_of(tag) == vr, text


def test_private_elements_are_unknown_and_their_creators_are_not() -> None:
    assert vr_of(0x00090010) == "LO"
    assert vr_of(0x000900FF) == "LO"
    assert vr_of(0x00091001) is None
    assert vr_of(0x00090001) is None
    assert vr_of(0x50013000) is None
    assert vr_of(0x60013000) is None
    assert vr_of(0x00080000) == vr_of(0x00090000) == "UL"
    assert vr_of(0x00084321) is None


def test_it_needs_no_pydicom() -> None:
    code = "import sys; from dicomkit.dictionary import vr_of; assert vr_of(0x7FE00010); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "pydicom" not in done.stdout.split()


def test_uids_have_names() -> None:
    assert uid_name("1.2.840.10008.1.2") == "Implicit VR Little Endian"
