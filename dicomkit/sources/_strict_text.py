"""Text of a pydicom Dataset as the bytes of its Specific Character Set (PS3.5 6.1), without a single replacement.

pydicom's encoders know the code extensions of ISO 2022 and write ``?`` where a character does not fit. What they wrote
is decoded again, and only the same text counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.valuerep import PersonName

# After these the initial character set is in force again (PS3.5 6.1.2.5.3).
_DELIMITERS_OF_TEXT = set(b"\r\n\t\f")
_DELIMITERS_OF_NAMES = set(b"^")
_ESCAPE = b"\x1b"
_DEFAULT = "iso8859"  # as pydicom calls the default repertoire, which is ISO 646
_TO_ASCII = b"(B"  # ISO 646, after the escape: PS3.3 Table C.12-3
_JIS_X_0201 = "shift_jis"  # as pydicom calls ISO_IR 13, of which it is the single-byte part
_REPLACED = "\ufffd"  # stands where bytes could not be decoded


def encode_values(value: Any, vr: str, encodings: Sequence[str], *, is_lenient: bool) -> bytes:
    """Encode the values of an element whose VR follows the Specific Character Set (PS3.5 6.1.2.2).

    `encodings` are as `pydicom.charset.convert_encodings` names them. Where it is lenient, characters of Latin-1 may
    stand where only ISO 646 does: these are bytes that were read so. Raises ValueError, without the value, which may
    be a patient's.
    """
    from pydicom.valuerep import PersonName

    values = [value] if isinstance(value, (str, bytes, PersonName)) else list(value or ())
    parts = []
    for one in values:
        if isinstance(one, bytes):
            parts.append(one)
        elif vr == "PN":
            parts.append(_encode_name(one, encodings, is_lenient))
        else:
            parts.append(_encode(str(one), encodings, _DELIMITERS_OF_TEXT, is_lenient))
    return b"\\".join(parts)


def _encode_name(name: PersonName | str, encodings: Sequence[str], is_lenient: bool) -> bytes:
    """Encode component by component: each of them begins in the initial character set (PS3.5 6.1.2.5.3)."""
    from pydicom.valuerep import PersonName

    text = str(name)
    read = getattr(name, "original_string", None)
    if isinstance(read, bytes) and _REPLACED not in text and str(PersonName(read, encodings)) == text:
        _refuse_beyond_ascii(read, encodings, is_lenient)
        return read
    return b"=".join(
        b"^".join(_encode(part, encodings, _DELIMITERS_OF_NAMES, is_lenient) for part in group.split("^"))
        for group in text.split("=")
    )


def _encode(text: str, encodings: Sequence[str], delimiters: set[int], is_lenient: bool) -> bytes:
    from pydicom.charset import decode_bytes, encode_string

    if _REPLACED in text:
        raise ValueError("a character stands for bytes that could not be decoded")
    encoded = _single_bytes(text) if encodings[0] == _JIS_X_0201 else None
    if encoded is None:
        encoded = encode_string(text, encodings)
    if decode_bytes(encoded, encodings, delimiters) != text:
        raise ValueError("a character is not in the character set")
    _refuse_beyond_ascii(encoded, encodings, is_lenient)
    return encoded


def _single_bytes(text: str) -> bytes | None:
    """Encode in JIS X 0201, both halves of which are there from the beginning (PS3.3 Table C.12-2)."""
    try:
        characters = [character.encode(_JIS_X_0201) for character in text]
    except UnicodeEncodeError:
        return None
    return b"".join(characters) if all(len(one) == 1 for one in characters) else None


def _refuse_beyond_ascii(encoded: bytes, encodings: Sequence[str], is_lenient: bool) -> None:
    """Raise where the default repertoire is in force and a byte is beyond it; pydicom takes that for Latin-1."""
    if is_lenient:
        return
    first, *others = encoded.split(_ESCAPE)
    in_ascii = [first] if encodings[0] == _DEFAULT else []
    in_ascii += [part for part in others if part.startswith(_TO_ASCII)]
    if not all(part.isascii() for part in in_ascii):
        raise ValueError("a character is not in the character set")
