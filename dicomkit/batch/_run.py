"""A batch while it runs: workers that send, and what they decide together.

Each worker has a thread and at most one association. It asks the queue what comes next, sends it, and while the peer
is at work on that makes the row of the one before and has the next one ready. Whether an instance is tried again is
decided in one place, `Run.settle`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Protocol

from dicomkit._support.descriptors import NO_DESCRIPTOR, associations_that_fit, has_room, is_shortage, lowered
from dicomkit._support.frozen import Frozen
from dicomkit.batch import _pacing as pacing
from dicomkit.batch._intake import Intake
from dicomkit.batch._pacing import Pacing, backoff_seconds
from dicomkit.batch._queue import NoTask, Prefetch, Queue, Task, Untried
from dicomkit.batch._sink import Record
from dicomkit.dictionary.statuses import PROCESSING_FAILURE, RESOURCE_LIMITATION
from dicomkit.errors import AssociationRejected, ConnectionFailed, Interrupted, PeerTimedOut, WireError
from dicomkit.events import Scanned, Sending, Waiting
from dicomkit.results import Outcome, SendResult
from dicomkit.sending import (
    Attempt,
    Kind,
    Proposals,
    RowMaker,
    conversion_target,
    new_batch_id,
    propose,
    why_not,
)
from dicomkit.sources import SourceChanged
from dicomkit.wire.association import Association
from dicomkit.wire.socket import Interrupt, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dicomkit.conversion import ConversionsAhead, Converted
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.sources import Instance

# A peer's own idle timeout is often a minute or less; well before that a quiet association is given back.
IDLE_SECONDS = 10.0
# How long to wait for a file descriptor before trying again.
SHORTAGE_SECONDS = 0.1
# Told of scanning no more often than this.
SCANNED_SECONDS = 0.1

_RETRIED = {Outcome.CONNECTION_FAILED, Outcome.TIMED_OUT, Outcome.ABORTED, Outcome.REFUSED}
_RETRIED_ONCE = {
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
}  # PS3.7 C.5.1 and C.5: what may be gone the next time
UNPACKED = "sent with command and data in separate PDUs, since the peer aborted upon them in one"


class Control(Protocol):
    """What a run needs to know of the `BatchControl` that it obeys."""

    @property
    def is_paused(self) -> bool: ...

    @property
    def cancels(self) -> int: ...

    def cancel(self) -> None: ...

    def listen(self, listener: Callable[[], None]) -> None: ...


class Policy(Frozen, kw_only=True):
    """How to send; the parameters of `send_batch`, which describes them.

    Attributes
    ----------
    associations : int
        How many; with `is_tuned`, how many at most.
    """

    associations: int
    is_tuned: bool
    retries: int
    give_up_after: float
    transcode: bool
    max_decoded_bytes: int
    packs: bool
    max_rate: float | None
    instances_per_association: int | None
    resume: bool


class Run:
    """A batch while it runs: the workers, and what they decide together."""

    def __init__(
        self,
        setting: DicomSenderSetting,
        sources: object,
        policy: Policy,
        record: Record,
        control: Control,
        peer: Peer,
    ) -> None:
        self.policy = policy
        self.record = record
        self.control = control
        self.packs = policy.packs
        self.row = RowMaker(new_batch_id(), peer)
        self._setting = setting
        self._refusal = why_not(setting)
        skips = policy.resume and self._refusal is None
        resume = record.resume(self.row.peer, self.row.batch_id, skips=skips)
        prefetch = Prefetch()
        self.intake = Intake(sources, self.row, prefetch, resume)
        self._most, limit = associations_that_fit(policy.associations)
        self._lowered = lowered(policy.associations, self._most, limit)
        self._short_of = ""
        self.queue = Queue(
            self.intake, self._most, prefetch, max_rate=policy.max_rate, is_paused=lambda: control.is_paused
        )
        self.proposals = Proposals()
        self.pacing = Pacing(self._most, policy.give_up_after, is_tuned=policy.is_tuned)
        self.workers: list[_Worker] = []
        self._threads: list[Thread] = []
        self._lock = Lock()
        self._opened = 0
        self._open = 0
        self._rest: tuple[Outcome, str] | None = self._refusal
        self._crash: BaseException | None = None
        self._told_at = 0.0
        self._kinds: dict[Kind, None] = {}
        self._conversions: ConversionsAhead | None = None

    def run(self) -> None:
        """Send everything; returns when the last row is recorded."""
        over, claim = Flag(), Lock()
        conductors: list[Thread] = []

        def conduct() -> None:
            if claim.acquire(blocking=False):
                self._conduct(over)

        # Ctrl-C is raised in this thread, which therefore holds no lock and does nothing but wait. It may be raised
        # within `start`, and who knows whether that thread has begun then: another is started, and the first conducts.
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
                    Thread(target=self.control.cancel, name="dicomkit cancel", daemon=True).start()
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
                self.record.begin(self.row.batch_id, self._setting)
                self.control.listen(self._heed_control)
                self.record.on_stop = self.control.cancel
                if self._refusal is None:
                    self._run_workers()
                self._finish()
            finally:
                self.intake.close()
                if self._conversions is not None:
                    self._conversions.close()
                for worker in self.workers:
                    worker.interrupt.close()
                self.record.close(interrupted=self.control.cancels > 0 or self._crash is not None)
        except BaseException as error:  # noqa: BLE001 - a fault of ours: raised by `run`
            self._crash = self._crash or error
        finally:
            over.set()

    def _run_workers(self) -> None:
        self.queue.workers = self.pacing.target
        self._start_first_worker()
        for number in range(len(self.workers), self.queue.workers):
            if not self._start_worker(number):
                self.queue.workers = number
                break
        for thread in self._threads:  # a tuned batch adds to them meanwhile
            while thread.is_alive():
                thread.join(self.record.keep_up())
                self._heed_ledger()

    def _heed_ledger(self) -> None:
        """Nothing is sent that could not be recorded."""
        trouble = self.record.ledger_trouble
        if trouble and not self.queue.is_stopped:
            self.give_up(Outcome.CANCELLED, f"not tried, since it could not be recorded: {trouble}")
            self.wake_openers()

    def _start_first_worker(self) -> None:
        """Have a worker, as soon as there are descriptors for it."""
        started = monotonic()
        while not self._start_worker(0) and not self.queue.is_stopped:
            if monotonic() - started > self.policy.give_up_after:
                self.give_up(Outcome.CONNECTION_FAILED, f"not tried: {self._short_of}")
            Flag().wait(SHORTAGE_SECONDS)

    def _start_worker(self, number: int) -> bool:
        """Have a worker of that number: the next one, or one in the place of one that has ended.

        False when there are no descriptors for it.
        """

        def work(worker: _Worker) -> None:
            try:
                worker.work()
            except BaseException as error:  # noqa: BLE001 - a fault of ours: raised by `run`, once all have ended
                self._crash = error
                self.queue.stop()

        try:
            worker = _Worker(self, number)
        except OSError as error:
            if not is_shortage(error):
                raise
            self._short_of = self._short_of or NO_DESCRIPTOR
            return False
        if number and not has_room():
            worker.interrupt.close()
            self._short_of = self._short_of or NO_DESCRIPTOR
            return False
        if number < len(self.workers):
            self.workers[number].interrupt.close()
            self.workers[number] = worker
        else:
            self.workers.append(worker)
        name = f"dicomkit association {worker.number + 1}"
        thread = Thread(target=work, args=(worker,), name=name, daemon=True)
        self._threads.append(thread)
        self.pacing.joined(number)
        thread.start()
        return True

    def _tune(self) -> None:
        """Have as many workers as the tuner finds worth it."""
        with self._lock:
            for number in range(self.pacing.most):
                if not self.pacing.lacks_workers or self.queue.is_over:
                    break
                is_free = number == len(self.workers) or self.workers[number].has_ended
                if is_free and not self._start_worker(number):
                    self.pacing.cannot_start_more()
                    break
            self.queue.workers = self.pacing.target
            for worker in self.workers:
                if worker.is_opening and self.pacing.is_surplus(worker.number):
                    worker.interrupt.set()
        self.queue.share()

    def _heed_control(self) -> None:
        """What the control says now; called in the thread that says it."""
        cancels = self.control.cancels
        if self.control.is_paused:
            self.pacing.paused()
        if cancels:
            self.queue.stop()
            self.intake.close()
            for worker in list(self.workers):
                if cancels > 1 or worker.is_opening:
                    worker.interrupt.set()
        self.queue.prefetch.wake()

    def _finish(self) -> None:
        """Rows for what was never tried."""
        outcome, detail = self._rest or (
            Outcome.CANCELLED,
            "cancelled before it was tried; send it again when you are ready",
        )
        for item in self.queue.rest(lambda: self.control.cancels > 2):
            if isinstance(item, Task):
                row = self.row.unsent(item.index, item.attempt_number, item.instance, outcome, detail)
                self.record.add(row, is_final=True)
            else:
                self.record_untried(item)
        self.tell_scanned(at_end=True)

    @property
    def note(self) -> str:
        """What should be known of the batch beside its rows."""
        notes = []
        if not sum(self.record.finals.values()):
            count = len(self.intake.passed_over)
            notes.append(
                f"nothing to send: {count} file{'s were' if count != 1 else ' was'} passed over, none is DICOM"
                if count
                else "nothing to send: the sources hold no file"
            )
        if self.control.cancels and self.intake.is_cut_short:
            notes.append("what the iterator had not given yet was not sent, and has no row")
        if self._lowered:
            notes.append(self._lowered)
        if self._short_of:
            notes.append(
                f"for a while there were fewer associations than there might have been: {self._short_of}"
            )
        notes += filter(None, (self.record.stopped_by, self.record.trouble))
        return "; ".join(notes)

    # ------------------------------------------------------------------------------------------ for the workers

    def wake_openers(self) -> None:
        """Nothing is left to be sent over the associations that are still being opened."""
        if self.queue.is_over:
            for worker in self.workers:
                if worker.is_opening:
                    worker.interrupt.set()

    def record_untried(self, item: Untried | None) -> None:
        """Record what the queue handed out beside tasks, and tell how far the sources were looked at."""
        if item is not None:
            is_held = item.row.outcome is Outcome.SKIPPED
            self.record.add(item.row, is_final=True, fingerprint=item.fingerprint, is_held=is_held)
        self.tell_scanned()

    def tell_scanned(self, *, at_end: bool = False) -> None:
        if not self.record.has_listener:
            return
        now = monotonic()
        if at_end or now - self._told_at >= SCANNED_SECONDS:
            self._told_at = now
            self.record.tell(Scanned(self.intake.found, len(self.intake.passed_over), at_end))

    def kinds_to_propose(self, first: list[Kind]) -> list[Kind]:
        """The kinds in sight, and then those met before, so that a mixture settles on one association.

        Without those that the peer rejected.
        """
        rejected = self.proposals.rejected
        with self._lock:
            self._kinds.update(dict.fromkeys(first))
            return [kind for kind in dict.fromkeys([*first, *self._kinds]) if kind not in rejected]

    def conversions(self) -> ConversionsAhead:
        """What converts ahead, for all workers; made when the first instance needs it."""
        with self._lock:
            if self._conversions is None:
                from dicomkit.conversion import ConversionsAhead

                policy = self.policy
                self._conversions = ConversionsAhead(policy.associations, policy.max_decoded_bytes)
            return self._conversions

    def convert(self, instance: Instance, target: str) -> Converted:
        """An instance in another transfer syntax; raises what `dicomkit.conversion.convert` does."""
        return self.conversions().convert(instance, target)

    def number_association(self) -> int:
        with self._lock:
            self._opened += 1
            return self._opened

    def count_open(self, change: int) -> int:
        """How many associations are open or being opened."""
        with self._lock:
            self._open += change
            return self._open

    def is_done_with(self, worker: _Worker) -> None:
        """It has ended; another may be started in its place."""
        with self._lock:
            worker.has_ended = True
            self.pacing.left(worker.number)

    def has_opened(self, worker: _Worker) -> None:
        """Its attempt to open an association is over: from here on nobody interrupts it for being surplus."""
        with self._lock:
            worker.is_opening = False

    def is_limited(self, *, may_pass: bool) -> None:
        """The peer serves the associations that we have and no more, for now or for good."""
        if self.pacing.are_enough(may_pass=may_pass):
            self._tune()

    def has_tried_to_open(self, worker: int) -> None:
        """The others may open theirs, or the next one try."""
        self.pacing.has_asked(worker)
        self.queue.prefetch.wake()

    def spares(self, worker: _Worker, why: str) -> bool:
        """Whether others go on when this worker ends, for want of descriptors; else it waits for some a little."""
        self._short_of = why
        worker.is_spared = self.pacing.may_leave(worker.number)
        if worker.is_spared:
            self.is_limited(may_pass=True)
            return True
        if self.pacing.got_stuck().is_hopeless:
            self.give_up(Outcome.CONNECTION_FAILED, f"not tried: {why}")
        self.queue.hold(SHORTAGE_SECONDS)
        return False

    def got_through(self) -> None:
        """The peer responded."""
        if self.pacing.got_through():
            self._tune()

    def got_stuck(self, result: SendResult, since: float) -> None:
        """Nothing came back: give the peer a rest, or give up."""
        advice = self.pacing.got_stuck(since)
        if advice.is_hopeless:
            self.give_up(
                result.outcome,
                f"not tried: nothing got through to {self.row.peer} for {self.policy.give_up_after:g} s; the last "
                f"attempt ended so: {result.detail}",
            )
        elif seconds := advice.pause_seconds:
            self.queue.hold(seconds)
            reason = f"{advice.failures} failures in a row, the last one {result.outcome}"
            self.record.tell(Waiting(seconds, reason))

    def give_up(self, outcome: Outcome, detail: str) -> None:
        """The rest takes this outcome, untried."""
        with self._lock:
            self._rest = self._rest or (outcome, detail)
        self.queue.stop()

    def reject(self, kinds: Collection[Kind], error: AssociationRejected) -> None:
        """The peer would have none of these kinds; others may be to its liking."""
        self.proposals.were_rejected(kinds, f"not tried again: {error}")
        if self.proposals.are_futile:
            self.give_up(
                Outcome.REJECTED,
                f"not tried: the peer rejected whatever was proposed, and nothing was accepted; at last: {error}",
            )

    def settle(
        self, task: Task, result: SendResult, *, may_pass: bool | None = None, is_unpacked: bool = False
    ) -> None:
        """Record an attempt, and decide whether there will be another; to try it unpacked there always is.

        `may_pass` says whether another may end otherwise, where that is known; else the outcome tells.
        """
        limit = 0
        if result.outcome in _RETRIED if may_pass is None else may_pass:
            limit = self.policy.retries
        elif result.status in _RETRIED_ONCE:
            limit = min(self.policy.retries, 1)
        if is_unpacked:
            limit = max(limit, 1)
        again = task.attempt_number <= limit
        self.record.add(result, is_final=not again, fingerprint=task.fingerprint)
        self._heed_ledger()
        if not again:
            self.queue.done(task)
            return
        seconds = 0.0 if is_unpacked else backoff_seconds(task.attempt_number - 1)
        task.attempt_number += 1
        self.queue.try_again(task, seconds)


class _Worker:
    """One thread with at most one association."""

    def __init__(self, run: Run, number: int) -> None:
        self.number = number
        self.interrupt = Interrupt()
        self.is_opening = False
        self.has_ended = False
        self.is_spared = False
        self._lacks = ""  # what it could not go on for, where that is a descriptor
        self._run = run
        self._queue = run.queue
        self._line: _Line | None = None

    def work(self) -> None:
        """Send what the queue hands out, until it has nothing more."""
        try:
            while True:
                if self._run.pacing.is_surplus(self.number):
                    return
                is_outside = self._run.pacing.has_to_wait(self.number)
                seconds = IDLE_SECONDS if self._line else pacing.FIRST_REFUSAL_SECONDS if is_outside else None
                coming = self._queue.wait(self.number, seconds, may_open=self._may_open)
                if isinstance(coming, Untried) or coming is NoTask.SCANNED:
                    self._run.record_untried(coming if isinstance(coming, Untried) else None)
                    continue
                if coming is NoTask.END or self._run.pacing.is_surplus(self.number):
                    return
                if coming is NoTask.IDLE:
                    self._release("released: idle")
                    continue
                if coming is NoTask.SHORT:
                    self._lacks = self._lacks or f"a file was not looked at: {NO_DESCRIPTOR}"
                    if self._run.spares(self, self._lacks):
                        return
                    self._lacks = ""
                    continue
                self._turn_down()
                is_needed = self._fits_line() or self._open()
                self._run.has_tried_to_open(self.number)
                if not is_needed:
                    return
                self._send()
                if self._lacks and self._run.spares(self, self._lacks):
                    return
                self._lacks = ""
        finally:
            self._release(
                "released: fewer associations are enough"
                if self._run.pacing.is_surplus(self.number)
                else "released"
            )
            self._queue.leave(self.number)
            if self.is_spared:
                self.interrupt.close()  # its descriptors are for the others
            self._run.is_done_with(self)
            self._run.wake_openers()

    def _may_open(self) -> bool:
        return self._line is not None or self._run.pacing.may_ask(self.number)

    def _turn_down(self) -> None:
        """Record what comes next for as long as it is of a kind that the peer rejected."""
        run, rejected = self._run, self._run.proposals.rejected
        if not rejected:
            return
        while (task := self._take(lambda task: task.kind in rejected)) is not None:
            detail = "; ".join(filter(None, (rejected[task.kind], task.note)))
            result = run.row.unsent(task.index, task.attempt_number, task.instance, Outcome.REJECTED, detail)
            run.settle(task, result, may_pass=False)

    def _take(self, fits: Callable[[Task], bool]) -> Task | None:
        """The next task that fits; what is none is recorded on the way."""
        while isinstance(item := self._queue.take(self.number, fits), Untried):
            self._run.record_untried(item)
        return item

    def _fits_line(self) -> bool:
        """Whether the association at hand can take the next task."""
        line = self._line
        if line is None:
            return False
        task = self._queue.peek(self.number)
        if task is None or line.fits(task):
            return True
        self._release(
            f"released: it has carried {line.taken} instances"
            if line.is_full
            else "released: something else is to be negotiated"
        )
        return False

    def _open(self) -> bool:
        """Open an association for what is in sight; False when this worker is not needed any more."""
        run = self._run
        task = self._queue.peek(self.number)
        if task is None:
            return True
        kinds = (
            [task.kind] if task.is_alone else run.kinds_to_propose(self._queue.kinds_in_sight(self.number))
        )
        contexts, covered = propose(kinds, run.proposals.most)
        self._queue.is_crowded = not task.is_alone and len(covered) < len(kinds)
        self.is_opening = True
        try:
            if self._queue.is_over:
                return False
            which = run.number_association()
            run.count_open(1)
            started_at, start = datetime.now(UTC), perf_counter()
            association = Association.open(run.row.peer, contexts, interrupt=self.interrupt, packs=run.packs)
        except WireError as error:
            others = run.count_open(-1)
            if isinstance(error, ConnectionFailed) and error.is_shortage:
                self._lacks = str(error)
                return True
            run.record.closed(which, None, str(error), opened_at=None, proposed=len(contexts))
            if isinstance(error, Interrupted):
                return False
            if run.proposals.are_halved(error, len(contexts), covered):
                return True
            # It serves those we have, and no more; of several that fail at the same time, the last is charged.
            if run.pacing.has_associations or (
                others and isinstance(error, PeerTimedOut | AssociationRejected)
            ):
                return self._is_turned_away(error)
            self._charge(error, task, covered, which, started_at, start)
            return True
        finally:
            run.has_opened(self)
        run.record.opened(which, association)
        usable = (kind for kind in covered if association.accepted_syntaxes(kind[0]))
        run.proposals.were_accepted(len(contexts), usable)
        only, limit = task if task.is_alone else None, run.policy.instances_per_association
        self._line = _Line(association, which, started_at, len(contexts), covered, only, limit)
        run.pacing.opened(self.number)
        return not self.interrupt.is_set  # which may have come too late to keep it from being opened

    def _is_turned_away(self, error: WireError) -> bool:
        """The peer serves the others and not this one; False when this worker is not needed any more."""
        run = self._run
        is_final = isinstance(error, AssociationRejected | ConnectionFailed) and not error.may_pass
        # A peer that leaves one unanswered mostly serves one at a time, and would leave the next one so as well.
        run.is_limited(may_pass=not is_final and not isinstance(error, PeerTimedOut))
        if run.pacing.is_surplus(self.number) or is_final:
            return False
        run.pacing.refused(self.number)
        self._queue.leave(self.number)
        return True

    def _charge(
        self,
        error: WireError,
        wanted: Task,
        kinds: Collection[Kind],
        which: int,
        started_at: datetime,
        start: float,
    ) -> None:
        """An association did not come about: the next instance of those it was asked for bears the attempt.

        That is another than at first when another worker took that one meanwhile.
        """
        run = self._run
        task = self._take(
            lambda task: task is wanted if wanted.is_alone or task.is_alone else task.kind in kinds
        )
        if task is None:
            return
        duration_ms = 1e3 * (perf_counter() - start)
        result = run.row.failed_to_open(
            task.index,
            task.attempt_number,
            task.instance,
            error,
            started_at,
            duration_ms,
            which,
            task.remarks,
        )
        may_pass = error.may_pass if isinstance(error, AssociationRejected | ConnectionFailed) else None
        if may_pass is False:
            if isinstance(error, AssociationRejected) and error.may_be_for_contexts:
                run.reject(kinds, error)
            else:
                run.give_up(result.outcome, f"not tried again: {error}")
        else:
            run.proposals.were_in_vain()
            run.got_stuck(result, start)
        run.settle(task, result, may_pass=may_pass)

    def _send(self) -> None:
        """Send over the association at hand for as long as there is something that fits it."""
        line = self._line
        if line is None:
            return
        run, association = self._run, line.association
        current = self._next(line)
        answered: _Sent | None = None
        while current is not None and (line.is_fresh or association.is_still_there()):
            line.is_fresh = False
            if run.record.has_listener:
                task = current.task
                run.record.tell(Sending(task.index, task.attempt_number, task.instance.source, line.which))
            current.attempt.transmit()
            # Now the peer is busy: time for the row of the one before, and to make the next one ready.
            if answered is not None:
                self._settle(line, answered)
            may_follow = association.is_open and not run.pacing.is_surplus(self.number)
            following = self._next(line) if may_follow else None
            current.attempt.receive()
            answered, current = current, following
            if current is None or not association.is_open or not self._queue.is_giving:
                self._settle(line, answered)
                answered = None
                if current is None and association.is_open and not run.pacing.is_surplus(self.number):
                    current = self._next(line)
                elif current is not None:
                    break
            run.tell_scanned()
        if answered is not None:
            self._settle(line, answered)
        if current is not None:
            line.taken -= 1
            current.attempt.close()
            self._queue.put_back(current.task)
        if not association.is_open:
            self._release(association.ended)

    def _next(self, line: _Line) -> _Sent | None:
        """The next task that fits, made ready; those that cannot be are recorded on the way."""
        while (task := self._take(line.fits)) is not None:
            if self._run.policy.transcode and line.association.context_for(*task.kind) is None:
                self._convert_ahead(line.association, task)
            attempt = Attempt(
                line.association,
                line.which,
                task.index,
                task.attempt_number,
                task.instance,
                self._run.row,
                note=task.remarks,
                transcode=self._run.policy.transcode,
                convert=self._run.convert,
            )
            try:
                is_loaded = attempt.load()
            except SourceChanged:
                self._queue.look_again(task, self._run.intake.look_again)
                continue
            if is_loaded:
                self._lacks = ""
                line.taken += 1
                return _Sent(task, attempt)
            if attempt.lacks_a_descriptor:
                self._lacks = f"a file was not opened: {NO_DESCRIPTOR}"
                self._queue.put_back(task)
                return None
            self._run.settle(task, attempt.result())
        return None

    def _convert_ahead(self, association: Association, task: Task) -> None:
        """Have this one converted, and those that come after it meanwhile."""
        ahead = self._run.conversions()
        following = self._queue.upcoming(self.number, ahead.depth)
        ahead.begin([task.instance, *following], partial(conversion_target, association))

    def _settle(self, line: _Line, sent: _Sent) -> None:
        """Make the row of an attempt that has its answer, or will have none, and decide what follows from it."""
        run, association, task = self._run, line.association, sent.task
        result = sent.attempt.result()
        is_first = line.instances == 0
        if result.status is not None:
            run.got_through()
            line.instances += 1
            line.size_bytes += result.size_bytes or 0
        may_pass = sent.attempt.may_pass
        if result.outcome is not Outcome.ABORTED and result.outcome is not Outcome.TIMED_OUT:
            run.settle(task, result)
            return
        if not is_first and association.peer_took_none_of_it():
            self._queue.put_back(task)  # it had closed between two instances: nothing was attempted
            return
        unpack = is_first and run.packs and result.outcome is Outcome.ABORTED and may_pass is not False
        if unpack:
            run.packs = False
            task.unpacked = UNPACKED
        else:
            run.got_stuck(result, sent.attempt.start)
        task.is_alone = True
        run.settle(task, result, may_pass=may_pass, is_unpacked=unpack)

    def _release(self, ended: str) -> None:
        """Give the association back, if there is one."""
        line, self._line = self._line, None
        if line is None:
            return
        self._run.pacing.closed(self.number)
        association = line.association
        if why := association.end():
            ended = f"not released: {why}"
        self._run.count_open(-1)
        self._run.record.closed(
            line.which,
            association,
            ended,
            opened_at=line.opened_at,
            proposed=line.proposed,
            instances=line.instances,
            size_bytes=line.size_bytes,
        )


class _Sent(Frozen):
    """An attempt on its way, and the task it is one of."""

    task: Task
    attempt: Attempt


class _Line:
    """An open association, what it may carry, and what it has carried."""

    def __init__(
        self,
        association: Association,
        which: int,
        opened_at: datetime,
        proposed: int,
        covered: Collection[Kind],
        only: Task | None,
        limit: int | None,
    ) -> None:
        self.association = association
        self.which = which
        self.opened_at = opened_at
        self.proposed = proposed
        self.instances = 0
        self.size_bytes = 0
        # Nothing was sent over it so far: a peer that is gone by now costs an attempt, or it would be tried for ever.
        self.is_fresh = True
        self.taken = 0
        self._covered = covered
        self._only = only
        self._limit = limit

    @property
    def is_full(self) -> bool:
        """Whether it has carried as many instances as an association may."""
        return self._limit is not None and self.taken >= self._limit

    def fits(self, task: Task) -> bool:
        if self.is_full:
            return False
        if task.is_alone or self._only is not None:
            # Its kind is another one by now when its file is.
            return task is self._only and task.kind in self._covered
        return task.kind in self._covered
