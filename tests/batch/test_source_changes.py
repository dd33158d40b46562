"""A source that changes: what was looked at is what is sent, or nothing is, and the row says what it was.

Every case ends in the same question: is what the receiver holds under a UID the instance of that UID, whole?
"""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dicomkit import (
    BatchControl,
    DicomMessage,
    DicomSenderSetting,
    Instance,
    Ledger,
    LocalSCP,
    UnreadableError,
    look_at,
    send,
    send_batch,
)
from dicomkit.batch import _pacing as pacing
from dicomkit.batch._intake import Intake
from dicomkit.batch._queue import Prefetch, Task, Untried
from dicomkit.dictionary.uids import EXPLICIT_LE
from dicomkit.events import Event, RowAdded, Sending
from dicomkit.scp import Close, Fault, RefuseSyntax
from dicomkit.sending import MOST_LOOKS, RowMaker, peer_of
from dicomkit.sources import SourceChanged, find_instances
from dicomkit.sources import readers as content_module
from dicomkit.sources.readers import Stamp
from dicomkit.sources.second_look import look_again
from tests.support.bare_peer import BarePeer, Conversation, accept_pdu
from tests.support.files import CT_IMAGE_STORAGE, SERIES_UID, ct_instance, instance_uid, write_ct_files

pytestmark = pytest.mark.usefixtures("no_leaks")

POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="Windows has no time of the last change of status")
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
# More than the buffers between two ends of a loopback connection take.
LARGE = {"rows": 4096, "columns": 2048}
OTHER_SERIES = f"{SERIES_UID[:-1]}2"
LOOKED_AGAIN = "the file changed after it was looked at, and was looked at again"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not have the time that peers are given."""
    monkeypatch.setattr(pacing, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 0.02)


def when_first_is_sent(change: Callable[[], object], instance: int = 0) -> Callable[[Event], None]:
    """A listener that changes something once, when an instance is on its way and the next is not yet opened."""
    left = [change]

    def listen(event: Event) -> None:
        if isinstance(event, Sending) and event.instance == instance and left:
            left.pop()()

    return listen


def as_class(content: bytes, sop_class: str) -> bytes:
    """The same instance of another SOP class; its UID has the length of CT's, and stands twice in it."""
    assert len(sop_class) == len(CT_IMAGE_STORAGE)
    assert content.count(CT_IMAGE_STORAGE.encode() + b"\0") == 2
    return content.replace(CT_IMAGE_STORAGE.encode() + b"\0", sop_class.encode() + b"\0")


def settled(path: Path) -> Instance:
    """A look at a file that was written long ago, as far as its times go."""
    deadline = time.monotonic() + 10
    while True:
        instance = look_at(path)
        assert instance.stamp is not None
        if instance.stamp.is_settled:
            return instance
        assert time.monotonic() < deadline, "the tick of a file system's clock is over"


def holds_whole(scp: LocalSCP, *contents: bytes) -> bool:
    """Whether the receiver holds these instances, each under its own UID and to the byte, and nothing else."""
    expected = {}
    for content in contents:
        instance = look_at(content)
        expected[instance.sop_instance_uid] = content[instance.offset : instance.offset + instance.length]
    held = {uid: scp.data_set(uid) for uid in scp.received.sop_instance_uid}
    return held == expected


# Before its first byte ------------------------------------------------------------------------------------------------


