"""Peers that reject, or cannot live with, what is proposed to them; answers that fit what was asked only in part."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicomkit import DicomMessage, DicomSenderSetting, LocalSCP, Outcome, probe, send, send_batch
from dicomkit.batch import _pacing as pacing
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.errors import AssociationAborted, AssociationRejected, IdentityNotConfirmed, WireError
from dicomkit.scp import RejectAssociation
from dicomkit.sending import Kind, Proposals, propose
from dicomkit.sending._proposals import MOST_HALVINGS, MOST_REJECTIONS
from dicomkit.wire.pdu import MAX_CONTEXTS
from tests.support.bare_peer import (
    ABORT_PDU,
    COMMAND,
    HOST,
    LAST,
    RELEASE_RP_PDU,
    RELEASE_RQ_PDU,
    BarePeer,
    Conversation,
    ReceivedInstance,
    accept_pdu,
    data_pdu,
    response_command,
)
from tests.support.files import CT_IMAGE_STORAGE, ct_instance, data_set_of, instance_uid
from tests.support.peers import Peer

pytestmark = pytest.mark.usefixtures("no_leaks", "short_waits")

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not have the time that peers are given."""
    monkeypatch.setattr(pacing, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 0.02)


def private_uid(sop_class: int) -> str:
    uid = f"1.2.826.0.1.3680043.{sop_class + 10000}"
    assert len(uid) == len(CT_IMAGE_STORAGE)
    return uid


def private_instance(sop_class: int, index: int = 0) -> bytes:
    """A CT of a private SOP class, one of as many as one likes."""
    content = ct_instance(index, series_uid=f"1.2.826.0.1.3680043.8.498.2026.{sop_class + 10000}")
    return content.replace(CT_IMAGE_STORAGE.encode(), private_uid(sop_class).encode())


class Dcmrecv(Peer):
    """DCMTK's dcmrecv, which takes CT uncompressed only, and rejects an association in which it can take nothing."""

    program = "dcmrecv"

    def command(self) -> list[str]:
        file = self._home / "dcmrecv.cfg"
        file.write_text(
            "[[TransferSyntaxes]]\n[U]\nTransferSyntax1 = LittleEndianExplicit\n"
            "TransferSyntax2 = LittleEndianImplicit\n\n[[PresentationContexts]]\n[C]\n"
            "PresentationContext1 = CTImageStorage\\U\n\n[[Profiles]]\n[Default]\nPresentationContexts = C\n"
        )
        return ["-xf", str(file), "Default", "-od", str(self.folder), str(self.port)]


# An answer to an association request: accept it, or send this and close.
ACCEPT = None
REJECT = bytes.fromhex("03000000000400010101")
LOCAL_LIMIT = bytes.fromhex("03000000000400010302")
BUSY = bytes.fromhex("03000000000400020101")
CLOSE = b""


class Picky(BarePeer):
    """Serves any number of connections; `judge` says what to answer to an association request.

    `serve` plays an accepted association.
    """

    def __init__(
        self,
        judge: Callable[[A_ASSOCIATE_RQ], bytes | None],
        serve: Callable[[Conversation], None] = Conversation.serve,
    ) -> None:
        super().__init__(self._answer, connections=None)
        self._judge = judge
        self._serve = serve
        self.proposals: list[int] = []
        self.accepted: list[int] = []
        self.stored: list[ReceivedInstance] = []

    def _answer(self, conversation: Conversation) -> None:
        request = conversation.read_request()
        offered = request.presentation_context
        self.proposals.append(len(offered))
        answer = self._judge(request)
        if answer is not None:
            conversation.send(answer)
            return
        self.accepted.append(len(offered))
        contexts = [(one.context_id or 0, 0, str(one.transfer_syntax[0])) for one in offered]
        conversation.send(accept_pdu(contexts))
        self._serve(conversation)
        self.stored += conversation.instances

    def setting(self, **changes: Any) -> DicomSenderSetting:
        return DicomSenderSetting(
            remote_host=HOST, remote_port=self.port, remote_aet="PEER", **{"timeout_seconds": 5, **changes}
        )


