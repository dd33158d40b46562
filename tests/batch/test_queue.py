"""The queue of a batch: what is sent next, by which association. Pure, so every case is a table row or a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic

import pytest

from dicomkit.batch import _queue as queue_module
from dicomkit.batch._queue import (
    FIRST_LOOK,
    LOOK_AHEAD,
    LOOKS_PER_TASK,
    NoDescriptorYet,
    NoTask,
    NotYet,
    Queue,
    Task,
    Untried,
)
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.results import Outcome
from dicomkit.sending import Kind, RowMaker, propose
from dicomkit.sources import Instance
from dicomkit.wire.pdu import MAX_CONTEXTS
from dicomkit.wire.socket import Peer
from tests.support.peers import wait_until

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
JPEG = "1.2.840.10008.1.2.4.50"


def instance(series: str | None = "1", kind: Kind = (CT, EXPLICIT_LE)) -> Instance:
    return Instance("file", kind[0], "1.2.3", "1.2", series, "CT", kind[1], 0, 0, "", None, b"")


def tasks_of(series: Iterable[str | None]) -> Iterator[Task]:
    return (Task(index, instance(one)) for index, one in enumerate(series))


def queue_of(series: Iterable[str | None], associations: int = 1) -> Queue:
    return Queue(tasks_of(series), associations)


def untried(index: int = 0) -> Untried:
    """What was found there and cannot be sent."""
    row = RowMaker("batch", Peer("peer", 104, "US", "THEM", 5.0)).untried(
        index, "file", Outcome.UNREADABLE, "it is truncated"
    )
    return Untried(row)


def anything(task: Task) -> bool:
    return True


def take(queue: Queue, worker: int = 0, fits: Callable[[Task], bool] = anything) -> Task:
    assert isinstance(queue.wait(worker), Task)
    task = queue.take(worker, fits)
    assert isinstance(task, Task)
    return task


def indexes_of(queue: Queue) -> list[int]:
    """All that one worker is given, in the order it is given."""
    taken = []
    while isinstance(queue.wait(0), Task):
        while isinstance(task := queue.take(0, anything), Task):
            taken.append(task.index)
            queue.done(task)
    return taken


class Slow:
    """What was found, which comes when it is let come."""

    def __init__(self, *found: Task | Untried | None) -> None:
        self.found = list(found)
        self.is_open = False

    def __iter__(self) -> Slow:
        return self

    def __next__(self) -> Task | Untried | None:
        if not self.found:
            if self.is_open:
                raise StopIteration
            raise NotYet
        return self.found.pop(0)


# Order


@pytest.mark.parametrize(
    "series", [[], ["a"], ["a", "b", "a", "b"], [None, "a", None], ["a"] * (3 * LOOK_AHEAD)]
)
def test_one_association_is_given_everything_in_source_order(series: list[str | None]) -> None:
    assert indexes_of(queue_of(series)) == list(range(len(series)))


def test_no_more_than_the_look_ahead_is_in_sight() -> None:
    given = 0

    def counted() -> Iterator[Task]:
        nonlocal given
        for given, task in enumerate(tasks_of(["a"] * 5000), start=1):  # noqa: B007 - the count is what matters
            yield task

    queue = Queue(counted(), 1)
    take(queue)
    assert given == FIRST_LOOK + LOOKS_PER_TASK
    for _ in range(2000):
        take(queue)
    assert given - 2001 < LOOK_AHEAD + LOOKS_PER_TASK


def test_a_series_stays_with_one_association_when_there_are_enough() -> None:
    queue = queue_of(["a", "b"] * 3, associations=2)
    first, second = take(queue, 0), take(queue, 1)
    assert (first.index, second.index) == (0, 1)
    queue.done(first)
    queue.done(second)
    assert [take(queue, 0).index, take(queue, 0).index] == [2, 4]
    assert queue.take(0, anything) is None, "series b belongs to the other one"
    assert [take(queue, 1).index, take(queue, 1).index] == [3, 5]


def test_no_association_takes_the_share_of_one_that_is_still_being_opened() -> None:
    queue = queue_of(["a", "b", "c", "d"] * 3, associations=4)
    assert [take(queue, 0).index for _ in range(3)] == [0, 4, 8]
    assert [take(queue, 1).index for _ in range(3)] == [1, 5, 9]


def test_an_association_keeps_the_source_order_among_the_series_of_its_share() -> None:
    queue = queue_of(["a", "b", "c", "d"] * 2, associations=2)
    assert [take(queue, 0).index for _ in range(4)] == [0, 1, 4, 5]
    assert [take(queue, 1).index for _ in range(4)] == [2, 3, 6, 7]


def test_associations_share_a_series_when_there_are_fewer_series_than_associations() -> None:
    queue = queue_of(["a"] * 4, associations=4)
    assert [take(queue, worker).index for worker in (3, 1, 2, 0)] == [0, 1, 2, 3]


def test_a_series_far_ahead_is_looked_for_so_that_no_association_is_idle() -> None:
    queue = queue_of(["a"] * (3 * FIRST_LOOK) + ["b"], associations=2)
    assert take(queue, 0).index == 0
    assert take(queue, 1).index == 3 * FIRST_LOOK


def test_the_series_of_one_that_left_is_free_for_the_others() -> None:
    queue = queue_of(["a", "b", "a", "b"], associations=2)
    gone = take(queue, 1)
    take(queue, 0)
    queue.done(gone)
    queue.leave(1)
    assert {take(queue, 0).index, take(queue, 0).index} == {2, 3}


def test_what_was_put_back_comes_first_again() -> None:
    queue = queue_of(["a"] * 3)
    task = take(queue)
    queue.put_back(task)
    assert indexes_of(queue) == [0, 1, 2]


# What fits the association at hand


def test_what_does_not_fit_is_left_for_another_association() -> None:
    queue = Queue(iter([Task(0, instance(kind=(MR, EXPLICIT_LE))), Task(1, instance())]), 1)
    assert isinstance(queue.wait(0), Task)
    assert queue.take(0, lambda task: task.kind[0] == CT) is None
    assert take(queue).index == 0


def test_a_crowded_queue_hands_out_what_fits_first() -> None:
    queue = Queue(iter([Task(0, instance(kind=(MR, EXPLICIT_LE))), Task(1, instance())]), 1)
    queue.is_crowded = True
    assert take(queue, fits=lambda task: task.kind[0] == CT).index == 1
    assert take(queue).index == 0


def test_the_kinds_in_sight_begin_with_what_comes_next() -> None:
    kinds = [(CT, EXPLICIT_LE), (MR, JPEG), (CT, JPEG), (CT, EXPLICIT_LE)]
    queue = Queue(iter([Task(index, instance(kind=kind)) for index, kind in enumerate(kinds)]), 1)
    assert isinstance(queue.wait(0), Task)
    assert queue.kinds_in_sight(0) == kinds[:3]


# Trying again


def test_a_task_is_tried_again_when_its_time_has_come_and_the_rest_goes_on_meanwhile() -> None:
    queue = queue_of(["a"] * 3)
    task = take(queue)
    queue.try_again(task, 0.05)
    assert [take(queue).index, take(queue).index] == [1, 2]
    assert queue.take(0, anything) is None
    started = monotonic()
    assert take(queue) is task
    assert monotonic() - started >= 0.03


def test_nobody_waits_for_what_another_has_under_way_which_may_try_it_again() -> None:
    queue = queue_of(["a"], associations=2)
    task = take(queue, 0)
    assert queue.wait(1) is NoTask.END
    assert not queue.is_over
    queue.try_again(task, 0.0)
    assert isinstance(queue.wait(0), Task)
    queue.done(take(queue, 0))
    assert queue.wait(0) is NoTask.END
    assert queue.is_over


def test_what_is_tried_alone_has_one_worker_and_the_others_go_on() -> None:
    queue = queue_of(["a", "b"] * 3, associations=2)
    task, other = take(queue, 0), take(queue, 1)
    queue.done(other)
    task.is_alone = True
    queue.try_again(task, 0.0)
    assert isinstance(queue.wait(1), Task)
    assert queue.peek(1) is task
    assert queue.peek(0) is not task, "one association of its own is enough for it"
    assert take(queue, 0).index == 2
    queue.leave(1)
    assert queue.peek(0) is task, "the worker that had it is gone"


def test_a_worker_does_not_wait_for_what_another_tries_alone() -> None:
    queue = queue_of(["a", "a"], associations=2)
    tasks = [take(queue, 0), take(queue, 0)]
    tasks[0].is_alone = True
    queue.try_again(tasks[0], 0.0)
    assert queue.peek(1) is tasks[0]
    queue.try_again(tasks[1], 0.0)
    assert take(queue, 0) is tasks[1]
    assert take(queue, 1) is tasks[0]


def test_nothing_is_handed_out_while_the_peer_is_given_a_rest() -> None:
    queue = queue_of(["a"] * 2)
    assert isinstance(queue.wait(0), Task)
    queue.hold(0.05)
    assert queue.peek(0) is None
    started = monotonic()
    assert isinstance(queue.wait(0), Task)
    assert monotonic() - started >= 0.03


# At a pace, and within a memory


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is for the queue; set its only item."""
    now = [100.0]
    monkeypatch.setattr(queue_module, "monotonic", lambda: now[0])
    return now


