"""One worker of a batch: a thread with at most one association.

Theory of operation
-------------------
A worker knows how to send; its run knows what is sent, to whom, and what follows from what became of it.
All that a worker asks of the run is in `Run`, below. It goes round like this::

    wait ──► a task comes next ──► does the association at hand carry its kind? ──► if not: release, open
      ▲                                                                                        │
      └── nothing more fits, or the association has ended ◄── take, load, transmit, receive ◄──┘

and ends when `wait` says so. A peer is not asked for an association before there is something for it, and is
given it back when there is nothing for a while, since many peers end idle ones by themselves, and some serve
few at a time.

The inner loop (`_send`) is what the speed of a batch hangs on. A peer that has an instance needs time to
store it and to respond. In that time the worker makes and records the row of the attempt before, which may
commit to a ledger and call a listener; takes the next task, which may look at further sources; and loads it,
which opens its file and reads the beginning. When the response arrives, the next instance is ready to go::

    transmit n │ settle n-1, take and load n+1 │ receive n │ transmit n+1 │ settle n, take and load n+2 │ ...

So there are up to three attempts at hand: the one whose response is in (`answered`), the one that the peer
has (`current`), and the one that is loaded (`following`). Where the loop ends, each of them has to come to
its end. What is answered is settled. What is loaded, and not transmitted any more, since the association has
ended or the batch was paused or cancelled meanwhile, is put back, and loaded anew by whoever takes it then.

Before each transmit the worker looks whether the peer has ended the association between two instances, which
is its right (PS3.8 section 7.2) and costs nobody an attempt. But for the first: a peer that is gone before
the first one was sent has to cost an attempt, or it would be tried for ever. For the same reason an instance
is put back without a row only when it is not the first, and the system says that the peer's host took none of
its bytes.

A worker may be ended from outside by its `interrupt`, which all waits of its association obey: the second
cancel does so, and while it is opening an association also the first, and whatever makes that association
needless.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dicomkit._support.descriptors import NO_DESCRIPTOR
from dicomkit._support.frozen import Frozen
from dicomkit.batch._queue import NoTask, Queue, Task
from dicomkit.dictionary.uids import UNCOMPRESSED
from dicomkit.results import Outcome, SendResult
from dicomkit.sending import Attempt, Kind, RowMaker, conversion_target
from dicomkit.sources import SourceChanged
from dicomkit.wire.socket import Interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from typing import Protocol

    from dicomkit.conversion import ConversionsAhead, Converted
    from dicomkit.sources import Instance
    from dicomkit.wire.association import Association

    class Run(Protocol):
        """What a worker asks of its run."""

        def wait(self, worker: Worker) -> Task | NoTask:
            """What this worker is to send next, left in the queue; or why nothing: IDLE, SURPLUS or END."""

        def open(self, worker: Worker) -> Carrier | None:
            """An association for what comes next; None when it did not come about."""

        def take(self, worker: Worker, fits: Callable[[Task], bool]) -> Task | None:
            """The next task of this worker, if it is there and fits."""

        def look_again(self, task: Task) -> None:
            """This task is not any more what was looked at, so nothing of it was sent."""

        def sending(self, task: Task, carrier: Carrier) -> None:
            """This task is about to be handed to the socket."""

        def settle(self, task: Task, row: SendResult, attempt: Attempt, *, is_first: bool = False) -> None:
            """Record an attempt, of which this is the row, and decide what follows."""

        def closed(self, worker: Worker, carrier: Carrier, ended: str) -> None:
            """This association has ended."""

        def ended(self, worker: Worker) -> None:
            """This worker takes nothing more."""

        def conversions(self) -> ConversionsAhead:
            """What converts ahead, for all workers."""


# The association ended under it, so the instance may be what ended it.
LOST = (Outcome.ABORTED, Outcome.TIMED_OUT)


class Worker:
    """One thread of a batch.

    Attributes
    ----------
    number : int
        From 0; that of one that has ended is given again.
    is_opening : bool
        Whether it may be interrupted for being needless.
    is_needed : bool
        Set by the run, when the others do without it.
    lacks : str
        What it could not go on for, where that is a file descriptor.
    """

    def __init__(self, number: int, run: Run, queue: Queue, row: RowMaker, *, transcode: bool) -> None:
        self.number = number
        self.interrupt = Interrupt()
        self.is_opening = False
        self.is_needed = True
        self.lacks = ""
        self._run = run
        self._queue = queue
        self._row = row
        self._transcode = transcode
        self._carrier: Carrier | None = None

    @property
    def has_association(self) -> bool:
        return self._carrier is not None

    def work(self) -> None:
        """Send what the queue hands out, until it has nothing more for this worker."""
        ended = "released"
        try:
            while (coming := self._run.wait(self)) is not NoTask.END:
                if coming is NoTask.SURPLUS:
                    ended = "released: fewer associations are enough"
                    return
                if coming is NoTask.IDLE:
                    self._release("released: idle")
                    continue
                if self._carrier is not None and (
                    why := self._carrier.why_not(self._queue.peek(self.number))
                ):
                    self._release(f"released: {why}")
                if self._carrier is None:
                    self._carrier = self._run.open(self)
                if self._carrier is not None and self.is_needed:
                    self._send(self._carrier)
        finally:
            self._release(ended)
            self._run.ended(self)

    def _send(self, carrier: Carrier) -> None:
        """Send over the association at hand for as long as there is something that fits it."""
        run, association = self._run, carrier.association
        current = self._next(carrier)
        answered: _InFlight | None = None
        while current is not None and (carrier.is_fresh or association.is_still_there()):
            carrier.is_fresh = False
            run.sending(current.task, carrier)
            current.attempt.transmit()
            # Now the peer is busy: time for the row of the one before, and to make the next one ready.
            if answered is not None:
                self._settle(carrier, answered)
            following = self._next(carrier) if association.is_open else None
            current.attempt.receive()
            answered, current = current, following
            if current is None or not association.is_open or not self._queue.is_giving:
                self._settle(carrier, answered)
                answered = None
                if current is None and association.is_open:
                    current = self._next(carrier)
                elif current is not None:
                    break
        if answered is not None:
            self._settle(carrier, answered)
        if current is not None:
            carrier.taken -= 1
            current.attempt.close()
            self._queue.put_back(current.task)
        if not association.is_open:
            self._release(association.ended)

    def _next(self, carrier: Carrier) -> _InFlight | None:
        """The next task that fits, made ready; those that cannot be are recorded on the way."""
        while (task := self._run.take(self, carrier.fits)) is not None:
            is_converted = self._transcode and carrier.association.context_for(*task.kind) is None
            # Encoding anew takes less time than handing it to a thread.
            if is_converted and task.instance.transfer_syntax not in UNCOMPRESSED:
                self._convert_ahead(carrier.association, task)
            attempt = Attempt(
                carrier.association,
                carrier.number,
                task.index,
                task.attempt_number,
                task.instance,
                self._row,
                note=task.remarks,
                transcode=self._transcode,
                convert=self._convert,
            )
            try:
                is_loaded = attempt.load()
            except SourceChanged:
                self._run.look_again(task)
                continue
            if is_loaded:
                self.lacks = ""
                carrier.taken += 1
                return _InFlight(task, attempt)
            if attempt.lacks_a_descriptor:
                self.lacks = f"a file was not opened: {NO_DESCRIPTOR}"
                self._queue.put_back(task)
                return None
            self._run.settle(task, attempt.result(), attempt)
        return None

    def _convert_ahead(self, association: Association, task: Task) -> None:
        """Have this one converted, and those that come after it meanwhile."""
        ahead = self._run.conversions()
        following = self._queue.upcoming(self.number, ahead.depth)
        ahead.begin([task.instance, *following], partial(conversion_target, association))

    def _convert(self, instance: Instance, target: str) -> Converted:
        return self._run.conversions().convert(instance, target)

    def _settle(self, carrier: Carrier, sent: _InFlight) -> None:
        """Make the row of an attempt that has its answer, or will have none."""
        row = sent.attempt.result()
        is_first = carrier.instances == 0
        if row.status is not None:
            carrier.instances += 1
            carrier.size_bytes += row.size_bytes or 0
        elif not is_first and row.outcome in LOST and carrier.association.peer_took_none_of_it():
            self._queue.put_back(sent.task)  # it had closed between two instances: nothing was attempted
            return
        self._run.settle(sent.task, row, sent.attempt, is_first=is_first)

    def _release(self, ended: str) -> None:
        """Give the association back, if there is one."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            self._run.closed(self, carrier, ended)