def classes_of(request: A_ASSOCIATE_RQ) -> set[str]:
    return {str(context.abstract_syntax) for context in request.presentation_context}


# A peer that can take none of what is proposed


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred instances of a private class, and five CT after them."""
    folder = tmp_path_factory.mktemp("study")
    for index in range(100):
        (folder / f"a{index:03}.dcm").write_bytes(private_instance(0, index))
    for index in range(5):
        (folder / f"b{index:03}.dcm").write_bytes(ct_instance(index))
    return folder


@pytest.mark.parametrize("associations", [3, "auto"])
def test_several_associations_come_to_what_the_peer_takes(study: Path, associations: Any) -> None:
    with Dcmrecv(aet="DCMRECV") as peer:
        batch = send_batch(peer.setting(), study, associations=associations)
        assert len(list(peer.folder.iterdir())) == 5
    outcomes = batch.to_frame().outcome
    assert outcomes[100:].tolist() == ["stored"] * 5
    assert set(outcomes[:100]) <= {"rejected", "not_accepted"}
    assert len(outcomes) == 105


def test_what_a_peer_rejects_does_not_keep_other_kinds_from_it(study: Path) -> None:
    with Dcmrecv(aet="DCMRECV") as peer:
        batch = send_batch(peer.setting(), study)
        assert len(list(peer.folder.iterdir())) == 5
    assert batch.outcomes == {Outcome.STORED: 5, Outcome.REJECTED: 100}
    assert len(batch.associations) == 2
    frame = batch.to_frame()
    assert len(frame) == 105
    assert frame.outcome.tolist() == ["rejected"] * 100 + ["stored"] * 5
    rejected = frame.detail[:100]
    assert rejected.str.contains(f"{private_uid(0)} in Explicit VR Little Endian or Implicit").all()
    assert rejected.str.contains("enable there what it should take").all()
    assert rejected.str.contains("result 1, source 1, reason 1").all()
    assert frame.association[:100].notna().tolist() == [True] + [False] * 99
    assert rejected[1:].str.startswith("not tried again: ").all()


def test_what_arrives_after_a_rejection_is_tried(study: Path) -> None:
    with Dcmrecv(aet="DCMRECV") as peer:
        rejected = threading.Event()

        def slowly() -> Iterator[Path]:
            yield study / "a000.dcm"
            assert rejected.wait(10)
            yield from sorted(study.glob("b*.dcm"))
            yield study / "a001.dcm"

        batch = send_batch(peer.setting(), slowly(), on_event=lambda event: rejected.set())
    assert batch.to_frame().outcome.tolist() == ["rejected"] + ["stored"] * 5 + ["rejected"]


def test_what_is_rejected_beside_an_accepted_kind_is_not_accepted(study: Path) -> None:
    with Dcmrecv(aet="DCMRECV") as peer:
        batch = send_batch(peer.setting(), [study / "a000.dcm", *sorted(study.glob("b*.dcm"))])
    assert batch.to_frame().outcome.tolist() == ["not_accepted"] + ["stored"] * 5
    assert len(batch.associations) == 1


def test_a_rejected_kind_has_one_row_whatever_may_be_retried_and_the_ledger_knows(
    study: Path, tmp_path: Path
) -> None:
    with Dcmrecv(aet="DCMRECV") as peer:
        ledger = tmp_path / "sent.sqlite"
        first = send_batch(peer.setting(), study, retries=5, ledger=ledger)
        assert len(first.to_frame()) == 105
        second = send_batch(peer.setting(), study, ledger=ledger)
    assert second.outcomes == {Outcome.SKIPPED: 5, Outcome.REJECTED: 100}


def test_a_probe_goes_on_after_a_rejection() -> None:
    with Dcmrecv(aet="DCMRECV") as peer:
        frame = probe(peer.setting())
    assert frame.accepted.notna().all()
    accepted = frame[frame.accepted]
    assert set(accepted.sop_class_uid) == {CT_IMAGE_STORAGE}
    assert set(accepted.transfer_syntax) == {EXPLICIT_LE, IMPLICIT_LE}
    assert frame[~frame.accepted].reason.str.contains("reason 1").any()


@pytest.mark.parametrize("kinds", [1, 2, 7, 30])
def test_kinds_out_of_sight_are_come_to(kinds: int) -> None:
    """A hundred instances are looked at before the first association is proposed."""
    sources = [private_instance(index % kinds, index) for index in range(110)] + [ct_instance(0)]
    with Picky(lambda rq: ACCEPT if CT_IMAGE_STORAGE in classes_of(rq) else REJECT) as peer:
        batch = send_batch(peer.setting(), sources)
        assert len(peer.proposals) <= 2 * kinds
    latest = batch.to_frame()
    assert len(latest) == 111
    assert latest.outcome.iloc[-1] == "stored"
    assert set(latest.outcome[:-1]) <= {"rejected", "not_accepted", "stored"}


@pytest.mark.parametrize("numbers", [(1, 1, 2), (1, 1, 3), (1, 1, 7), (1, 2, 2)])
def test_what_no_other_proposal_can_mend_ends_the_batch(numbers: tuple[int, int, int]) -> None:
    sources = [private_instance(index % 5, index) for index in range(110)] + [ct_instance(0)]
    with LocalSCP(faults=[RejectAssociation(*numbers)]) as scp:
        batch = send_batch(scp.setting(), sources)
        assert sum(event.what == "requested" for event in scp.events) == 1
    assert batch.outcomes == {Outcome.REJECTED: 111}
    assert batch.to_frame().detail[1:].str.startswith("not tried again: ").all()


@pytest.mark.parametrize("as_iterator", [False, True])
def test_a_peer_that_rejects_everything_is_not_asked_for_ever(as_iterator: bool) -> None:
    sources = [private_instance(number) for number in range(600)]
    with Picky(lambda rq: REJECT) as peer:
        batch = send_batch(peer.setting(), iter(sources) if as_iterator else sources)
        assert len(peer.proposals) == len(batch.associations) <= MOST_HALVINGS + MOST_REJECTIONS
        assert len(set(peer.proposals)) > 1
    assert batch.outcomes == {Outcome.REJECTED: 600}
    assert len(batch.to_frame()) == 600


def test_kinds_that_come_one_by_one_are_given_up_at_last() -> None:
    rejected = threading.Semaphore(0)

    def one_by_one() -> Iterator[bytes]:
        for number in range(200):
            yield private_instance(number)
            assert rejected.acquire(timeout=10)

    def heed(event: object) -> None:
        if type(event).__name__ == "RowAdded":
            rejected.release()

    with Picky(lambda rq: REJECT) as peer:
        batch = send_batch(peer.setting(), one_by_one(), on_event=heed)
        assert len(peer.proposals) <= MOST_REJECTIONS
    assert batch.outcomes == {Outcome.REJECTED: 200}
    assert batch.to_frame().detail.iloc[-1].startswith("not tried: the peer rejected whatever was proposed")


def test_one_message_says_what_was_proposed() -> None:
    with Picky(lambda rq: REJECT) as peer:
        result = send(peer.setting(), DicomMessage.from_bytes(ct_instance()))
    assert result.outcome is Outcome.REJECTED
    assert "CT Image Storage in Explicit VR Little Endian or Implicit VR Little Endian" in result.detail


def test_only_the_kinds_that_were_proposed_bear_a_rejection() -> None:
    """What is tried again alone has an association of its own, and its rejection is nobody else's."""

    def judge(request: A_ASSOCIATE_RQ) -> bytes | None:
        return REJECT if classes_of(request) == {private_uid(1)} else ACCEPT

    sources = [ct_instance(0), private_instance(1), ct_instance(1)]
    with Picky(judge) as peer:
        batch = send_batch(peer.setting(), sources)
    assert batch.ok


