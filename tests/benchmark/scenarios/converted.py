"""What the peer does not take as it is stored: encoded anew, or decompressed, on the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

import pydicom

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Run, Table, take_turns
from tests.benchmark.plan import KINDS, FileSet, Plan
from tests.support.files import instance_uid
from tests.support.peers import Storescp, program

NAME = "converted"
TITLE = "Converted on the way, to storescp --ignore +xi with TCP_NODELAY=1"

COUNTS = (100, 400)
# What the files are in, what makes them so from Explicit VR Little Endian, and what dicomkit is to reach.
SOURCES: dict[str, tuple[Sequence[str], float]] = {
    "Explicit VR Little Endian": ((), 1.0),
    "JPEG Lossless": (("dcmcjpeg", "+e1"), 0.8),
    "RLE Lossless": (("dcmcrle",), 0.8),
}
SENDERS = {
    "dcmsend": senders.dcmsend,
    "send_batch": senders.send_batch,
    "dicomkit send": senders.dicomkit_send,
}


def measure(plan: Plan) -> list[Table]:
    keeps = plan.is_quick
    tables = []
    with Storescp(ignore=not keeps, bit_preserving=keeps, nodelay=True, options=["+xi"]) as receiver:
        for name, (encoder, at_least) in SOURCES.items():
            for count in COUNTS:
                plain = plan.files(KINDS["ct"], count)
                files = _encoded(plain, encoder) if encoder else plain
                comparison = take_turns(
                    f"{TITLE}: {count} {KINDS['ct'].description}, stored in {name}",
                    {sender: _turn(plan, send, files, plain, receiver) for sender, send in SENDERS.items()},
                    repeat=plan.repeat,
                    notes=(senders.HOW_TIMED,),
                )
                goals = [Goal(sender, at_least) for sender in SENDERS if sender != "dcmsend"]
                tables.append(comparison.as_table(goals))
    return tables


def _encoded(plain: FileSet, encoder: Sequence[str]) -> FileSet:
    """The same set as an encoder of DCMTK's leaves it."""
    folder = plain.folder.with_name(f"{plain.folder.name}-{encoder[0]}")
    if not folder.exists():
        folder.mkdir()
        for path in plain.folder.iterdir():
            command = [program(encoder[0]), *encoder[1:], str(path), str(folder / path.name)]
            subprocess.run(command, check=True, capture_output=True)
    return FileSet(plain.kind, folder, plain.count)


def _turn(
    plan: Plan,
    send: Callable[[FileSet, Storescp], Run],
    files: FileSet,
    plain: FileSet,
    receiver: Storescp,
) -> Callable[[], Run]:
    def take() -> Run:
        run = send(files, receiver)
        if plan.is_quick:
            _check(receiver, plain)
        return run

    return take


def _check(receiver: Storescp, plain: FileSet) -> None:
    """All of a set arrived, with the pixels that it had before anyone compressed them; it is emptied then."""
    harvest = receiver.received()
    for index, path in enumerate(sorted(plain.folder.iterdir())):
        arrived, sent = pydicom.dcmread(harvest.pop(instance_uid(index))), pydicom.dcmread(path)
        if arrived.file_meta.TransferSyntaxUID != pydicom.uid.ImplicitVRLittleEndian:
            raise AssertionError(f"{path.name} arrived in {arrived.file_meta.TransferSyntaxUID.name}")
        if arrived.PixelData != sent.PixelData or arrived.PatientID != sent.PatientID:
            raise AssertionError(f"{path.name} arrived altered")
    if harvest:
        raise AssertionError(f"{len(harvest)} more instances arrived than were sent")
    for path in receiver.received().values():
        path.unlink()