def test_a_turn_that_came_late_is_made_up_for_by_one_and_no_more(clock: list[float]) -> None:
    queue = Queue(tasks_of(["a"] * 20), 1, max_rate=8.0)
    take(queue)
    assert queue.take(0, anything) is None, "its turn has not come"
    clock[0] += 0.1875  # a turn and a half
    take(queue)
    assert queue.take(0, anything) is None
    clock[0] += 0.0625
    assert take(queue).index == 2, "half a turn later is on time, on the average"
    assert queue.take(0, anything) is None
    clock[0] += 60.0
    take(queue)
    take(queue)
    assert queue.take(0, anything) is None, "a minute without work is no minute's worth of work at once"


def test_the_rate_is_held_on_the_average_though_each_turn_comes_a_little_late(clock: list[float]) -> None:
    queue = Queue(tasks_of(["a"] * 100), 1, max_rate=8.0)
    taken = 0
    for _ in range(100):
        taken += queue.take(0, anything) is not None if taken else take(queue) is not None
        clock[0] += 0.0703125  # the turns are at every 0.125
    assert 55 <= taken <= 57


def sized(index: int, size: int) -> Task:
    content = bytes(size)
    return Task(
        index, Instance("<bytes>", CT, "1.2.3", "1.2", "1", "CT", EXPLICIT_LE, 0, size, "", None, content)
    )