@pytest.mark.parametrize("associations", [1, 3])
def test_what_is_tried_alone_bears_what_becomes_of_its_own_association(associations: int) -> None:
    """Two instances abort their associations at first, and the association for each alone is turned away at first."""
    failing = {private_uid(1), private_uid(2)}
    unaborted, unrejected = set(failing), set(failing)

    def judge(request: A_ASSOCIATE_RQ) -> bytes | None:
        classes = classes_of(request)
        if len(classes) == 1 and classes <= unrejected:
            unrejected.difference_update(classes)
            return BUSY
        return ACCEPT

    def serve(conversation: Conversation) -> None:
        while True:
            received = conversation.read_instance()
            if (uid := str(received.command.AffectedSOPClassUID)) in unaborted:
                unaborted.discard(uid)
                conversation.send(ABORT_PDU)
                return
            conversation.answer(received)

    sources = [private_instance(index if index in (1, 2) else 0, index) for index in range(8)]
    with Picky(judge, serve) as peer:
        batch = send_batch(peer.setting(), sources, associations=associations, pack_pdv=False)
    assert batch.ok
    rows = batch.to_frame().groupby("instance").outcome.apply(list)
    for index in range(8):
        failures = [outcome for outcome in rows[index] if outcome != "stored"]
        assert failures[:1] == (["aborted"] if index in (1, 2) else [])
        if associations == 1:
            assert failures[1:] == (["rejected"] if index in (1, 2) else [])


