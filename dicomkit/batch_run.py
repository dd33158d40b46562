"""A batch while it runs: workers that send, and what they decide together.

Each worker has a thread and at most one association. It asks the plan what comes next, sends it, and while the peer
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

from dicomkit.breaker import Breaker, backoff_seconds, spread
from dicomkit.content import SourceChanged
from dicomkit.descriptors import NO_DESCRIPTOR, associations_that_fit, has_room, is_shortage, lowered
from dicomkit.errors import AssociationRejected, ConnectionFailed, Interrupted, PeerTimedOut, WireError
from dicomkit.events import Scanned, Sending, Waiting
from dicomkit.frozen import Frozen
from dicomkit.lookout import Lookout
from dicomkit.plan import Plan, Task
from dicomkit.proposals import Proposals
from dicomkit.readmission import Readmission
from dicomkit.record import Record
from dicomkit.results import Outcome, SendResult
from dicomkit.sender import Attempt, Kind, RowMaker, conversion_target, new_batch_id, propose, why_not
from dicomkit.statuses import PROCESSING_FAILURE, RESOURCE_LIMITATION
from dicomkit.tuning import Tuner
from dicomkit.uids import UNCOMPRESSED
from dicomkit.wire.association import Association
from dicomkit.wire.connection import Interrupt, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dicomkit.conversion import ConversionsAhead, Converted
    from dicomkit.instances import Instance
    from dicomkit.settings import DicomSenderSetting

# A peer's own idle timeout is often a minute or less; well before that a quiet association is given back.
IDLE_SECONDS = 10.0
# A worker that the peer turned away while it served others asks again after so long, and then each time after twice
# as long, up to the longest.
FIRST_READMISSION_SECONDS = 1.0
LONGEST_READMISSION_SECONDS = 60.0
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
        self.lookout = Lookout(
            sources, self.row, lambda: self.plan.wake(), resume, held_bytes=lambda: self.plan.held_bytes
        )
        self._most, limit = associations_that_fit(policy.associations)
        self._lowered = lowered(policy.associations, self._most, limit)
        self._short_of = ""
        self.plan = Plan(self.lookout, self._most, max_rate=policy.max_rate)
        self.plan.may_take = lambda: not control.is_paused
        self.plan.is_short = lambda: self.lookout.is_short
        self.proposals = Proposals()
        self.tuner = Tuner(self._most) if policy.is_tuned else None
        self.readmission = Readmission(FIRST_READMISSION_SECONDS, LONGEST_READMISSION_SECONDS)
        self.workers: list[_Worker] = []
        self._threads: list[Thread] = []
        self._at_work = 0
        self._lock = Lock()
        self._opened = 0
        self._open = 0
        self._pioneer: int | None = None
        self._breaker = Breaker(policy.give_up_after)
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
                self.lookout.close()
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
        self.plan.workers = 1 if self.tuner is not None else self._most
        self._start_first_worker()
        for number in range(len(self.workers), self.plan.workers):
            if not self._start_worker(number):
                self.plan.workers = number
                break
        for thread in self._threads:  # a tuned batch adds to them meanwhile
            while thread.is_alive():
                thread.join(self.record.keep_up())
                self._heed_ledger()

    def _heed_ledger(self) -> None:
        """Nothing is sent that could not be recorded."""
        trouble = self.record.ledger_trouble
        if trouble and not self.plan.is_stopped:
            self.give_up(Outcome.CANCELLED, f"not tried, since it could not be recorded: {trouble}")
            self.wake_openers()

    def _start_first_worker(self) -> None:
        """Have a worker, as soon as there are descriptors for it."""
        started = monotonic()
        while not self._start_worker(0) and not self.plan.is_stopped:
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
                self.plan.stop()

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
        self._at_work += 1
        thread.start()
        return True

    def _tune(self) -> None:
        """Have as many workers as the tuner finds worth it."""
        assert self.tuner is not None
        with self._lock:
            self.plan.workers = self.tuner.target
            for number in range(self.tuner.most):
                if self._at_work >= self.tuner.target or self.plan.is_over:
                    break
                is_free = number == len(self.workers) or self.workers[number].has_ended
                if is_free and not self._start_worker(number):
                    self.tuner.refused(max(self._at_work, 1), monotonic())
                    self.plan.workers = self.tuner.target
                    break
            for worker in self.workers:
                if worker.is_opening and self.is_surplus(worker):
                    worker.interrupt.set()
        self.plan.share()

    def _heed_control(self) -> None:
        """What the control says now; called in the thread that says it."""
        cancels = self.control.cancels
        if self.control.is_paused:
            self._breaker.excuse()
        if cancels:
            self.plan.stop()
            self.lookout.close()
            for worker in list(self.workers):
                if cancels > 1 or worker.is_opening:
                    worker.interrupt.set()
        self.plan.wake()

    def _finish(self) -> None:
        """Rows for what was never tried."""
        outcome, detail = self._rest or (
            Outcome.CANCELLED,
            "cancelled before it was tried; send it again when you are ready",
        )
        for task in self.plan.rest():
            self.take_finds()
            if task is not None:
                result = self.row.unsent(task.index, task.number, task.instance, outcome, detail)
                self.record.add(result, is_final=True)
            if self.control.cancels > 2:
                break
        self.take_finds()
        self._tell_scanned(at_end=True)

    @property
    def note(self) -> str:
        """What should be known of the batch beside its rows."""
        notes = []
        if not sum(self.record.finals.values()):
            count = len(self.lookout.passed_over)
            notes.append(
                f"nothing to send: {count} file{'s were' if count != 1 else ' was'} passed over, none is DICOM"
                if count
                else "nothing to send: the sources hold no file"
            )
        if self.control.cancels and self.lookout.is_cut_short:
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
        if self.plan.is_over:
            for worker in self.workers:
                if worker.is_opening:
                    worker.interrupt.set()

    def take_finds(self) -> None:
        """Record what scanning came across that can never be sent."""
        rows = self.lookout.rows
        while rows:
            try:
                row, fingerprint = rows.popleft()
            except IndexError:  # another worker was faster
                return
            is_held = row.outcome is Outcome.SKIPPED
            self.record.add(row, is_final=True, fingerprint=fingerprint, is_held=is_held)
        if self.record.has_listener:
            self._tell_scanned()

    def _tell_scanned(self, *, at_end: bool = False) -> None:
        now = monotonic()
        if at_end or now - self._told_at >= SCANNED_SECONDS:
            self._told_at = now
            self.record.tell(Scanned(self.lookout.found, len(self.lookout.passed_over), at_end))

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
            self._at_work -= not worker.is_spared

    def has_opened(self, worker: _Worker) -> None:
        """Its attempt to open an association is over: from here on nobody interrupts it for being surplus."""
        with self._lock:
            worker.is_opening = False

    def is_established(self) -> None:
        """An association was accepted."""
        if self.tuner is not None:
            self.tuner.opened(sum(worker.has_line for worker in self.workers), monotonic())

    def is_limited(self, *, may_pass: bool) -> None:
        """The peer serves the associations that we have and no more, for now or for good."""
        if self.tuner is not None:
            with self._lock:
                lines = sum(worker.has_line for worker in self.workers)
                self.tuner.refused(lines, monotonic(), may_pass=may_pass)
            self._tune()

    @property
    def has_lines(self) -> bool:
        """Whether an association is open."""
        return any(worker.has_line for worker in self.workers)

    def may_open(self, worker: int) -> bool:
        """Whether this worker may open an association: as long as none is open, one worker at a time tries."""
        if self.has_lines:
            return self.readmission.may_ask(worker, monotonic())
        if self._pioneer is None:
            self._pioneer = worker
        return self._pioneer == worker

    def has_tried_to_open(self, worker: int) -> None:
        """The others may open theirs, or the next one try."""
        self.readmission.has_asked(worker)
        if self._pioneer == worker:
            self._pioneer = None
            self.plan.wake()

    def is_surplus(self, worker: _Worker) -> bool:
        """Whether a tuned batch does without this worker; those that have an association come first."""
        if self.tuner is None or self._at_work <= self.tuner.target:
            return False
        place = (not worker.has_line, worker.number)
        others = (other for other in self.workers if not other.has_ended)
        ahead = sum((not other.has_line, other.number) < place for other in others)
        return ahead >= self.tuner.target

    def spares(self, worker: _Worker, why: str) -> bool:
        """Whether others go on when this worker ends, for want of descriptors; else it waits for some a little."""
        with self._lock:
            self._short_of = why
            worker.is_spared = self._at_work > 1
            self._at_work -= worker.is_spared
        if worker.is_spared:
            self.is_limited(may_pass=True)
            return True
        now = perf_counter()
        if self._breaker.got_stuck(now, now).is_hopeless:
            self.give_up(Outcome.CONNECTION_FAILED, f"not tried: {why}")
        self.plan.hold(SHORTAGE_SECONDS)
        return False

    def got_through(self) -> None:
        """The peer responded."""
        self._breaker.got_through()
        if self.tuner is not None:
            with self._lock:
                changed = self.tuner.answered(monotonic())
            if changed:
                self._tune()

    def got_stuck(self, result: SendResult, since: float) -> None:
        """Nothing came back: give the peer a rest, or give up."""
        advice = self._breaker.got_stuck(since, perf_counter())
        if advice.is_hopeless:
            self.give_up(
                result.outcome,
                f"not tried: nothing got through to {self.row.peer} for {self.policy.give_up_after:g} s; the last "
                f"attempt ended so: {result.detail}",
            )
        elif seconds := advice.rest_seconds:
            self.plan.hold(seconds)
            reason = f"{advice.failures} failures in a row, the last one {result.outcome}"
            self.record.tell(Waiting(seconds, reason))

    def give_up(self, outcome: Outcome, detail: str) -> None:
        """The rest takes this outcome, untried."""
        with self._lock:
            self._rest = self._rest or (outcome, detail)
        self.plan.stop()

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
        again = task.number <= limit
        self.record.add(result, is_final=not again, fingerprint=task.fingerprint)
        self._heed_ledger()
        if not again:
            self.plan.done(task)
            return
        seconds = 0.0 if is_unpacked else backoff_seconds(task.number - 1)
        task.number += 1
        self.plan.try_again(task, seconds)


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
        self._plan = run.plan
        self._line: _Line | None = None

    def work(self) -> None:
        """Send what the plan hands out, until it has nothing more."""
        try:
            while True:
                if self._run.is_surplus(self):
                    return
                is_outside = self._run.readmission.is_outside(self.number)
                seconds = IDLE_SECONDS if self._line else FIRST_READMISSION_SECONDS if is_outside else None
                work = self._plan.wait_for_work(self.number, seconds, may_open=self._may_open)
                self._run.take_finds()
                if work is False or self._run.is_surplus(self):
                    return
                if work is None:
                    self._release("released: idle")
                    continue
                if is_outside and not self._may_open():
                    continue
                self._turn_down()
                is_needed = self._fits_line() or self._open()
                self._run.has_tried_to_open(self.number)
                if not is_needed:
                    return
                self._send()
                if self._run.lookout.is_short:
                    self._lacks = self._lacks or f"a file was not looked at: {NO_DESCRIPTOR}"
                if self._lacks and self._run.spares(self, self._lacks):
                    return
                self._lacks = ""
        finally:
            self._release(
                "released: fewer associations are enough" if self._run.is_surplus(self) else "released"
            )
            self._plan.leave(self.number)
            if self.is_spared:
                self.interrupt.close()  # its descriptors are for the others
            self._run.is_done_with(self)
            self._run.wake_openers()

    def _may_open(self) -> bool:
        return self._line is not None or self._run.may_open(self.number)

    @property
    def has_line(self) -> bool:
        """Whether it has an association."""
        return self._line is not None

    def _turn_down(self) -> None:
        """Record what comes next for as long as it is of a kind that the peer rejected."""
        run, rejected = self._run, self._run.proposals.rejected
        if not rejected:
            return
        while (task := self._plan.take(self.number, lambda task: task.kind in rejected)) is not None:
            detail = "; ".join(filter(None, (rejected[task.kind], task.note)))
            result = run.row.unsent(task.index, task.number, task.instance, Outcome.REJECTED, detail)
            run.settle(task, result, may_pass=False)
            run.take_finds()

    def _fits_line(self) -> bool:
        """Whether the association at hand can take the next task."""
        line = self._line
        if line is None:
            return False
        task = self._plan.peek(self.number)
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
        task = self._plan.peek(self.number)
        if task is None:
            return True
        kinds = [task.kind] if task.alone else run.kinds_to_propose(self._plan.kinds_in_sight(self.number))
        contexts, covered = propose(kinds, run.proposals.most)
        self._plan.is_crowded = not task.alone and len(covered) < len(kinds)
        self.is_opening = True
        try:
            if self._plan.is_over:
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
            if run.has_lines or (others and isinstance(error, PeerTimedOut | AssociationRejected)):
                return self._is_turned_away(error)
            self._charge(error, task, covered, which, started_at, start)
            return True
        finally:
            run.has_opened(self)
        run.record.opened(which, association)
        usable = (kind for kind in covered if association.accepted_syntaxes(kind[0]))
        run.proposals.were_accepted(len(contexts), usable)
        only, limit = task if task.alone else None, run.policy.instances_per_association
        self._line = _Line(association, which, started_at, len(contexts), covered, only, limit)
        run.is_established()
        run.readmission.let_in(self.number, monotonic())
        return not self.interrupt.is_set  # which may have come too late to keep it from being opened

    def _is_turned_away(self, error: WireError) -> bool:
        """The peer serves the others and not this one; False when this worker is not needed any more."""
        run = self._run
        is_final = isinstance(error, AssociationRejected | ConnectionFailed) and not error.may_pass
        # A peer that leaves one unanswered mostly serves one at a time, and would leave the next one so as well.
        run.is_limited(may_pass=not is_final and not isinstance(error, PeerTimedOut))
        if run.is_surplus(self) or is_final:
            return False
        run.readmission.turned_away(self.number, monotonic(), haste=spread())
        self._plan.leave(self.number)
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
        task = self._plan.take(
            self.number, lambda task: task is wanted if wanted.alone or task.alone else task.kind in kinds
        )
        if task is None:
            return
        duration_ms = 1e3 * (perf_counter() - start)
        result = run.row.failed_to_open(
            task.index, task.number, task.instance, error, started_at, duration_ms, which, task.remarks
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
                run.record.tell(Sending(task.index, task.number, task.instance.source, line.which))
            current.attempt.transmit()
            # Now the peer is busy: time for the row of the one before, and to make the next one ready.
            if answered is not None:
                self._settle(line, answered)
            may_follow = association.is_open and not run.is_surplus(self)
            following = self._next(line) if may_follow else None
            current.attempt.receive()
            answered, current = current, following
            if current is None or not association.is_open or not self._plan.is_giving:
                self._settle(line, answered)
                answered = None
                if current is None and association.is_open and not run.is_surplus(self):
                    current = self._next(line)
                elif current is not None:
                    break
            run.take_finds()
        if answered is not None:
            self._settle(line, answered)
        if current is not None:
            line.taken -= 1
            current.attempt.close()
            self._plan.put_back(current.task)
        if not association.is_open:
            self._release(association.ended)

    def _next(self, line: _Line) -> _Sent | None:
        """The next task that fits, made ready; those that cannot be are recorded on the way."""
        while (task := self._plan.take(self.number, line.fits)) is not None:
            if (
                self._run.policy.transcode
                and line.association.context_for(*task.kind) is None
                and task.instance.transfer_syntax
                not in UNCOMPRESSED  # the others take less time than a thread
            ):
                self._convert_ahead(line.association, task)
            attempt = Attempt(
                line.association,
                line.which,
                task.index,
                task.number,
                task.instance,
                self._run.row,
                note=task.remarks,
                transcode=self._run.policy.transcode,
                convert=self._run.convert,
            )
            try:
                is_loaded = attempt.load()
            except SourceChanged:
                self._plan.look_again(task, self._run.lookout.look_again)
                continue
            if is_loaded:
                self._lacks = ""
                line.taken += 1
                return _Sent(task, attempt)
            if attempt.lacks_a_descriptor:
                self._lacks = f"a file was not opened: {NO_DESCRIPTOR}"
                self._plan.put_back(task)
                return None
            self._run.settle(task, attempt.result())
        return None

    def _convert_ahead(self, association: Association, task: Task) -> None:
        """Have this one converted, and those that come after it meanwhile."""
        ahead = self._run.conversions()
        following = self._plan.upcoming(self.number, ahead.depth)
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
            self._plan.put_back(task)  # it had closed between two instances: nothing was attempted
            return
        unpack = is_first and run.packs and result.outcome is Outcome.ABORTED and may_pass is not False
        if unpack:
            run.packs = False
            task.unpacked = UNPACKED
        else:
            run.got_stuck(result, sent.attempt.start)
        task.alone = True
        run.settle(task, result, may_pass=may_pass, is_unpacked=unpack)

    def _release(self, ended: str) -> None:
        """Give the association back, if there is one."""
        line, self._line = self._line, None
        if line is None:
            return
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
        if task.alone or self._only is not None:
            # Its kind is another one by now when its file is.
            return task is self._only and task.kind in self._covered
        return task.kind in self._covered
