"""Compressed instances are decoded before their turn comes, and nobody can tell but by the time."""

from __future__ import annotations

import os
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from dicomkit import BatchControl, LocalSCP, look_at, send_batch
from dicomkit.conversion import ConversionsAhead, Converted, NotConverted, convert
from dicomkit.events import Event, RowAdded, Sending
from dicomkit.scp import Abort, Close, Fault, RefuseSyntax, Reset
from dicomkit.sources import Instance, SourceChanged
from tests.support.files import instance_uid
from tests.support.peers import wait_until

pytest.importorskip("imagecodecs", reason="decompressing needs dicomkit[codecs]")

EXPLICIT = str(ExplicitVRLittleEndian)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DECODING = "dicomkit decoding"  # how its threads are named
NO_RLE = RefuseSyntax(str(RLELossless))
MOST_HELD = 1 << 29  # bytes, by all that was decoded ahead


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    if vr in (b"OB", b"OW"):
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def uid(tag: int, value: str) -> bytes:
    return element(tag, b"UI", value.encode() + b"\0" * (len(value) % 2))


def rle_of(size: int, shade: int) -> bytes:
    """One segment of equal bytes, in runs of 128 (PS3.5 G.3.1)."""
    runs = bytes((129, shade)) * (size // 128)
    rest = size % 128
    if rest > 1:
        runs += bytes((257 - rest, shade))
    elif rest:
        runs += bytes((0, shade))
    return struct.pack("<16I", 1, 64, *[0] * 14) + runs


def compressed(index: int, *, rows: int = 64, columns: int = 64, shade: int | None = None) -> bytes:
    """A file with an RLE image whose samples are all the same."""
    shade = index % 251 if shade is None else shade
    meta = uid(0x00020002, SECONDARY_CAPTURE) + uid(0x00020003, instance_uid(index))
    meta += uid(0x00020010, str(RLELossless))
    numbers = (
        *((0x00280010, rows), (0x00280011, columns), (0x00280100, 8)),
        *((0x00280101, 8), (0x00280102, 7), (0x00280103, 0)),
    )
    frame = rle_of(rows * columns, shade)
    return b"".join(
        (
            bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta,
            uid(0x00080016, SECONDARY_CAPTURE) + uid(0x00080018, instance_uid(index)),
            element(0x00080060, b"CS", b"OT") + uid(0x0020000D, "1.2.3") + uid(0x0020000E, "1.2.3.1"),
            element(0x00280002, b"US", struct.pack("<H", 1)) + element(0x00280004, b"CS", b"MONOCHROME2 "),
            *(element(tag, b"US", struct.pack("<H", number)) for tag, number in numbers),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
            struct.pack("<HHIHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, len(frame)) + frame,
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        )
    )


def native(index: int, *, rows: int = 64, columns: int = 64, shade: int | None = None) -> bytes:
    """What its Pixel Data are to become."""
    shade = index % 251 if shade is None else shade
    return element(0x7FE00010, b"OB", bytes((shade,)) * (rows * columns))


def written(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{index:03}.dcm" for index in range(count)]
    for index, path in enumerate(paths):
        path.write_bytes(compressed(index))
    return paths


def content(made: Converted) -> bytes:
    source = made.open()
    data = bytearray(made.length)
    assert source.readv([memoryview(data)]) == made.length
    source.close()
    return bytes(data)


def everything(instance: Instance) -> str:
    """A target for all of them."""
    return EXPLICIT


def decoding() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(DECODING)]


@pytest.fixture
def ahead() -> Iterator[ConversionsAhead]:
    made = ConversionsAhead(1, 1 << 31)
    yield made
    made.close()
    wait_until(lambda: not decoding(), 30, "its threads have ended")


# By itself


def test_each_is_what_it_would_be_without(ahead: ConversionsAhead) -> None:
    instances = [look_at(compressed(index)) for index in range(20)]
    for at, instance in enumerate(instances):
        ahead.begin(instances[at : at + ahead.depth], everything)
        assert content(ahead.convert(instance, EXPLICIT)) == content(convert(instance, EXPLICIT))
    assert decoding()


def test_what_was_not_begun_is_converted_there_and_then(ahead: ConversionsAhead) -> None:
    begun, other = (look_at(compressed(index)) for index in range(2))
    ahead.begin([begun], everything)
    assert content(ahead.convert(other, EXPLICIT)).endswith(native(1))
    implicit = ahead.convert(begun, "1.2.840.10008.1.2")  # and not what was begun for another target
    assert implicit.transfer_syntax == "1.2.840.10008.1.2"
    for _ in range(2):  # what was handed out once is made again
        assert content(ahead.convert(begun, EXPLICIT)).endswith(native(0))


def test_what_needs_no_decoding_and_what_has_no_target_is_not_begun(ahead: ConversionsAhead) -> None:
    begin = compressed(0).index(b"\x08\0\x16\0")
    end = compressed(0).index(struct.pack("<HH", 0x7FE0, 0x0010))
    meta = element(0x00020010, b"UI", EXPLICIT.encode() + b"\0")
    head = bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta
    uncompressed = look_at(head + compressed(0)[begin:end] + native(0))
    ahead.begin([uncompressed, look_at(compressed(1))], lambda one: EXPLICIT if one is uncompressed else None)
    assert not decoding()


def test_what_is_held_is_bounded_however_much_is_named_and_never_asked_for() -> None:
    """Forty images of 32 MB, of which every third is asked for."""
    ahead = ConversionsAhead(4, 1 << 31)
    instances = [look_at(compressed(index, rows=4096, columns=8192)) for index in range(40)]
    tracemalloc.start()
    try:
        for at in range(0, len(instances), 3):
            ahead.begin(instances[at:], everything)
            assert ahead.convert(instances[at], EXPLICIT).length > 1 << 25
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        ahead.close()
    assert peak < MOST_HELD + (1 << 28)
    wait_until(lambda: not decoding(), 30, "its threads have ended")


def test_what_is_too_large_to_be_held_is_decoded_in_its_turn(ahead: ConversionsAhead) -> None:
    """One of 72 MB is decoded when it is asked for, and no other one is there then."""
    large = [look_at(compressed(index, rows=9000, columns=8000)) for index in range(3)]
    tracemalloc.start()
    try:
        ahead.begin(large, everything)
        assert ahead.convert(large[-1], EXPLICIT).length > 9000 * 8000
        assert tracemalloc.get_traced_memory()[1] < 5 * 9000 * 8000 // 2  # itself, and one frame more
    finally:
        tracemalloc.stop()


def test_what_was_handed_out_is_not_held_any_more(ahead: ConversionsAhead) -> None:
    instance = look_at(compressed(0, rows=4096, columns=8192))
    tracemalloc.start()
    try:
        ahead.begin([instance], everything)
        made = ahead.convert(instance, EXPLICIT)
        assert tracemalloc.get_traced_memory()[0] > 1 << 25
        del made
        wait_until(lambda: tracemalloc.get_traced_memory()[0] < 1 << 24, 30, "it is let go of")
    finally:
        tracemalloc.stop()


def test_what_nobody_asks_for_makes_room_for_what_comes_next(tmp_path: Path, ahead: ConversionsAhead) -> None:
    ahead.begin([look_at(compressed(index)) for index in range(100)], everything)
    path = tmp_path / "one.dcm"
    path.write_bytes(compressed(0, rows=4096, columns=8192))
    instance = look_at(path)

    def is_decoded() -> bool:
        ahead.begin([instance], everything)  # which takes the place of one that is done by then
        return tracemalloc.get_traced_memory()[0] > 1 << 25

    tracemalloc.start()
    try:
        wait_until(is_decoded, 30, "it is begun and done")
    finally:
        tracemalloc.stop()
    path.unlink()  # so that it could not be converted now
    assert ahead.convert(instance, EXPLICIT).length > 1 << 25


def test_a_refusal_has_the_limit_that_was_given_and_not_the_smaller_one() -> None:
    ahead = ConversionsAhead(1, 70_000_000)
    large = look_at(compressed(0, rows=9000, columns=8000))
    ahead.begin([large], everything)
    with pytest.raises(NotConverted, match=r"72 MB.*max_decoded_bytes is 70 MB"):
        ahead.convert(large, EXPLICIT)
    ahead.close()


def test_a_refusal_says_what_it_would_say_without(ahead: ConversionsAhead) -> None:
    broken = look_at(compressed(0).replace(rle_of(4096, 0), rle_of(4000, 0)[:-4] + bytes(4)))
    with pytest.raises(NotConverted) as expected:
        convert(broken, EXPLICIT)
    ahead.begin([broken], everything)
    with pytest.raises(NotConverted) as found:
        ahead.convert(broken, EXPLICIT)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_source_that_changed_is_not_sent_as_what_it_was(
    tmp_path: Path, ahead: ConversionsAhead, when: str
) -> None:
    (path,) = written(tmp_path, 1)
    instance = look_at(path)

    def change() -> None:
        path.write_bytes(compressed(1))
        os.utime(path, ns=(1, 1))

    if when == "before":
        change()
    ahead.begin([instance], everything)
    if when == "between":
        wait_until(lambda: bool(decoding()), 30, "it is begun")
        change()
    with pytest.raises(SourceChanged):
        made = ahead.convert(instance, EXPLICIT)
        if when == "after":
            change()
        made.open()


def test_closing_lets_go_of_what_nobody_asked_for() -> None:
    ahead = ConversionsAhead(1, 1 << 31)
    instances = [look_at(compressed(index, rows=2048, columns=2048)) for index in range(8)]
    ahead.begin(instances, everything)
    ahead.close()
    wait_until(lambda: not decoding(), 30, "its threads have ended")
    assert content(ahead.convert(instances[0], EXPLICIT)).endswith(native(0, rows=2048, columns=2048))


# In a batch


def arrived_whole(scp: LocalSCP, *indices: int) -> bool:
    """Whether the receiver has these, each under its own UID and decoded to its own samples."""
    held = {uid: scp.data_set(uid) for uid in scp.received.sop_instance_uid}
    return held.keys() == {instance_uid(index) for index in indices} and all(
        held[instance_uid(index)].endswith(native(index)) for index in indices
    )


@pytest.mark.parametrize("associations", [1, 4])
def test_all_arrive_as_themselves_and_in_their_order(tmp_path: Path, associations: int) -> None:
    paths = written(tmp_path, 60)
    with LocalSCP(faults=[NO_RLE]) as scp:
        batch = send_batch(scp.setting(), paths, associations=associations)
        assert batch.ok
        assert arrived_whole(scp, *range(60))
        received = scp.received
    frame = batch.to_frame()
    assert list(frame.instance) == list(range(60))
    assert list(frame.sop_instance_uid) == [instance_uid(index) for index in range(60)]
    if associations == 1:
        assert list(received.sop_instance_uid) == [instance_uid(index) for index in range(60)]
    assert not decoding()


def test_each_row_has_its_own_reason(tmp_path: Path) -> None:
    paths = written(tmp_path, 12)
    paths[3].write_bytes(compressed(3, rows=9000, columns=8000))
    broken = compressed(5)
    paths[5].write_bytes(broken.replace(rle_of(4096, 5), rle_of(4000, 5)[:-4] + bytes(4)))
    with LocalSCP(faults=[NO_RLE]) as scp:
        batch = send_batch(scp.setting(), paths, max_decoded_bytes=70_000_000)
        assert arrived_whole(scp, *(index for index in range(12) if index not in (3, 5)))
    frame = batch.to_frame()
    assert list(frame.outcome[frame.outcome != "stored"]) == ["not_accepted"] * 2
    assert "72 MB, and max_decoded_bytes is 70 MB" in frame.detail[3]
    assert "its RLE Lossless pixels could not be decoded" in frame.detail[5]


def test_a_cancelled_batch_ends_with_its_rows_and_without_its_threads(tmp_path: Path) -> None:
    paths = written(tmp_path, 40)
    control = BatchControl()

    def cancel(event: Event) -> None:
        if isinstance(event, RowAdded) and event.result.instance == 3:
            control.cancel()

    with LocalSCP(faults=[NO_RLE]) as scp:
        batch = send_batch(scp.setting(), paths, control=control, on_event=cancel)
        frame = batch.to_frame()
        stored = [index for index in range(40) if frame.outcome[index] == "stored"]
        assert arrived_whole(scp, *stored)
    assert len(frame) == 40
    assert set(frame.outcome) == {"stored", "cancelled"}
    assert 4 <= len(stored) < 40
    wait_until(lambda: not decoding(), 30, "its threads have ended")


@pytest.mark.parametrize(
    "fault",
    [
        Abort("data", after=2, times=2),
        Close("between", every=4),
        Reset("response", after=4, times=1),
        Close("data", times=1),
    ],
    ids=["aborts", "closes between", "resets", "closes within"],
)
@pytest.mark.parametrize("associations", [1, 3])
def test_what_is_put_back_or_tried_again_is_still_itself(
    tmp_path: Path, fault: Fault, associations: int
) -> None:
    paths = written(tmp_path, 24)
    with LocalSCP(faults=[NO_RLE, fault]) as scp:
        batch = send_batch(scp.setting(), paths, associations=associations, retries=3)
        assert batch.ok, batch.to_frame().detail.tolist()
        assert arrived_whole(scp, *range(24))


def test_a_source_that_changes_after_it_was_decoded_is_sent_as_what_it_is_now(tmp_path: Path) -> None:
    paths = written(tmp_path, 10)

    def change_those_that_are_ready(event: Event) -> None:
        if isinstance(event, Sending) and event.instance == 1:
            for index in (3, 4, 8):
                paths[index].write_bytes(compressed(100 + index))

    with LocalSCP(faults=[NO_RLE]) as scp:
        batch = send_batch(scp.setting(), paths, on_event=change_those_that_are_ready)
        assert batch.ok
        assert arrived_whole(scp, *(100 + index if index in (3, 4, 8) else index for index in range(10)))
    changed = batch.to_frame().detail.str.contains("changed after it was looked at")
    assert list(changed[changed].index) == [3, 4, 8]


def test_a_source_that_is_gone_after_it_was_decoded_is_unreadable(tmp_path: Path) -> None:
    paths = written(tmp_path, 6)

    def remove(event: Event) -> None:
        if isinstance(event, Sending) and event.instance == 0:
            paths[3].unlink()

    with LocalSCP(faults=[NO_RLE]) as scp:
        frame = send_batch(scp.setting(), paths, on_event=remove).to_frame()
        assert arrived_whole(scp, 0, 1, 2, 4, 5)
    assert list(frame.outcome[frame.outcome != "stored"]) == ["unreadable"]
    assert frame.outcome[3] == "unreadable"