def test_of_several_that_are_turned_away_together_no_more_than_one_instance_bears_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two workers ask while the first one sends, it is aborted and asks again, and all three are turned away."""
    monkeypatch.setattr(pacing, "FIRST_REFUSAL_SECONDS", 0.01)
    are_asking, answer_together = threading.Semaphore(0), threading.Barrier(3)
    requests, sent = iter(range(100)), iter(range(100))

    def judge(request: A_ASSOCIATE_RQ) -> bytes | None:
        if next(requests) not in (1, 2, 3):
            return ACCEPT
        are_asking.release()
        answer_together.wait(5)
        return BUSY

    def serve(conversation: Conversation) -> None:
        while True:
            received = conversation.read_instance()
            if next(sent) == 0:
                assert are_asking.acquire(timeout=5)
                assert are_asking.acquire(timeout=5)
                conversation.send(ABORT_PDU)
                return
            conversation.answer(received)

    with Picky(judge, serve) as peer:
        batch = send_batch(
            peer.setting(), [ct_instance(index) for index in range(12)], associations=3, pack_pdv=False
        )
    frame = batch.to_frame()
    assert batch.ok
    assert (frame.outcome == "aborted").sum() == 1
    # None does when an association is open again before the last of the three has heard of it.
    assert (frame.outcome == "rejected").sum() <= 1


def test_a_peer_that_releases_between_two_instances_costs_nobody_an_attempt() -> None:
    """PS3.8 section 7.2 lets either side release; the next instance goes over another association."""
    has_released = threading.Semaphore(0)
    associations = iter(range(100))
    replies: list[bytes] = []

    def serve(conversation: Conversation) -> None:
        if next(associations) == 2:
            conversation.serve()
            return
        conversation.answer(conversation.read_instance())
        conversation.send(RELEASE_RQ_PDU)
        has_released.release()
        replies.append(conversation.read_pdu())

    def one_by_one() -> Iterator[bytes]:
        for index in range(3):
            if index:
                assert has_released.acquire(timeout=5)
            yield ct_instance(index)

    with Picky(lambda request: ACCEPT, serve) as peer:
        batch = send_batch(peer.setting(), one_by_one())
    frame = batch.to_frame()
    assert frame.outcome.tolist() == ["stored"] * 3
    assert frame.association.tolist() == [1, 2, 3]
    assert batch.associations.ended.tolist() == [*["released by the peer"] * 2, "released"]
    assert replies == [RELEASE_RP_PDU] * 2


def test_what_comes_due_meanwhile_does_not_bear_the_rejection_of_what_was_asked_for() -> None:
    """The one that waits to be tried alone is due by the time that the association for the others is turned away."""
    requests, sent = iter(range(100)), iter(range(100))

    def judge(request: A_ASSOCIATE_RQ) -> bytes | None:
        if next(requests) != 1:
            return ACCEPT
        threading.Event().wait(10 * pacing.LONGEST_WAIT_SECONDS)  # a slow answer
        return BUSY

    def serve(conversation: Conversation) -> None:
        while True:
            received = conversation.read_instance()
            if next(sent) == 0:
                conversation.send(ABORT_PDU)
                return
            conversation.answer(received)

    with Picky(judge, serve) as peer:
        batch = send_batch(
            peer.setting(), [ct_instance(index) for index in range(4)], retries=1, pack_pdv=False
        )
    frame = batch.to_frame()
    assert frame.groupby("instance").outcome.apply(list).tolist() == [
        ["aborted", "stored"],
        *[["stored"]] * 3,
    ]


# A peer that takes fewer contexts


@pytest.mark.parametrize("most", [2, 3, 16, 50])
@pytest.mark.parametrize(
    "answer", [ABORT_PDU, CLOSE, REJECT, LOCAL_LIMIT], ids=["abort", "close", "reject", "limit"]
)
def test_a_peer_that_takes_fewer_contexts_is_asked_for_fewer(most: int, answer: bytes) -> None:
    sources = [private_instance(number % 40, number) for number in range(80)]
    with Picky(lambda rq: answer if len(rq.presentation_context) > most else ACCEPT) as peer:
        batch = send_batch(peer.setting(), sources, retries=0)
        refused = [count for count in peer.proposals if count > most]
    assert batch.ok
    assert len(batch.to_frame()) == 80
    assert len(peer.stored) == 80
    assert refused == peer.proposals[: len(refused)], "what it accepts is remembered"
    assert len(refused) <= 6
    assert len(batch.associations) == len(peer.proposals)


@pytest.mark.parametrize("associations", [3, "auto"])
def test_several_associations_remember_the_limit_too(associations: Any) -> None:
    sources = [private_instance(number % 40, number) for number in range(80)]
    with Picky(lambda rq: ABORT_PDU if len(rq.presentation_context) > 16 else ACCEPT) as peer:
        batch = send_batch(peer.setting(), sources, associations=associations, retries=0)
        assert sum(count > 16 for count in peer.proposals) <= 5
    assert batch.ok
    assert len(batch.to_frame()) == 80


def test_a_limit_is_found_out_when_more_kinds_come_in_sight() -> None:
    with Picky(lambda rq: REJECT if len(rq.presentation_context) > 16 else ACCEPT) as peer:
        first = threading.Event()

        def slowly() -> Iterator[bytes]:
            yield ct_instance(0)
            assert first.wait(10)
            for number in range(30):
                yield private_instance(number)

        batch = send_batch(
            peer.setting(),
            slowly(),
            retries=0,
            on_event=lambda event: first.set() if type(event).__name__ == "RowAdded" else None,
        )
    assert batch.ok


def test_a_peer_that_takes_few_contexts_and_few_kinds() -> None:
    def judge(request: A_ASSOCIATE_RQ) -> bytes | None:
        takes = private_uid(9) in classes_of(request) and len(request.presentation_context) <= 16
        return ACCEPT if takes else REJECT

    sources = [private_instance(number) for number in range(12)]
    with Picky(judge) as peer:
        batch = send_batch(peer.setting(), sources)
    outcomes = batch.to_frame().outcome
    assert outcomes[9] == "stored"
    assert batch.outcomes[Outcome.STORED] >= 1
    assert len(outcomes) == 12


def test_a_peer_that_aborts_every_association_costs_its_attempts_and_no_more() -> None:
    sources = [private_instance(number) for number in range(4)]
    with Picky(lambda rq: ABORT_PDU) as peer:
        batch = send_batch(peer.setting(), sources, retries=1)
        assert len(peer.proposals) <= 3 * 8
    assert len(batch.to_frame()) == 8
    assert batch.outcomes == {Outcome.ABORTED: 4}


def test_a_probe_asks_for_fewer_too() -> None:
    with Picky(lambda rq: ABORT_PDU if len(rq.presentation_context) > 16 else ACCEPT) as peer:
        frame = probe(peer.setting(), [private_instance(number) for number in range(40)])
        assert sum(count > 16 for count in peer.proposals) <= 5
    assert frame.accepted.all()
    assert len(frame) == 80


def test_a_probe_of_a_peer_that_rejects_everything_knows_nothing() -> None:
    with Picky(lambda rq: REJECT) as peer:
        frame = probe(peer.setting())
        assert len(peer.proposals) <= MOST_HALVINGS + MOST_REJECTIONS
    assert frame.accepted.isna().all()
    assert frame.reason.str.contains("reason 1").all()


# The rules themselves


def rejection(*numbers: int) -> AssociationRejected:
    result, source, reason = numbers
    return AssociationRejected("rejected", result=result, source=source, reason=reason)


@pytest.mark.parametrize(
    ("numbers", "may_be"),
    [
        ((1, 1, 1), True),
        ((1, 2, 1), True),
        ((1, 1, 9), True),
        ((1, 3, 2), True),
        ((2, 3, 2), True),
        ((2, 3, 1), False),
        ((1, 3, 1), False),
        ((2, 1, 1), False),
        ((1, 1, 2), False),
        ((1, 1, 3), False),
        ((1, 1, 7), False),
        ((1, 2, 2), False),
        ((9, 8, 7), False),
    ],
)
def test_which_rejections_another_proposal_may_be_spared(numbers: tuple[int, int, int], may_be: bool) -> None:
    assert rejection(*numbers).may_be_for_contexts is may_be


def test_an_identity_that_is_not_confirmed_is_no_matter_of_contexts() -> None:
    assert not IdentityNotConfirmed("no", result=1, source=1, reason=1).may_be_for_contexts
    assert not AssociationAborted("later").may_be_for_contexts


class Judged:
    """A batch in a few lines: what is left is proposed until nothing is, to a peer that is a function."""

    def __init__(self, judge: Callable[[Sequence[Kind], int], WireError | None]) -> None:
        self.proposals = Proposals()
        self.accepted: set[Kind] = set()
        self.requests = 0
        self._judge = judge

    def send(self, kinds: Collection[Kind]) -> None:
        while left := [
            kind for kind in kinds if kind not in self.proposals.rejected and kind not in self.accepted
        ]:
            contexts, covered = propose(left, self.proposals.most)
            assert 0 < len(contexts) <= MAX_CONTEXTS
            self.requests += 1
            error = self._judge(list(covered), len(contexts))
            if error is None:
                self.accepted |= set(covered)
                self.proposals.were_accepted(len(contexts), covered)
            elif not self.proposals.are_halved(error, len(contexts), covered):
                self.proposals.were_rejected(covered, str(error))


KINDS = [(private_uid(number), EXPLICIT_LE) for number in range(200)]


@given(st.sets(st.integers(0, 7)), st.integers(2, 128))
def test_whatever_a_few_kinds_are_limited_by_all_that_is_taken_is_found(taken: set[int], most: int) -> None:
    """Of up to eight kinds: a peer that rejects without any that it takes, and above a number of contexts."""

    def judge(kinds: Sequence[Kind], count: int) -> WireError | None:
        takes = any(KINDS.index(kind) in taken for kind in kinds) and count <= most
        return None if takes else rejection(1, 1, 1)

    batch = Judged(judge)
    batch.send(KINDS[:8])
    assert batch.accepted >= {KINDS[number] for number in taken}
    assert batch.requests <= 2 * 8 + 4


@given(st.integers(1, 200), st.integers(2, 128), st.sampled_from(["reject", "abort"]))
def test_a_limit_alone_never_costs_a_kind(count: int, most: int, how: str) -> None:
    error: WireError = rejection(1, 1, 1)
    if how == "abort":
        error = AssociationAborted("aborted")
        error.ended_request = True
    batch = Judged(lambda kinds, contexts: error if contexts > most else None)
    batch.send(KINDS[:count])
    assert not batch.proposals.rejected
    assert batch.requests <= 6 + -(-count // max(1, most // 4))


@given(st.integers(1, 200))
def test_rejections_without_end_are_bounded(count: int) -> None:
    batch = Judged(lambda kinds, contexts: rejection(1, 1, 1))
    batch.send(KINDS[:count])
    assert len(batch.proposals.rejected) == count
    assert batch.requests <= 2 * MOST_HALVINGS + 8
    assert not batch.proposals.are_futile


def test_as_many_contexts_as_were_accepted_once_are_not_halved() -> None:
    proposals = Proposals()
    proposals.were_accepted(10, KINDS[:5])
    assert not proposals.are_halved(rejection(1, 1, 1), 10, KINDS[5:10])
    assert proposals.most == MAX_CONTEXTS
    assert proposals.are_halved(rejection(1, 1, 1), 12, KINDS[:6])
    assert proposals.most == 6
    assert not proposals.are_halved(rejection(1, 1, 7), 12, KINDS[:6])


# Contexts that are accepted in no way to use them


def answering(*replies: tuple[int, int, str]) -> Callable[[Conversation], None]:
    """A peer that answers its first association request with these contexts."""

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(accept_pdu(replies))
        conversation.serve()

    return script


def setting_of(peer: BarePeer, **changes: Any) -> DicomSenderSetting:
    return DicomSenderSetting(
        remote_host=HOST, remote_port=peer.port, remote_aet="PEER", **{"timeout_seconds": 5, **changes}
    )


@pytest.mark.parametrize(
    ("syntax", "says"),
    [
        (JPEG_BASELINE, "accepted in JPEG Baseline (Process 1), which was not offered"),
        ("", "accepted without a transfer syntax"),
    ],
)
def test_a_context_accepted_in_no_way_to_use_it_costs_itself_alone(syntax: str, says: str) -> None:
    # Contexts 1 and 3 are CT and the private class as stored, 5 and 7 both uncompressed.
    replies = [(1, 0, EXPLICIT_LE), (3, 0, syntax), (5, 4, ""), (7, 4, "")]
    with BarePeer(answering(*replies)) as peer:
        batch = send_batch(setting_of(peer), [ct_instance(0), private_instance(1), ct_instance(1)])
    frame = batch.to_frame()
    assert frame.outcome.tolist() == ["stored", "not_accepted", "stored"]
    assert f"presentation context 3, {private_uid(1)} in Explicit VR Little Endian" in frame.detail[1]
    assert says in frame.detail[1]
    assert "report it to the maker of the peer" in frame.detail[1]
    assert batch.associations.contexts_accepted.tolist() == [1]


def test_where_another_context_carries_it_it_is_sent_in_that() -> None:
    with BarePeer(answering((1, 0, JPEG_BASELINE), (3, 0, EXPLICIT_LE))) as peer:
        result = send(setting_of(peer), DicomMessage.from_bytes(ct_instance()))
        assert peer.instances[0].context_ids == {3}
    assert result.outcome is Outcome.STORED


def test_a_probe_reports_such_a_context_as_what_it_is() -> None:
    def judge(request: A_ASSOCIATE_RQ) -> bytes | None:
        return accept_pdu(
            [(one.context_id or 0, 0, JPEG_BASELINE) for one in request.presentation_context]
        ) + bytes.fromhex("06000000000400000000")

    with Picky(judge) as peer:
        frame = probe(peer.setting(), ct_instance())
    assert frame.accepted.tolist() == [False, False]
    assert set(frame.reason) == {"accepted in JPEG Baseline (Process 1), which was not offered"}


# Responses


def element(number: int, value: bytes) -> bytes:
    return (
        b"\0\0" + number.to_bytes(2, "little") + (len(value) + len(value) % 2).to_bytes(4, "little") + value
    ) + b"\0" * (len(value) % 2)


def answered(
    *elements: tuple[int, bytes], status: int = 0, then: bytes = b"", data_set_type: int = 0x0101
) -> Any:
    """The rows of a batch of one at a peer whose response has these elements too, and what follows it."""

    def script(conversation: Conversation) -> None:
        conversation.accept()
        received = conversation.read_instance()
        command = response_command(received.message_id, status, data_set_type=data_set_type)
        command += b"".join(element(*one) for one in elements)
        conversation.send(data_pdu((1, COMMAND | LAST, command)) + then)
        conversation.serve()

    with BarePeer(script) as peer:
        return send_batch(setting_of(peer, timeout_seconds=1), ct_instance()).to_frame()


def test_a_response_for_another_instance_says_so_and_its_status_counts() -> None:
    frame = answered((0x1000, b"1.2.3.4"))
    assert frame.outcome.tolist() == ["stored"]
    assert "names another SOP Instance UID 1.2.3.4: look there" in frame.detail[0]
    frame = answered((0x0002, b"1.2.3"), (0x1000, b"Doe^Jane"), status=0xC000)
    assert frame.outcome.tolist() == ["failed"]
    assert "another SOP Class UID 1.2.3 and another SOP Instance UID that is no UID" in frame.detail[0]
    assert "Doe" not in frame.detail[0]


@pytest.mark.parametrize("padding", [b"", b"\0", b" "])
def test_a_response_for_the_instance_says_nothing_of_it(padding: bytes) -> None:
    frame = answered((0x0002, CT_IMAGE_STORAGE.encode()), (0x1000, instance_uid(0).encode() + padding))
    assert frame.detail.tolist() == ["the peer stored it"]


def test_a_data_set_that_a_response_announces_is_waited_for_and_passed_over() -> None:
    data = data_pdu((1, 0, b"\x08\0\x05\0")) + data_pdu((1, LAST, b"\0\0\0\0"))
    frame = answered(then=data, data_set_type=0)
    assert frame.outcome.tolist() == ["stored"]
    assert frame.detail.tolist() == ["the peer stored it"]


@pytest.mark.parametrize(
    "then", [b"", ABORT_PDU, data_pdu((1, 0, b"\x08\0\x05\0"))], ids=["none", "abort", "part"]
)
def test_a_data_set_that_never_comes_is_a_malformed_answer_and_is_not_tried_again(then: bytes) -> None:
    frame = answered(then=then, data_set_type=0x0102)
    assert frame.outcome.tolist() == ["aborted"]
    assert "answered with status 0x0000 and announced a data set" in frame.detail[0]
    assert "it may have stored the instance" in frame.detail[0]


@pytest.mark.parametrize("answers", [1, 3])
def test_a_response_to_another_message_is_none(answers: int) -> None:
    """The second instance is message 2; both a lower and a higher number belong to something else."""
    uids: list[str] = []

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.answer(conversation.read_instance())
        second = conversation.read_instance()
        assert second.message_id == 2
        conversation.send(data_pdu((1, COMMAND | LAST, response_command(answers))))
        uids.append(second.command.AffectedSOPInstanceUID)
        conversation.read_to_the_end()

    with BarePeer(script) as peer:
        batch = send_batch(setting_of(peer), [ct_instance(0), ct_instance(1)], retries=0)
    frame = batch.to_frame()
    assert frame.outcome.tolist() == ["stored", "aborted"]
    assert f"answered message {answers}, we asked as message 2" in frame.detail[1]
    assert uids == [instance_uid(1)]


def test_a_response_on_another_accepted_context_is_none() -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        received = conversation.read_instance()
        assert received.context_ids == {1}
        conversation.send(data_pdu((3, COMMAND | LAST, response_command(received.message_id))))
        conversation.read_to_the_end()

    with BarePeer(script) as peer:
        batch = send_batch(setting_of(peer), ct_instance(0), retries=0, pack_pdv=False)
    assert batch.to_frame().outcome.tolist() == ["aborted"]
    assert "presentation context 3, we asked on 1" in batch.to_frame().detail[0]
    assert data_set_of(ct_instance(0)) == peer.instances[0].data_set
