"""Conversions of real files, element by element: against the source, and against what DCMTK makes of it.

All are read by the tests' plain reader. Whatever differs from DCMTK is in `EXPLAINED`, one by one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from dicomkit import UnreadableError, look_at
from dicomkit.conversion import NotConverted, convert
from dicomkit.dictionary.uids import UNCOMPRESSED
from tests.support.peers import program
from tests.support.plain_reader import WORDS, Element, flat, part10, read, sequences_of, write

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT, EXPLICIT, BIG, DEFLATED)
PIXEL_GROUPS = ("0028", "7FE0")
OPTIONS = {IMPLICIT: "+ti", EXPLICIT: "+te", BIG: "+tb", DEFLATED: "+td"}

# The tool of DCMTK that decompresses a transfer syntax, leaving colours as they are.
DECODERS = {
    **dict.fromkeys(
        (f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70)), ("dcmdjpeg", "--conv-never")
    ),
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), ("dcmdjpls",)),
    "1.2.840.10008.1.2.5": ("dcmdrle",),
}

# By file and tag, why an element is not what DCMTK makes of it. Beside these, everywhere: DCMTK pads values to an even
# length, which PS3.5 7.1.1 asks of who writes them and which changes them; it sorts elements; and its group lengths are
# those of its own sequences.
EXPLAINED = {
    (
        "mlut_18.dcm",
        "00283002",
    ): "in an item, too, it depends on Pixel Representation, which is 1: PS3.3 C.11.1.1",
    ("UN_sequence.dcm", "4453100C"): "a sequence under UN stays UN, whose content is implicit: PS3.5 6.2.2",
}
# Damaged, so that neither converts them.
BROKEN = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "its only fragment ends in the middle of the code stream",
}
# Files that DCMTK does not read to the end.
NOT_BY_DCMTK = {"SC_rgb_jpeg.dcm": "truncated for DCMTK: it ends without a sequence delimiter"}


def folders() -> Iterator[Path]:
    yield Path(pydicom.__file__).parent / "data" / "test_files"
    yield Path(__file__).parents[2] / "data"
    try:
        import data_store  # pydicom-data
    except ImportError:
        return
    yield Path(data_store.__file__).parent / "data"


def files() -> Iterator[Path]:
    """Every file with an extension, and one of each series of a DICOMDIR."""
    for folder in folders():
        series = set()
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix in (".py", ".pyc", ".json", ".md", ".zip", ".txt"):
                continue
            if not path.suffix:
                if path.parent in series:
                    continue
                series.add(path.parent)
            yield path


def syntaxes() -> Iterator[tuple[Path, str]]:
    """The instances among them, with their transfer syntaxes."""
    for path in files():
        try:
            yield path, look_at(path).transfer_syntax
        except UnreadableError:
            continue


def stored(path: Path) -> list[Element] | None:
    """The data set of a file as it is, where it and its File Meta Information are as PS3.10 has them."""
    data = path.read_bytes()
    if data[128:132] != b"DICM" or data[132:136] != b"\2\0\0\0":
        return None
    try:
        return part10(data)[0]
    except (AssertionError, KeyError):
        return None


SYNTAXES = dict(syntaxes())
LARGE = 600_000  # bytes; a larger file differs from a smaller one in its pixels alone
TARGETS = (IMPLICIT, EXPLICIT)


def name_of(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)


def content(path: Path, target: str) -> bytes:
    made = convert(look_at(path), target)
    source = made.open()
    data = bytearray(made.length)
    assert source.readv([memoryview(data)]) == made.length
    source.close()
    return bytes(data)


def by_path(elements: list[Element]) -> dict[tuple[int | str, ...], Element]:
    """The elements by where they are; group lengths are of another length in another encoding."""
    return {path: element for path, element in flat(elements) if not str(path[-1]).endswith("0000")}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", [path for path in SYNTAXES if stored(path) is not None], ids=name_of)
def test_values_are_those_of_the_source(path: Path, target: str) -> None:
    before = stored(path)
    assert before is not None
    if path.name in BROKEN:
        with pytest.raises(NotConverted):
            content(path, target)
        return
    one = by_path(before)
    other = by_path(read(content(path, target), implicit=target == IMPLICIT, sequences=sequences_of(before)))
    may_differ = PIXEL_GROUPS if SYNTAXES[path] not in UNCOMPRESSED else ()
    pixels = (
        {where for where in {*one, *other} if str(where[-1]).startswith(may_differ)} if may_differ else set()
    )
    assert [where for where in one if where not in pixels] == [
        where for where in other if where not in pixels
    ]
    for where in one.keys() - pixels:
        mine, its = one[where], other[where]
        assert its.value == mine.value, where
        assert (its.items is None) == (mine.items is None), where
        assert its.is_undefined == mine.is_undefined, where
        assert its.item_lengths == mine.item_lengths, where
        if its.vr is not None and mine.vr is not None:
            assert its.vr == mine.vr or (its.vr == "UN" and len(its.value) % WORDS.get(mine.vr, 1)), where


def made_by_dcmtk(path: Path, options: list[str], folder: Path) -> bytes:
    tool, *rest = options
    out = folder / "dcmtk.dcm"
    done = subprocess.run(
        [program(tool), *rest, str(path), str(out)], capture_output=True, timeout=60, check=False
    )
    assert not done.returncode, done.stderr[-300:]
    return out.read_bytes()


def unpadded(value: bytes) -> bytes:
    return value.rstrip(b"\0 ")


def assert_like_dcmtk(path: Path, ours: bytes, theirs: bytes, target: str, *, is_decoded: bool) -> None:
    before = stored(path)
    sequences = None if before is None else sequences_of(before)
    implicit = target == IMPLICIT
    mine = by_path(read(ours, implicit=implicit, sequences=sequences))
    its = by_path(part10(theirs, sequences)[0])
    differing = {}
    for where in {*mine, *its}:
        if is_decoded and str(where[-1]).startswith(PIXEL_GROUPS):
            continue
        one, other = mine.get(where), its.get(where)
        if one is None or other is None:
            differing[where] = "only " + ("DCMTK's" if one is None else "ours")
        elif unpadded(one.value) != unpadded(other.value):
            differing[where] = f"{one.value[:40]!r}, not {other.value[:40]!r}"
        # A private element has the VR of DCMTK's own dictionary, or UN.
        elif one.vr != other.vr and not (one.vr == "UN" and int(str(where[-1]), 16) >> 16 & 1):
            differing[where] = f"{one.vr}, not {other.vr}"
    unexplained = {
        where: how
        for where, how in differing.items()
        if not any((path.name, str(tag)) in EXPLAINED for tag in where)
    }
    assert not unexplained


def tool_of(path: Path) -> tuple[str, ...] | None:
    """What of DCMTK encodes a file anew; None where nothing does."""
    if path.name in BROKEN or path.name in NOT_BY_DCMTK:
        return None
    return ("dcmconv",) if SYNTAXES[path] in NATIVE else DECODERS.get(SYNTAXES[path])


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (path, target)
        for path, syntax in SYNTAXES.items()
        for target in TARGETS
        if syntax != target and tool_of(path) is not None
    ],
    ids=name_of,
)
def test_elements_are_those_that_dcmtk_writes(path: Path, target: str, tmp_path: Path) -> None:
    tool = tool_of(path)
    assert tool is not None
    theirs = made_by_dcmtk(path, [*tool, OPTIONS[target]], tmp_path)
    assert_like_dcmtk(path, content(path, target), theirs, target, is_decoded=SYNTAXES[path] not in NATIVE)


@pytest.mark.parametrize(
    ("path", "syntax"),
    [
        (path, syntax)
        for path, its in SYNTAXES.items()
        for syntax in (BIG, IMPLICIT, DEFLATED)
        if its in NATIVE and its != syntax and path.stat().st_size < LARGE
    ],
    ids=name_of,
)
def test_what_dcmtk_encodes_is_encoded_back_as_dcmtk_does(path: Path, syntax: str, tmp_path: Path) -> None:
    """The native files once more, each in the other encodings."""
    source = tmp_path / path.name
    source.write_bytes(made_by_dcmtk(path, ["dcmconv", OPTIONS[syntax]], tmp_path))
    for target in {*TARGETS} - {syntax}:
        theirs = made_by_dcmtk(source, ["dcmconv", OPTIONS[target]], tmp_path)
        assert_like_dcmtk(source, content(source, target), theirs, target, is_decoded=False)


# --- every element of the standard -------------------------------------------------------------------------------

SOP = [Element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0"), Element(0x00080018, "UI", b"1.2.3.4\0")]
# What depends on these is signed, of one entry, and of 16 bits.
DECIDING = {0x00280103: b"\1\0", 0x00283002: b"\1\0\0\0\x10\0", 0x54001004: b"\x10\0"}
PROVIDER_URL = 0x00287FE0  # of Pixel Data elsewhere, with which DCMTK converts nothing

# By tag, what we write and what DCMTK writes.
EXPLAINED_VRS = {
    **dict.fromkeys((0x00143050, 0x00143070), ("UN", "OB")),  # nothing says whether they are bytes or words
    0x00281200: ("UN", "OW"),  # words or numbers, and its descriptor does not say
    0x00283006: ("US", "OW"),  # a single entry is a number: PS3.3 C.11.1.1.1
    0x7F020010: ("OW", "OB"),  # words, as all pixels without a VR: PS3.5 A.1
    **dict.fromkeys((0x54000110, 0x54000112), ("OW", "OB")),  # of 16 bits: PS3.3 C.10.9.1
}


def every_element() -> list[Element]:
    """One of each element of PS3.6, and of each repeating group."""
    vrs = {
        tag: vr
        for tag, (vr, *_) in DicomDictionary.items()
        if vr != "NONE"
        and tag >> 16 >= 8
        and tag & 0xFFFF
        and tag not in (PROVIDER_URL, *(e.tag for e in SOP))
    }
    for pattern, (vr, *_) in RepeatersDictionary.items():
        vrs.setdefault(int(pattern.replace("xx", "02").replace("x", "0"), 16), vr)
    found = list(SOP)
    for tag, vr in vrs.items():
        if vr == "SQ":
            found.append(Element(tag, "SQ", items=[[Element(0x00080100, "SH", b"A ")]], item_lengths=[False]))
        else:
            found.append(Element(tag, vr[:2], DECIDING.get(tag, b"\1\0\0\0\1\0\0\x81")))
    return sorted(found, key=lambda element: element.tag)


def as_part10(elements: list[Element], syntax: str) -> bytes:
    meta = write([Element(0x00020010, "UI", syntax.encode() + b"\0" * (len(syntax) % 2))])
    head = bytes(128) + b"DICM" + write([Element(0x00020000, "UL", len(meta).to_bytes(4, "little"))]) + meta
    return head + write(elements, implicit=syntax == IMPLICIT, big=syntax == BIG)


def test_every_element_without_a_vr_gets_the_one_that_dcmtk_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "every.dcm"
    elements = every_element()
    assert len(elements) > 5000
    path.write_bytes(as_part10(elements, IMPLICIT))
    theirs = made_by_dcmtk(path, ["dcmconv", "+te"], tmp_path)
    assert theirs is not None
    mine, its = by_path(read(content(path, EXPLICIT))), by_path(part10(theirs)[0])
    # An element under a sequence that is unknown to DCMTK is not one to it.
    unknown = {where for where, element in its.items() if element.vr == "UN"}
    assert mine.keys() - its.keys() == {where for where in mine if where[:-2] in unknown}
    assert len(unknown) < 250  # younger than its dictionary
    differing = {}
    for where, element in its.items():
        ours = mine[where]
        signed = DicomDictionary.get(int(str(where[-1]), 16), ("",))[0] == "US or SS"
        if element.vr == "UN" or (signed and (ours.vr, element.vr) == ("SS", "US")):
            continue  # DCMTK looks at Pixel Representation for some of them only
        if ours.items is None:
            assert ours.value == element.value, where
        if ours.vr != element.vr:
            differing[int(str(where[-1]), 16)] = (ours.vr, element.vr)
    assert differing == EXPLAINED_VRS


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT])
def test_every_element_in_big_endian_is_turned_as_dcmtk_turns_it(target: str, tmp_path: Path) -> None:
    path = tmp_path / "every.dcm"
    elements = every_element()
    path.write_bytes(as_part10(elements, BIG))
    theirs = made_by_dcmtk(path, ["dcmconv", OPTIONS[target]], tmp_path)
    assert theirs is not None
    sequences = sequences_of(elements)
    mine = by_path(read(content(path, target), implicit=target == IMPLICIT, sequences=sequences))
    its = by_path(part10(theirs, sequences)[0])
    assert mine.keys() == its.keys()
    for where, element in its.items():
        assert unpadded(mine[where].value) == unpadded(element.value), where
        assert mine[where].vr == element.vr, where
