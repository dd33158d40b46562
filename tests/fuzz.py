"""``python -m tests.fuzz --seconds 3600``: anything in, and nothing but our own errors out.

Valid inputs are mutated (bits, lengths, cuts, splices) and given to whatever reads what others wrote: PDUs and
commands, DICOM files, also as JSON and XML, zip archives, DICOMDIRs, settings, ledgers, files of results. A crash, a
hang or memory beyond a bound is kept as a file and ends the run.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
import tempfile
import traceback
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pydicom

from dicomkit import (
    DicomMessage,
    DicomSenderSetting,
    Instance,
    Ledger,
    find_instances,
    look_at,
    read_results,
    send_batch,
)
from dicomkit.errors import DicomkitError, ProtocolError
from dicomkit.wire import pdu as p

SLOWEST_SECONDS = 5.0
MOST_BYTES = 256 << 20
LENGTHS = (0, 1, 2, 4, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
SETTINGS = Path(__file__).parents[1] / "data" / "settings"
TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
LARGEST_SEED = 200_000


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """A few random changes, of the kinds that break readers."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        size = len(changed)
        at = rng.randrange(size + 1)
        kind = rng.randrange(8)
        if kind == 0 and size:
            changed[at % size] ^= 1 << rng.randrange(8)
        elif kind == 1 and size:
            changed[at % size] = rng.randrange(256)
        elif kind == 2:
            width, order = rng.choice((("I", "<"), ("I", ">"), ("H", "<"), ("H", ">")))
            value = rng.choice(LENGTHS) & (0xFFFFFFFF if width == "I" else 0xFFFF)
            changed[at : at + struct.calcsize(width)] = struct.pack(order + width, value)
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            del changed[at : at + rng.randrange(1, 64)]
        elif kind == 5:
            changed[at:at] = rng.randbytes(rng.randrange(1, 64))
        elif kind == 6:
            changed[at:at] = changed[at : at + rng.randrange(1, 256)] * rng.randrange(1, 8)
        else:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            changed[at : at + 64] = other[start : start + 64]
    return bytes(changed)


def read_pdus(data: bytes) -> None:
    """Whatever comes from a socket: PDU after PDU, and the commands in them."""
    buffer = bytearray(data)
    while buffer and (found := p.next_pdu(buffer)) is not None:
        pdu, used = found
        assert 0 < used <= len(buffer)
        del buffer[:used]
        if isinstance(pdu, p.DataTransfer):
            for pdv in pdu.pdvs:
                p.decode_response(pdv.fragment)
    assert len(buffer) <= p.MAX_RECEIVED_PDU + len(data)


def read_instance(data: bytes) -> None:
    """A file that somebody names."""
    found = look_at(data)
    assert 0 <= found.offset <= found.offset + found.length
    read_to_the_end(found)


def read_to_the_end(found: Instance) -> None:
    source = found.open()
    try:
        room = bytearray(1 << 16)
        left = found.length
        while left:
            got = source.readv([memoryview(room)[: min(left, len(room))]])
            if not got:
                break
            left -= got
    except OSError:
        return  # what a sender makes a row of
    finally:
        source.close()


def read_message(data: bytes) -> None:
    """A message that somebody asks for as JSON and as XML."""
    message = DicomMessage.from_bytes(data)
    for kind in ("json", "xml"):
        with suppress(DicomkitError):
            getattr(message, kind)


def read_archive(data: bytes) -> None:
    """A zip archive."""
    read_container("archive.zip", data)


def read_directory_file(data: bytes) -> None:
    """A DICOMDIR, with nothing of what it refers to."""
    read_container("DICOMDIR", data)


