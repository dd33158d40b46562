"""The value representation of an element that was written without one (Implicit VR, PS3.5 7.1.3).

The dictionary knows it, or knows which other element it depends on. What cannot be known is UN: its bytes are then
copied, and nobody is told anything false about them (PS3.5 6.2.2).
"""

from __future__ import annotations

from collections.abc import Callable

from dicomkit.dictionary import vr_of

__all__ = [
    "AUDIO_SAMPLE_FORMAT",
    "COMES_LATER",
    "DEPENDED_ON",
    "LUT_DESCRIPTOR",
    "PIXEL_REPRESENTATION",
    "WAVEFORM_BITS_ALLOCATED",
    "representation",
    "repeating",
]

PIXEL_REPRESENTATION = 0x00280103
LUT_DESCRIPTOR = 0x00283002
WAVEFORM_BITS_ALLOCATED = 0x54001004
AUDIO_SAMPLE_FORMAT = 0x50002002  # of a curve, PS3.3-2004 C.10.2.1; the first of its repeating groups
# What another element's representation depends on, and of these, what may stand after that other element.
DEPENDED_ON = frozenset((PIXEL_REPRESENTATION, LUT_DESCRIPTOR, WAVEFORM_BITS_ALLOCATED, AUDIO_SAMPLE_FORMAT))
COMES_LATER = frozenset((PIXEL_REPRESENTATION, WAVEFORM_BITS_ALLOCATED))

_LUT_DATA = 0x00283006
_CURVE_DATA = 0x50003000
_AUDIO_SAMPLE_DATA = 0x5000200C
# PS3.5 A.1: without a VR they are words, however many bits a sample has.
_ALWAYS_WORDS = frozenset((0x7FE00010, 0x60003000, 0x7F000010))
_OF_WAVEFORMS = frozenset((0x54000110, 0x54000112, 0x5400100A, 0x54001010))
_REPEATING_GROUPS = (0x5000, 0x6000, 0x7F00)

Look = Callable[[int], bytes | None]
"""Finds the little-endian value of an element by its tag: of this item, or of what it is in."""


def repeating(tag: int) -> int:
    """Return the tag in the first of its repeating groups: (6000,3000) for (6002,3000)."""
    group = tag >> 16
    base = group & 0xFF00
    return (
        base << 16 | tag & 0xFFFF if base in _REPEATING_GROUPS and not group & 1 and tag < 0x7FE00000 else tag
    )


def representation(tag: int, value: Callable[[], bytes], look: Look) -> str:
    """Return the value representation of an element; UN where nothing says which.

    Parameters
    ----------
    tag : int
    value : callable
        Gives the element's value in little endian, where it is needed.
    look : callable
        Finds what it may depend on.
    """
    vr = vr_of(tag)
    if vr is None:
        return "UN"
    if len(vr) == 2:
        return vr
    if vr == "US or SS":
        return _signed_or_not(value, look(PIXEL_REPRESENTATION))
    tag = repeating(tag)
    if tag in _ALWAYS_WORDS:
        return "OW"
    if tag in _OF_WAVEFORMS:  # PS3.3 C.10.9.1
        bits = look(WAVEFORM_BITS_ALLOCATED)
        return "UN" if bits is None else "OB" if _number(bits) == 8 else "OW"
    if tag == _LUT_DATA:  # one entry is US, and more are words: PS3.3 C.11.1.1.1
        descriptor = look(LUT_DESCRIPTOR)
        return "UN" if descriptor is None else "US" if _number(descriptor) == 1 else "OW"
    if tag == _CURVE_DATA:  # PS3.5-2004 A.1
        return "OB"
    if tag == _AUDIO_SAMPLE_DATA:
        sample_format = look(AUDIO_SAMPLE_FORMAT)
        return "UN" if sample_format is None else "OB" if _number(sample_format) == 1 else "OW"
    return "UN"


def _number(value: bytes) -> int:
    return int.from_bytes(value[:2], "little")


def _signed_or_not(value: Callable[[], bytes], pixel_representation: bytes | None) -> str:
    if pixel_representation is not None:
        return "SS" if _number(pixel_representation) == 1 else "US"
    # Below 0x8000 it is the same number either way.
    return "UN" if any(byte & 0x80 for byte in value()[1::2]) else "US"