def in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def in_place_with_its_time(path: Path, content: bytes) -> None:
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_rename(path: Path, content: bytes) -> None:
    before, other = path.stat(), path.with_suffix(".new")
    other.write_bytes(content)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def by_removal(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


WAYS = [in_place, by_rename, by_removal, pytest.param(in_place_with_its_time, marks=POSIX_ONLY)]


@pytest.mark.parametrize("rows", [64, 200], ids=["same size", "another size"])
@pytest.mark.parametrize("replace", WAYS)
def test_a_file_that_was_replaced_in_the_look_ahead_goes_out_under_its_own_uids(
    tmp_path: Path, replace: Callable[[Path, bytes], None], rows: int
) -> None:
    files = write_ct_files(tmp_path, 3)
    other = ct_instance(7, series_uid=OTHER_SERIES, rows=rows)
    with LocalSCP() as scp:
        change = when_first_is_sent(lambda: replace(files[2], other))
        batch = send_batch(scp.setting(), files, on_event=change)
        assert batch.ok
        row = batch.to_frame().iloc[2]
        assert (row.sop_instance_uid, row.series_instance_uid) == (
            instance_uid(7, series_uid=OTHER_SERIES),
            OTHER_SERIES,
        )
        assert f"{LOOKED_AGAIN}: it was {instance_uid(2)} before" in row.detail
        assert row.size_bytes == look_at(other).length
        assert holds_whole(scp, ct_instance(0), ct_instance(1), other)


@pytest.mark.parametrize("associations", [1, 3])
@pytest.mark.parametrize("replace", WAYS)
def test_what_was_found_before_is_sent_as_it_is_now(
    tmp_path: Path, replace: Callable[[Path, bytes], None], associations: int
) -> None:
    files = write_ct_files(tmp_path, 6)
    found = [settled(path) for path in files]
    others = [ct_instance(10 + index, series_uid=OTHER_SERIES) for index in range(3)]
    for path, other in zip(files, others, strict=False):
        replace(path, other)
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), found, associations=associations)
        assert batch.ok
        assert holds_whole(scp, *others, *(ct_instance(index) for index in (3, 4, 5)))
    details = batch.to_frame().detail
    assert details.str.contains(LOOKED_AGAIN).tolist() == [True] * 3 + [False] * 3


def test_what_may_have_been_written_within_a_tick_of_the_look_is_looked_at_again(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    before = settled(path)
    in_place(path, ct_instance(1))
    # As if both had been written within one tick: nothing of the stamp tells them apart.
    stamp = Stamp.of(path.stat())._replace(is_settled=False)
    found = before.__replace__(stamp=stamp)
    with LocalSCP() as scp:
        assert send_batch(scp.setting(), found).ok
        assert holds_whole(scp, ct_instance(1))


@POSIX_ONLY
def test_what_is_written_within_a_tick_of_the_look_is_noticed(tmp_path: Path) -> None:
    """The times of the file say nothing then, so it is looked at once more in any case."""
    path = tmp_path / "a.dcm"
    for number in range(20):
        path.write_bytes(ct_instance(0))
        found = look_at(path)
        in_place_with_its_time(path, ct_instance(1))
        with LocalSCP() as scp:
            assert send_batch(scp.setting(), found).ok, number
            assert holds_whole(scp, ct_instance(1)), number


def test_what_was_touched_or_given_other_rights_is_sent_and_only_the_first_is_told_of(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 3)
    found = [settled(path) for path in files]
    os.utime(files[0], ns=(1, 1))
    files[1].chmod(0o400)
    os.link(files[2], tmp_path / "another name")
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), found)
        assert holds_whole(scp, *map(ct_instance, range(3)))
    assert batch.to_frame().detail.str.contains(LOOKED_AGAIN).tolist() == [True, False, False]
    assert f"{LOOKED_AGAIN}: it was" not in batch.to_frame().detail[0], "it is the same instance"


@pytest.mark.parametrize("associations", [1, 2])
def test_what_is_of_another_kind_now_gets_the_context_that_it_needs(
    tmp_path: Path, associations: int
) -> None:
    files = write_ct_files(tmp_path, 4)
    found = [settled(path) for path in files]
    other = as_class(ct_instance(8), MR_IMAGE_STORAGE)
    files[1].write_bytes(other)
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), found, associations=associations)
        assert batch.ok
        assert holds_whole(scp, other, *(ct_instance(index) for index in (0, 2, 3)))
    row = batch.to_frame().iloc[1]
    assert (row.sop_class_uid, row.attempt) == (MR_IMAGE_STORAGE, 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        (b"no DICOM at all", "it changed after it was looked at, and now it cannot be sent: not DICOM"),
        (ct_instance(5)[:-100], "it changed after it was looked at, and now it cannot be sent: truncated"),
    ],
    ids=["gone", "not DICOM", "truncated"],
)
def test_what_cannot_be_sent_any_more_is_unreadable_and_nothing_of_it_is_sent(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    files = write_ct_files(tmp_path, 3)
    found = [settled(path) for path in files]
    files[1].unlink()
    if content is not None:
        files[1].write_bytes(content)
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), found)
        assert list(batch.to_frame().outcome) == ["stored", "unreadable", "stored"]
        assert holds_whole(scp, ct_instance(0), ct_instance(2))
    row = batch.to_frame().iloc[1]
    assert says in row.detail
    assert pd.isna(row.association)
    assert pd.isna(row.started_at)