def read_container(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        for found in find_instances(path):
            assert found.source.startswith(folder) or "leads out of its folder" in str(found), found
            if isinstance(found, Instance):
                read_to_the_end(found)


def reads_results(suffix: str) -> Callable[[bytes], None]:
    """A reader of results in one of their formats."""

    def read(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{suffix}"
            path.write_bytes(data)
            try:
                read_results(path)
            except ValueError as error:  # what `read_results` says it raises
                assert path.name in str(error)
                raise DicomkitError(str(error)) from error

    return read


def read_setting(data: bytes) -> None:
    """A workflow's JSON."""
    setting = DicomSenderSetting.from_json(data)
    setting.problems()
    assert DicomSenderSetting.from_json(setting.to_json()) == setting


def read_ledger(data: bytes) -> None:
    """A file that should be a ledger."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        path.write_bytes(data)
        ledger = Ledger(path)
        ledger.batches()
        ledger.to_frame(latest=False)


def pdu_seeds() -> list[bytes]:
    """What DCMTK sends, as it was captured, and a response with everything in it."""
    from tests.wire import test_pdu

    comment = test_pdu.DCMTK_STORE_RESPONSE[0] + test_pdu.DCMTK_STORE_RESPONSE[1]
    return [
        test_pdu.DCMTK_ACCEPT,
        test_pdu.DCMTK_REJECT,
        test_pdu.DCMTK_ECHO_RESPONSE,
        comment,
        comment + test_pdu.DCMTK_RELEASE_REPLY,
        test_pdu.DCMTK_ABORT,
    ]


def instance_seeds() -> list[bytes]:
    """pydicom's own test files, but for the large ones."""
    files = sorted(TEST_FILES.rglob("*.dcm"))
    return [file.read_bytes() for file in files if file.stat().st_size <= LARGEST_SEED]


def setting_seeds() -> list[bytes]:
    """The example settings, the faulty ones too."""
    return [file.read_bytes() for file in sorted(SETTINGS.rglob("*.json"))]


def ledger_seeds() -> list[bytes]:
    """A small ledger, with one batch in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        disabled = DicomSenderSetting(name="nowhere", disabled=True)
        send_batch(disabled, sorted(TEST_FILES.glob("MR_small*.dcm")), ledger=path)
        Ledger(path).batches()
        return [path.read_bytes()]


def archive_seeds() -> list[bytes]:
    """Archives with instances packed and not, and what else is met in them."""
    small = [data for data in instance_seeds() if len(data) < 20_000]
    made = []
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for index, data in enumerate(small[:3]):
                archive.writestr(f"series/{index}.dcm", data)
            archive.writestr("empty/", "")
            archive.writestr("notes.txt", "hello")
        made.append(file.getvalue())
    return made


def directory_file_seeds() -> list[bytes]:
    """pydicom's DICOMDIRs."""
    return [
        file.read_bytes()
        for file in sorted(TEST_FILES.rglob("DICOMDIR*"))
        if file.is_file() and file.stat().st_size <= LARGEST_SEED
    ]


def makes_results(suffix: str) -> Callable[[], list[bytes]]:
    """A maker of results in one of their formats."""

    def make() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{suffix}"
            disabled = DicomSenderSetting(name="nowhere", disabled=True)
            send_batch(disabled, sorted(TEST_FILES.glob("MR_small*.dcm")), results=path)
            return [path.read_bytes()]

    return make


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "pdu": (read_pdus, pdu_seeds),
    "instance": (read_instance, instance_seeds),
    "message": (read_message, instance_seeds),
    "archive": (read_archive, archive_seeds),
    "dicomdir": (read_directory_file, directory_file_seeds),
    "csv": (reads_results(".csv"), makes_results(".csv")),
    "json": (reads_results(".json"), makes_results(".json")),
    "parquet": (reads_results(".parquet"), makes_results(".parquet")),
    "setting": (read_setting, setting_seeds),
    "ledger": (read_ledger, ledger_seeds),
}


class Found(Exception):
    """An input that does harm; the message says what it did."""


def fuzz(name: str, seconds: float, seed: int) -> int:
    """Mutate for so long; how many inputs were tried.

    Raises
    ------
    Found
        With the input in `args[1]`.
    """
    read, make_seeds = TARGETS[name]
    seeds = make_seeds()
    with suppress(DicomkitError, ProtocolError, ValueError):
        read(seeds[0])  # what it imports is not to be measured
    rng = random.Random(f"{name}{seed}")
    deadline = monotonic() + seconds
    tried = 0
    while tried == 0 or monotonic() < deadline:
        tried += 1
        data = mutate(rng.choice(seeds), rng, seeds)
        tracemalloc.reset_peak()
        started = monotonic()
        try:
            read(data)
        except (DicomkitError, ProtocolError):
            pass
        except Exception as error:
            raise Found(f"{name}: {type(error).__name__}: {error}\n{traceback.format_exc()}", data) from error
        if monotonic() - started > SLOWEST_SECONDS:
            raise Found(f"{name}: it took {monotonic() - started:.1f} s", data)
        if tracemalloc.get_traced_memory()[1] > MOST_BYTES:
            raise Found(f"{name}: it took {tracemalloc.get_traced_memory()[1] >> 20} MiB", data)
    return tried


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="in all (60)")
    parser.add_argument("--only", choices=TARGETS, help="this target only")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    chosen = parser.parse_args(arguments)
    names = [chosen.only] if chosen.only else list(TARGETS)
    tracemalloc.start()
    for name in names:
        try:
            tried = fuzz(name, chosen.seconds / len(names), chosen.seed)
        except Found as found:
            kept = Path(f"fuzz-{name}.bin")
            kept.write_bytes(found.args[1])
            print(f"{found.args[0]}\nthe input is in {kept}")
            return 1
        print(f"{name}: {tried} inputs, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