@pytest.mark.parametrize(
    ("sizes", "ahead"),
    [([10] * 9, 6), ([20] * 9, 3), ([40] * 9, 1), ([100] * 9, 1), ([0] * 9, 9), ([1, 1, 100, 1], 3)],
)
def test_no_more_is_in_sight_than_its_memory(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], ahead: int
) -> None:
    monkeypatch.setattr(queue_module, "AHEAD_BYTES", 64)
    looked = 0

    def found() -> Iterator[Task]:
        nonlocal looked
        for looked, size in enumerate(sizes, start=1):
            yield sized(looked - 1, size)

    queue = Queue(found(), 1)
    assert isinstance(queue.wait(0), Task)
    assert looked == ahead
    assert queue.prefetch.held_bytes == sum(sizes[:ahead])
    tasks = [take(queue) for _ in sizes]
    assert [task.index for task in tasks] == list(range(len(sizes)))
    assert queue.prefetch.held_bytes == 0, "what is being sent is not ahead any more"
    queue.try_again(tasks[0], 0.0)
    assert queue.prefetch.held_bytes == sizes[0]
    queue.put_back(tasks[1])
    assert queue.prefetch.held_bytes == sizes[0] + sizes[1]
    assert len([task for task in queue.rest() if isinstance(task, Task)]) == 2
    assert queue.prefetch.held_bytes == 0


# Looked at again


@pytest.mark.parametrize("associations", [1, 2])
def test_what_was_looked_at_again_comes_first_as_what_it_is_now(associations: int) -> None:
    queue = queue_of(["a", "b"] * 3, associations)
    task = take(queue)

    def find(task: Task) -> None:
        task.instance = instance("c", (MR, EXPLICIT_LE))

    queue.look_again(task, find)
    assert queue.peek(0) is task
    assert queue.kinds_in_sight(0)[0] == (MR, EXPLICIT_LE)
    assert sorted(indexes_of(queue)) == list(range(6)), "and nothing of its old series is lost"
    assert queue.is_over


def test_what_is_no_task_any_more_is_handed_out_at_once() -> None:
    queue, row = queue_of(["a"]), untried()
    queue.look_again(take(queue), lambda task: row)
    assert queue.wait(0) is row
    assert queue.wait(0) is NoTask.END
    assert queue.is_over


# Pause, stop, the rest


def test_nothing_is_handed_out_during_a_pause() -> None:
    is_paused = True
    queue = Queue(tasks_of(["a"]), 1, is_paused=lambda: is_paused)
    assert queue.wait(0, seconds=0.0) is NoTask.IDLE
    assert queue.take(0, anything) is None
    is_paused = False
    assert take(queue).index == 0


def test_the_rest_after_a_stop_is_everything_without_a_last_row_in_source_order() -> None:
    queue = queue_of(["a"] * 5)
    done, again, back = take(queue), take(queue), take(queue)
    queue.done(done)
    queue.try_again(again, 60.0)
    queue.put_back(back)
    queue.stop()
    assert queue.wait(0) is NoTask.END
    assert queue.take(0, anything) is None
    assert [task.index for task in queue.rest() if isinstance(task, Task)] == [1, 2, 3, 4]


def test_the_rest_of_a_slow_source_is_waited_for_with_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "ARRIVAL_SECONDS", 0.001)
    source = Slow()
    queue = Queue(source, 1)
    queue.stop()
    rest = queue.rest()
    assert next(rest) is None, "so that the batch can look whether it was cancelled"
    source.found = [Task(0, instance())]
    source.is_open = True
    assert [task.index for task in rest if isinstance(task, Task)] == [0]


