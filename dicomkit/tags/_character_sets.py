"""Text of a data set by its Specific Character Set, code extensions by ISO 2022 included, and what does not fit.

Two code elements are in force at any time, G0 for bytes below 80 and G1 for those above (PS3.5 6.1.2.5). An escape
sequence puts a character set into one of them, a delimiter puts the initial ones back. So a value is cut into runs of
bytes that one character set has to read, and each of them is a codec of Python.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

CHARACTER_SET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))  # PS3.5 6.1.2.2
_OF_ONE_VALUE = frozenset(("LT", "ST", "UR", "UT"))  # where a backslash is none between values: PS3.5 6.2

_ESCAPE = 0x1B
_REPLACED = "\ufffd"
_CONTROLS = frozenset(b"\t\n\f\r")  # after these the initial sets are in force again: PS3.5 6.1.2.5.3
_OF_NAMES = frozenset(b"^=")
_BACKSLASH = 0x5C

_Codec = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class _CodeSet:
    """One set of characters, in G0 or in G1."""

    name: str  # as PS3.3 C.12.1.1.2 defines it
    width: int  # bytes of one character
    decode: _Codec  # raises UnicodeError


def _by(codec: str, prefix: bytes = b"", *, set_high_bits: bool = False) -> _Codec:
    def decode(data: bytes) -> str:
        return (prefix + (bytes(byte | 0x80 for byte in data) if set_high_bits else data)).decode(codec)

    return decode


def _jis_roman(data: bytes) -> str:
    """ISO 646 but for two places: JIS X 0201."""
    return data.decode("ascii").replace("\\", "\xa5").replace("~", "\u203e")


def _katakana(data: bytes) -> str:
    if min(data) < 0xA1:
        raise UnicodeError("no katakana of JIS X 0201")
    return data.decode("shift_jis")


def _chinese(data: bytes) -> str:
    try:
        return data.decode("gb2312")
    except UnicodeError:
        return data.decode("gb18030")  # writers have more characters than GB 2312 does


_ASCII = _CodeSet("ISO_IR 6", 1, _by("ascii"))
_JIS_ROMAN = _CodeSet("ISO_IR 13", 1, _jis_roman)
_KATAKANA = _CodeSet("ISO_IR 13", 1, _katakana)
_KANJI = _CodeSet("ISO 2022 IR 87", 2, _by("euc_jp", set_high_bits=True))
_MORE_KANJI = _CodeSet("ISO 2022 IR 159", 2, _by("euc_jp", b"\x8f", set_high_bits=True))
_KOREAN = _CodeSet("ISO 2022 IR 149", 2, _by("euc_kr"))
_CHINESE = _CodeSet("ISO 2022 IR 58", 2, _chinese)

# PS3.3 Table C.12-3: number, final byte of the escape sequence, and Python's name.
_SINGLE_BYTES = (
    ("100", "A", "iso8859_1"),
    ("101", "B", "iso8859_2"),
    ("109", "C", "iso8859_3"),
    ("110", "D", "iso8859_4"),
    ("126", "F", "iso8859_7"),
    ("127", "G", "iso8859_6"),
    ("138", "H", "iso8859_8"),
    ("144", "L", "iso8859_5"),
    ("148", "M", "iso8859_9"),
    ("166", "T", "tis_620"),
    ("203", "b", "iso8859_15"),
)
_G1_OF = {number: _CodeSet(f"ISO_IR {number}", 1, _by(codec)) for number, _, codec in _SINGLE_BYTES} | {
    "13": _KATAKANA,
    "149": _KOREAN,
    "58": _CHINESE,
}

# PS3.3 Table C.12-3 and C.12-4, without the escape itself.
_TO_G0 = {
    b"(B": _ASCII,
    b"(J": _JIS_ROMAN,
    b"$B": _KANJI,
    b"$@": _KANJI,  # the edition of 1978
    b"$(D": _MORE_KANJI,
}
_TO_G1 = {f"-{final}".encode(): _G1_OF[number] for number, final, _ in _SINGLE_BYTES} | {
    b")I": _KATAKANA,
    b"$)C": _KOREAN,
    b"$)A": _CHINESE,
}
_LONGEST_SEQUENCE = 3

_WITHOUT_EXTENSIONS = {"GB18030": "gb18030", "GBK": "gbk"}  # PS3.3 Table C.12-5, besides ISO_IR 192
_TERM = re.compile(r"ISO[ _-]?(?:2022)?[ _-]?(?:IR)?[ _-]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, and in what its bytes do not fit their character set, in a sentence without a subject; mostly empty."""

    text: str
    problem: str


def decode_text(data: bytes, terms: Sequence[str], vr: str) -> Decoded:
    """Decode the values of an element of text, backslashes included, by its Specific Character Set (0008,0005).

    A VR that does not follow the character set has ISO 646 only (PS3.5 6.1.2.2). What does not fit is U+FFFD. Where
    nothing says what bytes above 7F are, they are taken for ISO_IR 100.
    """
    if vr not in CHARACTER_SET_VRS:
        if data.isascii():
            return Decoded(data.decode("ascii"), "")
        return Decoded(data.decode("latin-1"), f"has bytes beyond ASCII, which the VR {vr} has none of")
    sets = _sets(tuple(terms))
    if isinstance(sets, str):
        return _decode_whole(data, sets, terms[0])
    if data.isascii() and _ESCAPE not in data and sets.g0 is _ASCII:
        return Decoded(data.decode("ascii"), "")
    return _decode_runs(data, sets, vr)


@dataclass(frozen=True, slots=True)
class _Sets:
    """What the terms of a Specific Character Set say: the initial sets, and which may be switched to."""

    g0: _CodeSet
    g1: _CodeSet | None
    named: frozenset[str]
    unknown: str


