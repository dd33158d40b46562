"""The pixels of two encodings of one instance, decoded and compared frame by frame: bytes in, a verdict out.

Only decoders that lose nothing can be held against each other: what was compressed with a loss is decoded a little
differently by every program, so that a difference there proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dicomkit.uids import LOSSY_METHODS, uid_name
from dicomkit.verification.compare import PIXEL_DATA, Encoded, decode

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import Decoder

__all__ = ["PixelVerdict", "compare_pixels"]

# The colour spaces that are one once a frame is decoded (PS3.3 C.7.6.3.1.2).
_DECODED_AS = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}


@dataclass(frozen=True, slots=True)
class PixelVerdict:
    """Whether the pixels are the same.

    Attributes
    ----------
    same : {"yes", "no", "unknown"}
    sentence : str
        Which frame differs, or why it cannot be told.
    """

    same: Literal["yes", "no", "unknown"]
    sentence: str = ""


def compare_pixels(sent: Encoded, back: Encoded) -> PixelVerdict:
    """Compare the decoded pixels of two data sets that are compressed differently; one frame of each is held."""
    try:
        one, other = decode(sent), decode(back)
        if PIXEL_DATA not in one and PIXEL_DATA not in other:
            return PixelVerdict("yes")
        if (PIXEL_DATA in one) != (PIXEL_DATA in other):
            return PixelVerdict("no", "one of the two has no Pixel Data")
        decoders = []
        for syntax in (sent.transfer_syntax, back.transfer_syntax):
            decoder = _decoder(syntax)
            if decoder is None:
                return PixelVerdict(
                    "unknown",
                    f"decoding {uid_name(syntax)} needs decoders that are not installed; install them with: "
                    "pip install 'dicomkit[codecs]'",
                )
            decoders.append(decoder)
        return _compare_frames((one, decoders[0], sent), (other, decoders[1], back))
    except Exception as error:  # noqa: BLE001 (pydicom's plugins raise whatever their parts raise)
        return PixelVerdict("unknown", f"its pixels could not be decoded ({type(error).__name__})")


def _decoder(syntax: str) -> Decoder | None:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return None
    return decoder if decoder.is_available else None


def _compare_frames(
    one: tuple[Dataset, Decoder, Encoded], other: tuple[Dataset, Decoder, Encoded]
) -> PixelVerdict:
    from itertools import zip_longest

    import numpy as np

    frames, other_frames = (decoder.iter_array(ds, raw=True) for ds, decoder, _ in (one, other))
    for number, (frame, other_frame) in enumerate(zip_longest(frames, other_frames), 1):
        if frame is None or other_frame is None:
            return PixelVerdict("no", f"one of the two ends before frame {number}")
        colours = [str(facts["photometric_interpretation"]) for _, facts in (frame, other_frame)]
        colours = [_DECODED_AS.get(colour, colour) for colour in colours]
        if colours[0] != colours[1]:
            return PixelVerdict(
                "unknown",
                f"its pixels were sent in {colours[0]} and came back in {colours[1]}, and no conversion between the "
                "two is exact",
            )
        if frame[0].shape != other_frame[0].shape:
            return PixelVerdict("no", f"frame {number} has another size")
        count = np.count_nonzero(frame[0] != other_frame[0])
        if count:
            said = f"{count} of the {frame[0].size} decoded values of frame {number} differ"
            return _unless_lossy(said, one[2].transfer_syntax, other[2].transfer_syntax)
    return PixelVerdict("yes")


def _unless_lossy(difference: str, *syntaxes: str) -> PixelVerdict:
    for syntax in syntaxes:
        if syntax in LOSSY_METHODS:
            return PixelVerdict(
                "unknown",
                f"{difference}, which may be rounding: {uid_name(syntax)} loses something, and decoders differ",
            )
    return PixelVerdict("no", difference)