def test_a_source_that_never_stays_the_same_is_given_up(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    with LocalSCP() as scp:
        intake = Intake([path], RowMaker("batch", peer_of(scp.setting())), Prefetch())
    task = next(intake)
    assert isinstance(task, Task)
    for _ in range(MOST_LOOKS - 1):
        assert intake.look_again(task) is None
    untried = intake.look_again(task)
    assert isinstance(untried, Untried)
    row = untried.row
    assert (row.outcome, row.instance) == ("unreadable", 0)
    assert "changed each time that it was looked at" in row.detail


# In a pause, and tried again


def test_a_file_that_was_replaced_in_a_pause_goes_out_as_it_is_after_it(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 4)
    control = BatchControl()

    def pause(event: Event) -> None:
        if isinstance(event, RowAdded) and event.result.instance == 0:
            control.pause()
            for path in files[1:]:
                in_place(path, ct_instance(int(path.stem) + 20))
            control.resume()

    with LocalSCP() as scp:
        assert send_batch(scp.setting(), files, control=control, on_event=pause).ok
        received = set(scp.received.sop_instance_uid)
    # The second one may have been read whole before the pause; from the third on nothing was.
    assert {instance_uid(0), instance_uid(22), instance_uid(23)} <= received
    assert received - {instance_uid(0), instance_uid(22), instance_uid(23)} <= {
        instance_uid(1),
        instance_uid(21),
    }


@pytest.mark.parametrize("sop_class", [CT_IMAGE_STORAGE, MR_IMAGE_STORAGE])
def test_another_attempt_looks_again(tmp_path: Path, sop_class: str) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    other = as_class(ct_instance(1), sop_class)

    def replace(event: Event) -> None:
        if isinstance(event, RowAdded) and event.result.attempt == 1:
            path.write_bytes(other)

    with LocalSCP(faults=[Close(times=1)]) as scp:
        batch = send_batch(scp.setting(), path, on_event=replace, pack_pdv=False)
        assert holds_whole(scp, ct_instance(0), other)  # the first one came, and had no answer
    frame = batch.to_frame()
    assert list(frame.outcome) == ["aborted", "stored"]
    assert list(frame.sop_instance_uid) == [instance_uid(0), instance_uid(1)]
    assert frame.sop_class_uid[1] == sop_class


# Who it is, is judged anew


def test_the_ledger_has_the_fingerprint_of_what_was_sent(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path / "ct", 2)
    ledger = tmp_path / "ledger.db"
    found = [settled(path) for path in files]
    in_place(files[1], ct_instance(5, rows=100))
    with LocalSCP() as scp:
        assert send_batch(scp.setting(), found, ledger=ledger).ok
        again = send_batch(scp.setting(), files, ledger=ledger)
        assert again.ok
        assert list(again.to_frame().outcome) == ["skipped"] * 2
        assert len(scp.received) == 2
        # What it was has never been sent.
        in_place(files[1], ct_instance(1))
        assert list(send_batch(scp.setting(), files, ledger=ledger).to_frame().outcome) == [
            "skipped",
            "stored",
        ]
    assert set(Ledger(ledger).to_frame(latest=False).sop_instance_uid) == {
        instance_uid(0),
        instance_uid(1),
        instance_uid(5),
    }


def test_what_the_ledger_holds_is_not_sent_when_a_file_turns_into_it(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path / "ct", 2)
    ledger = tmp_path / "ledger.db"
    held = tmp_path / "held.dcm"
    held.write_bytes(ct_instance(9))
    found = [settled(path) for path in (*files, held)]
    with LocalSCP() as scp:
        assert send_batch(scp.setting(), held, ledger=ledger).ok
        shutil.copy2(held, files[1])
        batch = send_batch(scp.setting(), found[:2], ledger=ledger)
        assert list(batch.to_frame().outcome) == ["stored", "skipped"]
        assert batch.ok
        assert len(scp.received) == 2


def test_the_same_uid_twice_is_told_of_what_is_sent(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 4)
    found = [settled(path) for path in files]
    in_place(files[1], ct_instance(0))  # now it is the first one's
    in_place(files[3], ct_instance(1))  # which the second one is not any more
    with LocalSCP() as scp:
        details = send_batch(scp.setting(), found).to_frame().detail
    assert details.str.contains("came before in this batch").tolist() == [False, True, False, False]


# While it is sent -----------------------------------------------------------------------------------------------------


def shrink(path: Path) -> None:
    os.truncate(path, 2_000_000)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(100))