@lru_cache
def _sets(terms: tuple[str, ...]) -> _Sets | str:
    """Return the sets, or the codec of a character set that has no code extensions."""
    first = terms[0].strip() if terms else ""
    if first.upper() in _WITHOUT_EXTENSIONS:
        return _WITHOUT_EXTENSIONS[first.upper()]
    initial = _number(first)
    if initial == "192":
        return "utf-8"
    numbers = {term.strip(): _number(term) for term in terms if term.strip()}
    unknown = next((term for term, number in numbers.items() if not number), "")
    if first and not initial and _codec_named(first):  # what writers say instead, such as "latin1"
        return first
    named = frozenset(_NAME_OF[number] for number in numbers.values() if number) | {_ASCII.name}
    return _Sets(_JIS_ROMAN if initial == "13" else _ASCII, _G1_OF.get(initial), named, unknown)


def _number(term: str) -> str:
    """Return the number in a term that is known, spelled as it may be; empty for others."""
    match = _TERM.fullmatch(term.strip())
    return match[1] if match and match[1] in _NAME_OF else ""


_NAME_OF = {number: code_set.name for number, code_set in _G1_OF.items()} | {
    "6": _ASCII.name,
    "87": _KANJI.name,
    "159": _MORE_KANJI.name,
    "192": "ISO_IR 192",
}


def _codec_named(term: str) -> bool:
    try:
        codecs.lookup(term)
    except (LookupError, ValueError):  # the latter for a NUL
        return False
    return True


def _decode_whole(data: bytes, codec: str, term: str) -> Decoded:
    try:
        return Decoded(data.decode(codec), "")
    except UnicodeError:
        return Decoded(data.decode(codec, "replace"), f"has bytes that are none of {term.strip()}")


def _decode_runs(data: bytes, sets: _Sets, vr: str) -> Decoded:
    problems: dict[str, None] = {}
    if sets.unknown:
        problems[f"has the Specific Character Set {sets.unknown}, which is not known"] = None
    parts = []
    for run, code_set, undeclared in _runs(data, sets, vr):
        if undeclared:
            problems[f"switches to {undeclared}, which its Specific Character Set does not name"] = None
        if code_set is None:
            parts.append(run.decode("latin-1"))
            if not sets.unknown:
                problems[
                    "has bytes beyond ASCII, and no Specific Character Set says what they are: shown as ISO_IR 100"
                ] = None
            continue
        text = _decode_run(run, code_set)
        if _REPLACED in text:
            problems[f"has bytes that are none of {code_set.name}"] = None
        elif code_set.width == 1 and any(0x80 <= byte < 0xA0 for byte in run):
            problems[
                f"has bytes from 80 to 9F, which are no characters of {code_set.name}; perhaps Windows-1252"
            ] = None
        parts.append(text)
    if problems and _ESCAPE not in data and _is_utf_8_beyond_ascii(data):
        problems["it is valid UTF-8 (ISO_IR 192)"] = None
    return Decoded("".join(parts), "; ".join(problems))


def _is_utf_8_beyond_ascii(data: bytes) -> bool:
    try:
        return not data.decode("utf-8").isascii()
    except UnicodeError:
        return False


def _decode_run(run: bytes, code_set: _CodeSet) -> str:
    """Decode bytes of one set; what does not fit, character by character, is U+FFFD."""
    try:
        if code_set.width == 1 or code_set is _KOREAN or code_set is _CHINESE:
            return code_set.decode(run)
    except UnicodeError:
        pass
    parts = []
    for at in range(0, len(run), code_set.width):
        try:
            parts.append(code_set.decode(run[at : at + code_set.width]))
        except UnicodeError:
            parts.append(_REPLACED)
    return "".join(parts)


def _runs(data: bytes, sets: _Sets, vr: str) -> Iterator[tuple[bytes, _CodeSet | None, str]]:
    """Yield stretches of bytes with the set that reads them, and the set that was switched to without being named."""
    delimiters = _CONTROLS | (_OF_NAMES if vr == "PN" else frozenset())
    if vr not in _OF_ONE_VALUE:
        delimiters |= {_BACKSLASH}
    g0, g1 = sets.g0, sets.g1
    undeclared = ""
    at = 0
    while at < len(data):
        byte = data[at]
        if byte == _ESCAPE:
            sequence = _sequence_at(data, at + 1)
            if sequence:
                g0, g1 = _TO_G0.get(sequence, g0), _TO_G1.get(sequence, g1)
                name = (_TO_G0.get(sequence) or _TO_G1[sequence]).name
                undeclared = "" if name in sets.named else name
                at += 1 + len(sequence)
                continue
        if _is_single(byte, g0, delimiters):
            yield data[at : at + 1], _ASCII, ""
            if byte in delimiters:
                g0, g1 = sets.g0, sets.g1
            at += 1
            continue
        end = at + 1
        while end < len(data) and (data[end] ^ byte) < 0x80 and not _is_single(data[end], g0, delimiters):
            end += 1
        yield data[at:end], g0 if byte < 0x80 else g1, undeclared
        undeclared = ""
        at = end


def _is_single(byte: int, g0: _CodeSet, delimiters: frozenset[int]) -> bool:
    """Whether a byte is a control, a space or a delimiter, in whatever set: PS3.5 6.1.2.5.3 has them in ASCII."""
    return byte <= 0x20 or (g0.width == 1 and (byte == 0x7F or byte in delimiters))


def _sequence_at(data: bytes, at: int) -> bytes:
    """Return the escape sequence, without the escape, that is known; empty for another."""
    for length in range(_LONGEST_SEQUENCE, 1, -1):
        found = data[at : at + length]
        if found in _TO_G0 or found in _TO_G1:
            return found
    return b""