# Sources


def test_what_makes_no_task_is_told_of_at_once() -> None:
    queue = Queue(Slow(None), 1)
    assert queue.wait(0) is NoTask.SCANNED
    assert queue.take(0, anything) is None
    assert queue.wait(0, seconds=0.0) is NoTask.IDLE


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_a_row_of_what_will_not_be_sent_is_handed_out_before_any_task(is_waited_for: bool) -> None:
    row = untried(1)
    queue = Queue(iter([Task(0, instance()), row, Task(2, instance())]), 1)
    if is_waited_for:
        assert queue.wait(0) is row
    else:
        assert queue.kinds_in_sight(0) == []
        queue = Queue(iter([*(Task(index, instance()) for index in range(FIRST_LOOK)), row]), 1)
        take(queue)
        assert queue.take(0, lambda task: False) is row
    assert isinstance(queue.wait(0), Task)


def test_what_will_not_be_sent_keeps_its_row_after_a_stop() -> None:
    row = untried(1)
    queue = Queue(iter([*(Task(index, instance()) for index in range(FIRST_LOOK)), row]), 1)
    take(queue)
    queue.stop()
    assert next(queue.rest()) is row


def test_a_source_that_no_descriptor_was_free_for_is_told_of_when_nothing_else_is_left() -> None:
    class Short(Slow):
        def __next__(self) -> Task | Untried | None:
            if not self.found:
                raise NoDescriptorYet
            return self.found.pop(0)

    queue = Queue(Short(Task(0, instance())), 1)
    take(queue)
    assert queue.wait(0) is NoTask.SHORT
    assert queue.wait(0) is NoTask.SHORT, "it was looked for again"


@pytest.mark.parametrize("associations", [1, 4])
def test_a_long_stretch_without_tasks_is_no_long_stretch_under_the_lock(associations: int) -> None:
    looks = 0

    def nothing() -> Iterator[None]:
        nonlocal looks
        while True:
            looks += 1
            yield None

    queue = Queue(nothing(), associations)
    assert queue.wait(0) is NoTask.SCANNED
    assert looks <= FIRST_LOOK + LOOK_AHEAD


def test_a_source_that_has_nothing_yet_is_waited_for() -> None:
    import threading

    source = Slow()
    queue = Queue(source, 1)
    answers: list[Task | Untried | NoTask] = []
    waiter = threading.Thread(target=lambda: answers.append(queue.wait(0)))
    waiter.start()
    task = Task(0, instance())
    source.found.append(task)
    queue.prefetch.wake()
    waiter.join(5.0)
    assert answers == [task]


def test_workers_that_wait_are_woken_by_the_end() -> None:
    import threading

    queue = queue_of(["a"], associations=2)
    task = take(queue, 0)
    answers: list[Task | Untried | NoTask] = []
    waiter = threading.Thread(target=lambda: answers.append(queue.wait(1)))
    waiter.start()
    queue.done(task)
    wait_until(lambda: answers == [NoTask.END], 5.0, "the other worker sees the end")
    waiter.join()


# Presentation contexts


def test_each_class_has_a_context_as_stored_and_one_uncompressed() -> None:
    contexts, covered = propose([(CT, JPEG), (MR, IMPLICIT_LE), (CT, EXPLICIT_LE), (CT, JPEG)])
    offers = [(context.abstract_syntax, context.transfer_syntaxes) for context in contexts]
    assert offers == [
        (CT, (JPEG,)),
        (MR, (IMPLICIT_LE,)),
        (CT, (EXPLICIT_LE,)),
        (CT, (EXPLICIT_LE, IMPLICIT_LE)),
        (MR, (EXPLICIT_LE, IMPLICIT_LE)),
    ]
    assert [context.id for context in contexts] == [1, 3, 5, 7, 9]
    assert list(covered) == [(CT, JPEG), (MR, IMPLICIT_LE), (CT, EXPLICIT_LE)]


@pytest.mark.parametrize(("kinds_per_class", "covered"), [(1, 64), (3, 96), (127, 127), (200, 127)])
def test_no_association_proposes_more_contexts_than_there_are_numbers(
    kinds_per_class: int, covered: int
) -> None:
    kinds = [
        (f"1.2.{sop_class}", f"1.3.{syntax}") for sop_class in range(200) for syntax in range(kinds_per_class)
    ]
    contexts, fitting = propose(kinds)
    assert len(contexts) <= MAX_CONTEXTS
    assert max(context.id for context in contexts) <= 255
    assert len(fitting) == covered
    assert list(fitting) == kinds[:covered], "in source order"