def write_within(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"0123456789")


def write_anew(path: Path) -> None:
    path.write_bytes(ct_instance(8, **LARGE))


@pytest.mark.parametrize("change", [shrink, grow, write_within, write_anew])
def test_a_file_that_changes_while_it_is_sent_is_aborted_before_its_last_fragment(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    files = write_ct_files(tmp_path, 3, **LARGE)
    with LocalSCP() as scp:
        batch = send_batch(
            scp.setting(), files, on_event=when_first_is_sent(lambda: change(files[1]), instance=1)
        )
        frame = batch.to_frame()
        assert list(frame.outcome) == ["stored", "unreadable", "stored"]
        assert holds_whole(scp, ct_instance(0, **LARGE), ct_instance(2, **LARGE))
    row = frame.iloc[1]
    assert "it changed while it was sent; send it again when nothing writes to it any more" in row.detail
    assert "the association had to be aborted" in row.detail
    assert 0 < row.size_bytes < look_at(files[0]).length
    assert row.sop_instance_uid == instance_uid(1)


def put_aside(path: Path) -> None:
    path.rename(path.with_suffix(".sent"))


def put_another_in_its_place(path: Path) -> None:
    by_rename(path, ct_instance(8, **LARGE))


def give_other_rights(path: Path) -> None:
    path.chmod(0o400)


def link(path: Path) -> None:
    os.link(path, path.with_suffix(".link"))


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of the name of an open file")
@pytest.mark.parametrize(
    "change", [put_aside, put_another_in_its_place, give_other_rights, link, Path.unlink]
)
def test_what_happens_to_its_name_or_rights_meanwhile_ends_nothing(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (path,) = write_ct_files(tmp_path, 1, **LARGE)
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), path, on_event=when_first_is_sent(lambda: change(path)))
        assert batch.ok
        assert holds_whole(scp, ct_instance(0, **LARGE))