class _InFlight(Frozen):
    """An attempt on its way, and the task it is one of."""

    task: Task
    attempt: Attempt


class Request(Frozen, kw_only=True):
    """An association that is asked for.

    Attributes
    ----------
    number : int
        Which association of the batch it is; what rows show as ``association``.
    task : Task
        The one that it is asked for.
    kinds : collection of Kind
        What it would carry.
    proposed : int
        How many presentation contexts.
    started_at, start : datetime, float
        When, and the same on the clock of `time.perf_counter`.
    """

    number: int
    task: Task
    kinds: Collection[Kind]
    proposed: int
    started_at: datetime
    start: float


class Carrier:
    """An open association of a batch, what it may carry, and what it has carried."""

    def __init__(self, association: Association, request: Request, limit: int | None) -> None:
        self.association = association
        self.request = request
        self.number = request.number
        self.is_fresh = True  # nothing was sent over it so far
        self.taken = 0  # how many instances were loaded for it
        self.instances = 0  # how many of them got a response
        self.size_bytes = 0
        self._kinds = request.kinds
        self._only = request.task if request.task.is_alone else None
        self._limit = limit

    def fits(self, task: Task) -> bool:
        if self._limit is not None and self.taken >= self._limit:
            return False
        if task.is_alone or self._only is not None:
            # Its kind is another one by now when its file is.
            return task is self._only and task.kind in self._kinds
        return task.kind in self._kinds

    def why_not(self, task: Task | None) -> str:
        """Why it cannot carry what comes next; empty when it can."""
        if task is None or self.fits(task):
            return ""
        if self._limit is not None and self.taken >= self._limit:
            return f"it has carried {self.taken} instances"
        return "something else is to be negotiated"
