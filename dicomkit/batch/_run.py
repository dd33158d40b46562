"""A batch while it runs: its workers, and what they decide together.

`Run.run` conducts the batch from the first source to the last row. What its workers ask of it is in
`dicomkit.batch._worker.Run`; whether an instance is tried again is decided in one place, `Run._record`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from dicomkit._support.descriptors import NO_DESCRIPTOR, associations_that_fit, has_room, is_shortage, lowered
from dicomkit._support.frozen import Frozen
from dicomkit.batch import _pacing as pace
from dicomkit.batch._intake import Intake
from dicomkit.batch._pacing import Pacing, backoff_seconds
from dicomkit.batch._queue import NoTask, Prefetch, Queue, Task, Untried
from dicomkit.batch._sink import Sink
from dicomkit.batch._worker import LOST, Carrier, Request, Worker
from dicomkit.dictionary.statuses import PROCESSING_FAILURE, RESOURCE_LIMITATION
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    Interrupted,
    PeerTimedOut,
    WireError,
)
from dicomkit.events import Scanned, Sending, Waiting
from dicomkit.results import Outcome, SendResult
from dicomkit.sending import Attempt, Kind, Proposals, RowMaker, new_batch_id, propose, why_not
from dicomkit.wire.association import Association
from dicomkit.wire.socket import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicomkit.batch._control import BatchControl
    from dicomkit.conversion import ConversionsAhead
    from dicomkit.settings import DicomSenderSetting

# A peer's own idle timeout is often a minute or less; well before that a quiet association is given back.
IDLE_SECONDS = 10.0
# How long to wait for a file descriptor before trying again.
SHORTAGE_SECONDS = 0.1
# The shortest time between two `Scanned` events.
SCANNED_SECONDS = 0.1

_RETRIED = {Outcome.CONNECTION_FAILED, Outcome.TIMED_OUT, Outcome.ABORTED, Outcome.REFUSED}
# PS3.7 C.5.1 and C.5: what may be gone the next time.
_RETRIED_ONCE = {PROCESSING_FAILURE, RESOURCE_LIMITATION}
UNPACKED = "sent with command and data in separate PDUs, since the peer aborted upon them in one"


class Policy(Frozen, kw_only=True):
    """How to send; the parameters of `send_batch`, which describes them."""

    associations: int  # with `is_tuned`, how many at most
    is_tuned: bool
    retries: int
    give_up_after: float | None
    transcode: bool
    max_decoded_bytes: int
    packs: bool
    max_rate: float | None
    instances_per_association: int | None
    resume: bool


class Run:
    """A batch while it runs."""

    def __init__(
        self,
        setting: DicomSenderSetting,
        sources: object,
        policy: Policy,
        sink: Sink,
        control: BatchControl,
        peer: Peer,
    ) -> None:
        self.row = RowMaker(new_batch_id(), peer)
        self._setting = setting
        self._policy = policy
        self._sink = sink
        self._control = control
        self._packs = policy.packs
        # What the instances become that are not tried any more; with it, nothing more is.
        self._rest: tuple[Outcome, str] | None = why_not(setting)
        skips = policy.resume and self._rest is None
        resume = sink.resume(self.row.peer, self.row.batch_id, skips=skips)
        most, limit = associations_that_fit(policy.associations)
        self._lowered = lowered(policy.associations, most, limit)
        self._short_of = ""
        prefetch = Prefetch()
        self.intake = Intake(sources, self.row, prefetch, resume)
        self._queue = Queue(
            self.intake, most, prefetch, max_rate=policy.max_rate, is_paused=lambda: control.is_paused
        )
        # Given by the caller, it is how long any peer is waited for, also one that was never there.
        self._awaits_any_peer = policy.give_up_after is not None
        self._give_up_after = pace.GIVE_UP_SECONDS if policy.give_up_after is None else policy.give_up_after
        self._pacing = Pacing(most, self._give_up_after, is_tuned=policy.is_tuned)
        self._proposals = Proposals()
        # Guards what follows. Who holds it may take that of the queue, and not the other way round.
        self._lock = Lock()
        self._workers: dict[int, Worker] = {}
        self._threads: list[Thread] = []
        self._requests = 0
        self._open = 0
        self._kinds: dict[Kind, None] = {}
        self._conversions: ConversionsAhead | None = None
        self._crash: BaseException | None = None
        self._scanned_at = 0.0

    # ------------------------------------------------------------ from begin to end

    def run(self) -> None:
        """Send everything; returns when the last row is recorded."""
        over, claim = Flag(), Lock()
        conductors: list[Thread] = []

        def conduct() -> None:
            if claim.acquire(blocking=False):
                self._conduct(over)

        # Ctrl-C is raised in this thread, which therefore holds no lock and does nothing but wait. It may be
        # raised within `start`, and who knows whether that thread has begun then: another is started, and the
        # first conducts.
        timeout = 0.2 if os.name == "nt" else None  # Windows does not interrupt a wait without one
        is_begun, pressed = False, 0
        while not over.is_set() or any(thread.is_alive() for thread in conductors):
            try:
                if not is_begun:
                    conductors.append(Thread(target=conduct, name="dicomkit batch", daemon=True))
                    conductors[-1].start()
                    is_begun = True
                while pressed:
                    pressed -= 1
                    Thread(target=self._control.cancel, name="dicomkit cancel", daemon=True).start()
                over.wait(timeout)
                for thread in conductors:
                    if over.is_set() and thread.is_alive():
                        thread.join()
            except KeyboardInterrupt:
                pressed += 1
        if self._crash is not None:
            raise self._crash

    def _conduct(self, over: Flag) -> None:
        """The whole batch, from the first source to the last row."""
        try:
            try:
                self._sink.begin(self.row.batch_id, self._setting)
                self._control._listen(self._obey)
                self._sink.on_stop = self._control.cancel
                if self._rest is None:
                    self._run_workers()
                self._finish()
            finally:
                self.intake.close()
                if self._conversions is not None:
                    self._conversions.close()
                self._sink.close(interrupted=self._control.cancels > 0 or self._crash is not None)
        except BaseException as error:  # noqa: BLE001 - a fault of ours: raised by `run`
            self._crash = self._crash or error
        finally:
            over.set()

    def _run_workers(self) -> None:
        started = monotonic()
        self._queue.workers = self._pacing.target
        while not self._start_worker(0) and not self._queue.is_stopped:
            if monotonic() - started > self._give_up_after:
                self._give_up(Outcome.CONNECTION_FAILED, f"not tried: {self._short_of}")
            Flag().wait(SHORTAGE_SECONDS)
        self._adjust_workers()
        for thread in self._threads:  # a tuned batch adds to them meanwhile
            while thread.is_alive():
                thread.join(self._sink.keep_up())
                self._look_at_ledger()

    def _look_at_ledger(self) -> None:
        """Nothing is sent that could not be recorded."""
        trouble = self._sink.ledger_trouble
        if trouble and not self._queue.is_stopped:
            self._give_up(Outcome.CANCELLED, f"not tried, since it could not be recorded: {trouble}")
            self._interrupt_needless()

    def _obey(self) -> None:
        """Do what the control says now; called in the thread that says it."""
        cancels = self._control.cancels
        if self._control.is_paused:
            self._pacing.paused()
        if cancels:
            self._queue.stop()
            self.intake.close()
            self._interrupt(lambda worker: cancels > 1 or worker.is_opening)
        self._queue.prefetch.wake()

    def _finish(self) -> None:
        """Rows for what was never tried."""
        outcome, detail = self._rest or (
            Outcome.CANCELLED,
            "cancelled before it was tried; send it again when you are ready",
        )
        for item in self._queue.rest(lambda: self._control.cancels > 2):
            if isinstance(item, Task):
                row = self.row.unsent(item.index, item.attempt_number, item.instance, outcome, detail)
                self._sink.add(row, is_final=True)
            else:
                self._record_untried(item)
        self._tell_scanned(at_end=True)

    @property
    def note(self) -> str:
        """What should be known of the batch beside its rows."""
        notes = []
        if not sum(self._sink.finals.values()):
            count = len(self.intake.passed_over)
            files = f"{count} file{'s were' if count != 1 else ' was'} passed over, none is DICOM"
            notes.append(f"nothing to send: {files if count else 'the sources hold no file'}")
        if self._control.cancels and self.intake.is_cut_short:
            notes.append("what the iterator had not given yet was not sent, and has no row")
        if self._lowered:
            notes.append(self._lowered)
        if self._short_of:
            notes.append(
                f"for a while there were fewer associations than there might have been: {self._short_of}"
            )
        notes += filter(None, (self._sink.stopped_by, self._sink.trouble))
        return "; ".join(notes)

    # ------------------------------------------------------------ workers

    def _start_worker(self, number: int) -> bool:
        """Start the worker of that number; False when there are no descriptors for it."""
        worker = None
        try:
            worker = Worker(number, self, self._queue, self.row, transcode=self._policy.transcode)
        except OSError as error:
            if not is_shortage(error):
                raise
        if worker is not None and number and not has_room():
            worker.interrupt.close()
            worker = None
        if worker is None:
            self._short_of = self._short_of or NO_DESCRIPTOR
            return False
        name = f"dicomkit association {number + 1}"
        thread = Thread(target=self._work, args=(worker,), name=name, daemon=True)
        self._workers[number] = worker
        self._threads.append(thread)
        self._pacing.joined(number)
        thread.start()
        return True

    def _work(self, worker: Worker) -> None:
        try:
            worker.work()
        except BaseException as error:  # noqa: BLE001 - a fault of ours: raised by `run`, once all have ended
            self._crash = error
            self._queue.stop()

    def _adjust_workers(self) -> None:
        """Have as many workers as there should be."""
        with self._lock:
            self._queue.workers = self._pacing.target
            for number in range(self._pacing.most):
                if not self._pacing.lacks_workers or self._queue.is_over:
                    break
                if number not in self._workers and not self._start_worker(number):
                    self._pacing.cannot_start_more()
                    self._queue.workers = self._pacing.target
                    break
        self._interrupt(lambda worker: worker.is_opening and self._pacing.is_surplus(worker.number))
        self._queue.share()

    def _interrupt(self, whom: Callable[[Worker], bool]) -> None:
        with self._lock:
            for worker in self._workers.values():
                if whom(worker):
                    worker.interrupt.set()

    def _interrupt_needless(self) -> None:
        """Once nothing is left to be sent over the associations that are still being opened."""
        if self._queue.is_over:
            self._interrupt(lambda worker: worker.is_opening)

    def _spares(self, worker: Worker) -> bool:
        """Whether others go on when this worker ends for want of descriptors; else it waits for some."""
        self._short_of, worker.lacks = worker.lacks, ""
        if self._pacing.may_leave(worker.number):
            self._are_enough(may_pass=True)
            return True
        if self._pacing.got_stuck().is_hopeless:
            self._give_up(Outcome.CONNECTION_FAILED, f"not tried: {self._short_of}")
        self._queue.hold(SHORTAGE_SECONDS)
        return False

    def _are_enough(self, *, may_pass: bool) -> None:
        """There can be no more associations than are open, for now or for good."""
        if self._pacing.are_enough(may_pass=may_pass):
            self._adjust_workers()

    def wait(self, worker: Worker) -> Task | NoTask:
        # Each time round something is recorded, or found out of the worker; a task or an end of some kind is
        # returned.
        pacing, number = self._pacing, worker.number
        while worker.is_needed:
            if worker.lacks and self._spares(worker):
                break
            if pacing.is_surplus(number):
                return NoTask.SURPLUS
            seconds = pace.FIRST_REFUSAL_SECONDS if pacing.was_refused(number) else None
            item = self._queue.wait(
                number,
                IDLE_SECONDS if worker.has_association else seconds,
                may_open=lambda: worker.has_association or pacing.may_ask(number),
            )
            if isinstance(item, Untried):
                self._record_untried(item)
            elif isinstance(item, Task):
                if pacing.is_surplus(number):
                    return NoTask.SURPLUS
                if not self._is_turned_down(worker, item):
                    return item
                self._end_turn(worker)
            elif item is NoTask.SHORT:
                worker.lacks = f"a file was not looked at: {NO_DESCRIPTOR}"
            elif item is NoTask.SCANNED:
                self._tell_scanned()
            elif item is NoTask.END or worker.has_association:
                return item
        return NoTask.END

    def _is_turned_down(self, worker: Worker, coming: Task) -> bool:
        """Whether what comes next is of a kind that the peer rejected; then it is recorded."""
        rejected = self._proposals.rejected
        if coming.kind not in rejected:
            return False
        task = self._take(worker, lambda task: task.kind in rejected)
        if task is not None:
            detail = "; ".join(filter(None, (rejected[task.kind], task.note)))
            row = self.row.unsent(task.index, task.attempt_number, task.instance, Outcome.REJECTED, detail)
            self._record(task, row, may_pass=False)
        return True

    def ended(self, worker: Worker) -> None:
        self._queue.leave(worker.number)
        with self._lock:
            worker.interrupt.close()
            del self._workers[worker.number]
            self._pacing.left(worker.number)
        self._end_turn(worker)
        self._interrupt_needless()

    def _end_turn(self, worker: Worker) -> None:
        """It does not ask for an association any more; others may have waited for that."""
        self._pacing.has_asked(worker.number)
        self._queue.prefetch.wake()

    # ------------------------------------------------------------ associations

    def open(self, worker: Worker) -> Carrier | None:
        try:
            task = self._queue.peek(worker.number)
            return None if task is None else self._open_for(worker, task)
        finally:
            self._end_turn(worker)

    def _open_for(self, worker: Worker, task: Task) -> Carrier | None:
        kinds = [task.kind] if task.is_alone else self._kinds_to_propose(worker)
        contexts, covered = propose(kinds, self._proposals.most)
        self._queue.is_crowded = not task.is_alone and len(covered) < len(kinds)
        worker.is_opening = True
        try:
            if self._queue.is_over:
                worker.is_needed = False
                return None
            with self._lock:
                self._requests += 1
                self._open += 1
                number = self._requests
            request = Request(
                number=number,
                task=task,
                kinds=covered,
                proposed=len(contexts),
                started_at=datetime.now(UTC),
                start=perf_counter(),
            )
            association = Association.open(
                self.row.peer, contexts, interrupt=worker.interrupt, packs=self._packs
            )
        except WireError as error:
            self._was_not_opened(worker, request, error)
            return None
        finally:
            with self._lock:  # from here on nobody interrupts it for being needless
                worker.is_opening = False
        self._sink.opened(number, association)
        usable = (kind for kind in covered if association.accepted_syntaxes(kind[0]))
        self._proposals.were_accepted(len(contexts), usable)
        self._pacing.opened(worker.number)
        # An interrupt may have come too late to keep it from being opened.
        worker.is_needed = not worker.interrupt.is_set
        return Carrier(association, request, self._policy.instances_per_association)

    def _kinds_to_propose(self, worker: Worker) -> list[Kind]:
        """The kinds in sight, and then those met before, so that a mixture settles on one association.

        Without those that the peer rejected.
        """
        first = self._queue.kinds_in_sight(worker.number)
        rejected = self._proposals.rejected
        with self._lock:
            self._kinds.update(dict.fromkeys(first))
            return [kind for kind in dict.fromkeys([*first, *self._kinds]) if kind not in rejected]

    def _was_not_opened(self, worker: Worker, request: Request, error: WireError) -> None:
        """Find out what it says of the peer that an association did not come about, and who bears it."""
        with self._lock:
            self._open -= 1
            others = self._open
        if isinstance(error, ConnectionFailed) and error.is_shortage:
            worker.lacks = str(error)
            return
        if isinstance(error, AssociationRejected | AssociationAborted):
            self._pacing.was_there = True
        self._sink.closed(request, self.row.explained(error))
        if isinstance(error, Interrupted):
            worker.is_needed = False
        elif self._proposals.are_halved(error, request.proposed, request.kinds):
            return
        # It serves those we have, and no more; of several that fail at the same time, the last is charged.
        elif self._pacing.has_associations or (
            others and isinstance(error, PeerTimedOut | AssociationRejected)
        ):
            self._was_refused(worker, error)
        else:
            self._charge(worker, request, error)

    def _was_refused(self, worker: Worker, error: WireError) -> None:
        """The peer serves others and not this worker, which asks again later, or is not needed any more."""
        is_final = isinstance(error, AssociationRejected | ConnectionFailed) and not error.may_pass
        # A peer that leaves one unanswered mostly serves one at a time, and would leave the next one so as
        # well.
        self._are_enough(may_pass=not is_final and not isinstance(error, PeerTimedOut))
        if self._pacing.is_surplus(worker.number) or is_final:
            worker.is_needed = False
            return
        self._pacing.refused(worker.number)
        self._queue.leave(worker.number)

    def _charge(self, worker: Worker, request: Request, error: WireError) -> None:
        """The next instance of those that the association was asked for bears the attempt.

        That is another than at first when another worker took that one meanwhile.

        When the address is a wrong one, its tries decide for all: the queue holds until the next of them. Nobody
        else asks for an association meanwhile, since none is open and this worker has the turn.
        """
        wanted, kinds = request.task, request.kinds
        task = self._take(
            worker, lambda task: task is wanted if wanted.is_alone or task.is_alone else task.kind in kinds
        )
        if task is None:
            return
        row = self.row.failed_to_open(
            task.index,
            task.attempt_number,
            task.instance,
            error,
            request.started_at,
            1e3 * (perf_counter() - request.start),
            request.number,
            task.remarks,
        )
        may_pass = error.may_pass if isinstance(error, AssociationRejected | ConnectionFailed) else None
        is_nowhere = (
            isinstance(error, ConnectionFailed)
            and error.is_definite
            and not (self._pacing.was_there or self._awaits_any_peer)
        )
        if may_pass is not False:
            self._proposals.were_in_vain()
            if not is_nowhere:
                self._got_stuck(row, error, request.start)
        elif isinstance(error, AssociationRejected) and error.may_be_for_contexts:
            # It would have none of these kinds; others may be to its liking.
            self._proposals.were_rejected(kinds, f"not tried again: {self.row.explained(error)}")
            if self._proposals.are_futile:
                self._give_up(
                    Outcome.REJECTED,
                    "not tried: the peer rejected whatever was proposed, and nothing was accepted; at last: "
                    f"{self.row.explained(error)}",
                )
        else:
            self._give_up(row.outcome, f"not tried again: {self.row.explained(error)}")
        next_try = self._record(task, row, may_pass=may_pass)
        if is_nowhere and next_try is not None:
            self._got_stuck(row, error, request.start, at_least=next_try)
        elif is_nowhere:
            waits = "with give_up_after (--give-up-after) we wait for a peer that is not there yet"
            self._give_up(row.outcome, f"not tried: {self.row.explained(error)}; {waits}")

    def closed(self, worker: Worker, carrier: Carrier, ended: str) -> None:
        self._pacing.closed(worker.number)
        if why := carrier.association.end():
            ended = f"not released: {why}"
        with self._lock:
            self._open -= 1
        self._sink.closed(carrier.request, ended, carrier)

    # ------------------------------------------------------------ tasks and rows

    def take(self, worker: Worker, fits: Callable[[Task], bool]) -> Task | None:
        return None if self._pacing.is_surplus(worker.number) else self._take(worker, fits)

    def _take(self, worker: Worker, fits: Callable[[Task], bool]) -> Task | None:
        while isinstance(item := self._queue.take(worker.number, fits), Untried):
            self._record_untried(item)
        return item

    def look_again(self, task: Task) -> None:
        self._queue.look_again(task, self.intake.look_again)

    def conversions(self) -> ConversionsAhead:
        with self._lock:
            if self._conversions is None:
                from dicomkit.conversion import ConversionsAhead

                self._conversions = ConversionsAhead(
                    self._policy.associations, self._policy.max_decoded_bytes
                )
            return self._conversions

    def sending(self, task: Task, carrier: Carrier) -> None:
        if self._sink.has_listener:
            self._sink.tell(Sending(task.index, task.attempt_number, task.instance.source, carrier.number))

    def settle(self, task: Task, row: SendResult, attempt: Attempt, *, is_first: bool = False) -> None:
        if row.status is not None and self._pacing.got_through():
            self._adjust_workers()
        if row.outcome not in LOST:
            self._record(task, row)
            return
        unpack = is_first and self._packs and row.outcome is Outcome.ABORTED and attempt.may_pass is not False
        if unpack:
            self._packs = False
            task.unpacked = UNPACKED
        else:
            assert isinstance(attempt.error, WireError), "which makes an attempt one of the lost"
            self._got_stuck(row, attempt.error, attempt.start)
        task.is_alone = True
        self._record(task, row, may_pass=attempt.may_pass, is_unpacked=unpack)

    def _record(
        self, task: Task, row: SendResult, *, may_pass: bool | None = None, is_unpacked: bool = False
    ) -> float | None:
        """Record an attempt, and decide whether there will be another; to try it unpacked there always is.

        Returns in how many seconds there will be, None for not at all.
        `may_pass` says whether another may end otherwise, where that is known; else the outcome tells.
        """
        limit = 0
        if row.outcome in _RETRIED if may_pass is None else may_pass:
            limit = self._policy.retries
        elif row.status in _RETRIED_ONCE:
            limit = min(self._policy.retries, 1)
        if is_unpacked:
            limit = max(limit, 1)
        again = task.attempt_number <= limit
        self._sink.add(row, is_final=not again, fingerprint=task.fingerprint)
        self._look_at_ledger()
        seconds = None
        if not again:
            self._queue.done(task)
        else:
            seconds = 0.0 if is_unpacked else backoff_seconds(task.attempt_number - 1)
            task.attempt_number += 1
            self._queue.try_again(task, seconds)
        self._tell_scanned()
        return seconds

    def _record_untried(self, item: Untried | None) -> None:
        """Record what the queue handed out beside tasks."""
        if item is not None:
            is_held = item.row.outcome is Outcome.SKIPPED
            self._sink.add(item.row, is_final=True, fingerprint=item.fingerprint, is_held=is_held)
        self._tell_scanned()

    def _tell_scanned(self, *, at_end: bool = False) -> None:
        if not self._sink.has_listener:
            return
        now = monotonic()
        if at_end or now - self._scanned_at >= SCANNED_SECONDS:
            self._scanned_at = now
            self._sink.tell(Scanned(self.intake.found, len(self.intake.passed_over), at_end))

    def _got_stuck(self, row: SendResult, error: WireError, since: float, at_least: float = 0.0) -> None:
        """Nothing came back: leave the peer alone for a while, or give up."""
        advice = self._pacing.got_stuck(since)
        if advice.is_hopeless:
            self._give_up(
                row.outcome,
                f"not tried: nothing got through to {self.row.peer} for {self._give_up_after:g} s; "
                f"the last attempt ended so: {row.detail}",
            )
        elif seconds := max(advice.pause_seconds, at_least):
            self._queue.hold(seconds)
            self._sink.tell(Waiting(seconds, *self.row.cause_and_remedy(error)))

    def _give_up(self, outcome: Outcome, detail: str) -> None:
        """The rest takes this outcome, untried."""
        with self._lock:
            self._rest = self._rest or (outcome, detail)
        self._queue.stop()