def test_who_reads_for_himself_is_told_too(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    found = settled(path)
    assert found.read_all() == ct_instance(0)[found.offset :]
    source = found.open()
    source.check_unchanged()
    in_place(path, ct_instance(1))
    with pytest.raises(SourceChanged, match="changed while it was sent"):
        source.check_unchanged()
    source.close()
    with pytest.raises(SourceChanged, match="changed after it was looked at"):
        found.read_all()
    again = look_again(found)
    assert again.sop_instance_uid == instance_uid(1)
    assert again.read_all() == ct_instance(1)[again.offset :]


def test_a_file_whose_state_cannot_be_asked_for_is_unreadable(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    source = look_at(path).open()
    source.close()  # as the share that it is on goes away
    with pytest.raises(UnreadableError, match="reading it failed"):
        source.check_unchanged()


def test_what_is_converted_is_what_was_looked_at_too(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 2)
    found = [settled(path) for path in files]
    in_place(files[1], ct_instance(4))
    with LocalSCP(faults=[RefuseSyntax(EXPLICIT_LE)]) as scp:
        frame = send_batch(scp.setting(), found).to_frame()
        assert list(frame.outcome) == ["stored"] * 2
        assert list(scp.received.sop_instance_uid) == [instance_uid(0), instance_uid(4)]
    assert list(frame.sop_instance_uid) == [instance_uid(0), instance_uid(4)]
    assert frame.detail[1].count("converted from") == 1


# In an archive --------------------------------------------------------------------------------------------------------


def write_archive(path: Path, *contents: bytes, first_name: str = "0.dcm") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for index, content in enumerate(contents):
            file.writestr(first_name if index == 0 else f"{index}.dcm", content)


def test_an_archive_that_was_replaced_is_looked_into_again(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    write_archive(archive, ct_instance(0), ct_instance(1), ct_instance(2))
    found = list(find_instances(archive))
    write_archive(archive, ct_instance(3, rows=90), ct_instance(4), first_name="other.dcm")
    with LocalSCP() as scp:
        frame = send_batch(scp.setting(), found).to_frame()
        assert holds_whole(scp, ct_instance(4))
    assert list(frame.outcome) == ["unreadable", "stored", "unreadable"]
    assert frame.detail[0].endswith("the archive has no such member any more")
    assert frame.sop_instance_uid[1] == instance_uid(4)
    assert f"{LOOKED_AGAIN}: it was {instance_uid(1)} before" in frame.detail[1]


def test_an_archive_that_was_only_touched_is_sent_from(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    write_archive(archive, ct_instance(0), ct_instance(1))
    found = list(find_instances(archive))
    os.utime(archive, ns=(1, 1))
    with LocalSCP() as scp:
        assert send_batch(scp.setting(), found).ok
        assert holds_whole(scp, ct_instance(0), ct_instance(1))


def test_an_archive_that_changes_while_a_member_is_sent_aborts_it(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    contents = [ct_instance(index, **LARGE) for index in range(2)]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for index, content in enumerate(contents):
            file.writestr(f"{index}.dcm", content)
    with LocalSCP() as scp:
        frame = send_batch(
            scp.setting(), archive, on_event=when_first_is_sent(lambda: grow(archive), instance=1)
        ).to_frame()
        assert list(frame.outcome) == ["stored", "unreadable"]
        assert "changed while it was sent" in frame.detail[1]
        assert holds_whole(scp, contents[0])


# A message ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [[], [RefuseSyntax(EXPLICIT_LE)]], ids=["as stored", "converted"])
@pytest.mark.parametrize("sop_class", [CT_IMAGE_STORAGE, MR_IMAGE_STORAGE])
@pytest.mark.parametrize("rows", [64, 200])
@pytest.mark.parametrize("replace", WAYS)
def test_a_message_that_was_shown_is_sent_as_it_is_now(
    tmp_path: Path,
    replace: Callable[[Path, bytes], None],
    rows: int,
    sop_class: str,
    faults: list[Fault],
) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    other = as_class(ct_instance(3, rows=rows), sop_class)
    message = DicomMessage.from_file(path)
    assert instance_uid(0) in message._repr_html_()
    assert message.dataset.SOPInstanceUID == instance_uid(0)
    replace(path, other)
    with LocalSCP(faults=faults) as scp:
        row = send(scp.setting(), message)
        assert row.outcome == "stored"
        assert list(scp.received.sop_instance_uid) == [instance_uid(3)]
        assert faults or holds_whole(scp, other)
    assert (row.sop_instance_uid, row.sop_class_uid) == (instance_uid(3), sop_class)
    assert LOOKED_AGAIN in row.detail


def test_a_message_shows_what_its_file_is_now(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    message = DicomMessage.from_file(path)
    first = message.dataset
    assert message.dataset is first
    settled(path)
    by_rename(path, ct_instance(3))
    assert message.dataset.SOPInstanceUID == instance_uid(3)
    assert message.instance.sop_instance_uid == instance_uid(3)
    assert instance_uid(3) in message._repr_html_()
    path.unlink()
    assert "there is no such file" in message._repr_html_()


@pytest.mark.parametrize("sop_class", [CT_IMAGE_STORAGE, MR_IMAGE_STORAGE])
def test_a_message_may_change_until_its_association_is_open(tmp_path: Path, sop_class: str) -> None:
    """And where the association turns out to be for another kind, another one is opened."""
    (path,) = write_ct_files(tmp_path, 1)
    other = as_class(ct_instance(3), sop_class)

    def script(conversation: Conversation) -> None:
        offered = conversation.read_request().presentation_context
        if conversation is peer.conversations[0]:
            by_rename(path, other)
        contexts = [(one.context_id or 0, 0, str(one.transfer_syntax[0])) for one in offered]
        conversation.send(accept_pdu(contexts))
        conversation.serve()

    with BarePeer(script, connections=2) as peer:
        setting = DicomSenderSetting(remote_host="127.0.0.1", remote_port=peer.port, remote_aet="PEER")
        row = send(setting, DicomMessage.from_file(path))
    assert (row.outcome, row.sop_instance_uid, row.sop_class_uid) == ("stored", instance_uid(3), sop_class)
    assert len(peer.conversations) == (1 if sop_class == CT_IMAGE_STORAGE else 2)
    (instance,) = peer.instances
    assert instance.command.AffectedSOPInstanceUID == instance_uid(3)
    assert instance.command.AffectedSOPClassUID == sop_class
    assert instance.data_set == other[look_at(other).offset :]


def test_a_file_that_was_written_just_now_takes_one_association(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    with LocalSCP() as scp:
        assert send(scp.setting(), DicomMessage.from_file(path)).outcome == "stored"
        assert [event.what for event in scp.events].count("accepted") == 1


def test_a_message_that_cannot_be_sent_any_more_says_so(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    message = DicomMessage.from_file(path)
    assert message.instance
    path.write_bytes(b"something else")
    with LocalSCP() as scp:
        row = send(scp.setting(), message)
        assert row.outcome == "unreadable"
        assert "it changed after it was looked at, and now it cannot be sent: not DICOM" in row.detail
        assert not len(scp.received)


# The stamp ------------------------------------------------------------------------------------------------------------


def test_stamps_are_equal_whenever_they_were_taken(tmp_path: Path) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    fresh = Stamp.of(path.stat())
    later = fresh._replace(is_settled=not fresh.is_settled)
    assert fresh == later
    assert (fresh != later) is False
    assert hash(fresh) == hash(later)
    assert fresh != fresh._replace(inode=fresh.inode + 1)
    assert settled(path).stamp == fresh


@pytest.mark.parametrize("field", ["size", "modified_ns", "device", "inode", "changed_ns"])
def test_a_stamp_is_of_one_file_in_one_state(tmp_path: Path, field: str) -> None:
    (path,) = write_ct_files(tmp_path, 1)
    status = path.stat()
    stamp = Stamp.of(status)
    assert stamp.is_of(status)
    assert stamp.has_content_of(status)
    other = stamp._replace(**{field: getattr(stamp, field) + 1})
    assert other.is_of(status) is (os.name == "nt" and field == "changed_ns")
    assert other.has_content_of(status) is (field == "changed_ns")


@pytest.mark.parametrize(
    ("modified_ns", "seconds_later", "is_settled"),
    [(10**18, 1, False), (10**18, 3, True), (10**18 + 1, 1, True), (10**18 + 1, 0, False)],
)
def test_a_time_in_whole_seconds_takes_two_of_them_to_settle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modified_ns: int, seconds_later: int, is_settled: bool
) -> None:
    """As FAT has it: what is written within the same two seconds bears the same time."""
    (path,) = write_ct_files(tmp_path, 1)
    os.utime(path, ns=(modified_ns, modified_ns))
    status = path.stat()
    newest = modified_ns if os.name == "nt" else status.st_ctime_ns
    monkeypatch.setattr(content_module, "time_ns", lambda: newest + seconds_later * 10**9)
    assert Stamp.of(status).is_settled is is_settled
