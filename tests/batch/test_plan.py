"""The plan of a batch: what is sent next, by which association. Pure, so every case is a table row or a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic

import pytest

from dicomkit.batch import _queue as plan_module
from dicomkit.batch._queue import FIRST_LOOK, LOOK_AHEAD, LOOKS_PER_TASK, NotYet, Plan, Task
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.sending import Kind, propose
from dicomkit.sources import Instance
from dicomkit.wire.pdu import MAX_CONTEXTS
from tests.support.peers import wait_until

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
JPEG = "1.2.840.10008.1.2.4.50"


def instance(series: str | None = "1", kind: Kind = (CT, EXPLICIT_LE)) -> Instance:
    return Instance("file", kind[0], "1.2.3", "1.2", series, "CT", kind[1], 0, 0, "", None, b"")


def tasks_of(series: Iterable[str | None]) -> Iterator[Task]:
    return (Task(index, instance(one)) for index, one in enumerate(series))


def plan_of(series: Iterable[str | None], associations: int = 1) -> Plan:
    return Plan(tasks_of(series), associations)


def anything(task: Task) -> bool:
    return True


def take(plan: Plan, worker: int = 0, fits: Callable[[Task], bool] = anything) -> Task:
    assert plan.wait_for_work(worker) is True
    task = plan.take(worker, fits)
    assert task is not None
    return task


def indexes_of(plan: Plan) -> list[int]:
    """All that one worker is given, in the order it is given."""
    taken = []
    while plan.wait_for_work(0):
        while (task := plan.take(0, anything)) is not None:
            taken.append(task.index)
            plan.done(task)
    return taken


class Slow:
    """Tasks that come when they are let come; None for what is no task."""

    def __init__(self, *found: Task | None) -> None:
        self.found = list(found)
        self.is_open = False

    def __iter__(self) -> Slow:
        return self

    def __next__(self) -> Task | None:
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
    assert indexes_of(plan_of(series)) == list(range(len(series)))


def test_no_more_than_the_look_ahead_is_in_sight() -> None:
    given = 0

    def counted() -> Iterator[Task]:
        nonlocal given
        for given, task in enumerate(tasks_of(["a"] * 5000), start=1):  # noqa: B007 - the count is what matters
            yield task

    plan = Plan(counted(), 1)
    take(plan)
    assert given == FIRST_LOOK + LOOKS_PER_TASK
    for _ in range(2000):
        take(plan)
    assert given - 2001 < LOOK_AHEAD + LOOKS_PER_TASK


def test_a_series_stays_with_one_association_when_there_are_enough() -> None:
    plan = plan_of(["a", "b"] * 3, associations=2)
    first, second = take(plan, 0), take(plan, 1)
    assert (first.index, second.index) == (0, 1)
    plan.done(first)
    plan.done(second)
    assert [take(plan, 0).index, take(plan, 0).index] == [2, 4]
    assert plan.take(0, anything) is None, "series b belongs to the other one"
    assert [take(plan, 1).index, take(plan, 1).index] == [3, 5]


def test_no_association_takes_the_share_of_one_that_is_still_being_opened() -> None:
    plan = plan_of(["a", "b", "c", "d"] * 3, associations=4)
    assert [take(plan, 0).index for _ in range(3)] == [0, 4, 8]
    assert [take(plan, 1).index for _ in range(3)] == [1, 5, 9]


def test_an_association_keeps_the_source_order_among_the_series_of_its_share() -> None:
    plan = plan_of(["a", "b", "c", "d"] * 2, associations=2)
    assert [take(plan, 0).index for _ in range(4)] == [0, 1, 4, 5]
    assert [take(plan, 1).index for _ in range(4)] == [2, 3, 6, 7]


def test_associations_share_a_series_when_there_are_fewer_series_than_associations() -> None:
    plan = plan_of(["a"] * 4, associations=4)
    assert [take(plan, worker).index for worker in (3, 1, 2, 0)] == [0, 1, 2, 3]


def test_a_series_far_ahead_is_looked_for_so_that_no_association_is_idle() -> None:
    plan = plan_of(["a"] * (3 * FIRST_LOOK) + ["b"], associations=2)
    assert take(plan, 0).index == 0
    assert take(plan, 1).index == 3 * FIRST_LOOK


def test_the_series_of_one_that_left_is_free_for_the_others() -> None:
    plan = plan_of(["a", "b", "a", "b"], associations=2)
    gone = take(plan, 1)
    take(plan, 0)
    plan.done(gone)
    plan.leave(1)
    assert {take(plan, 0).index, take(plan, 0).index} == {2, 3}


def test_what_was_put_back_comes_first_again() -> None:
    plan = plan_of(["a"] * 3)
    task = take(plan)
    plan.put_back(task)
    assert indexes_of(plan) == [0, 1, 2]


# What fits the association at hand


def test_what_does_not_fit_is_left_for_another_association() -> None:
    plan = Plan(iter([Task(0, instance(kind=(MR, EXPLICIT_LE))), Task(1, instance())]), 1)
    assert plan.wait_for_work(0)
    assert plan.take(0, lambda task: task.kind[0] == CT) is None
    assert take(plan).index == 0


def test_a_crowded_plan_hands_out_what_fits_first() -> None:
    plan = Plan(iter([Task(0, instance(kind=(MR, EXPLICIT_LE))), Task(1, instance())]), 1)
    plan.is_crowded = True
    assert take(plan, fits=lambda task: task.kind[0] == CT).index == 1
    assert take(plan).index == 0


def test_the_kinds_in_sight_begin_with_what_comes_next() -> None:
    kinds = [(CT, EXPLICIT_LE), (MR, JPEG), (CT, JPEG), (CT, EXPLICIT_LE)]
    plan = Plan(iter([Task(index, instance(kind=kind)) for index, kind in enumerate(kinds)]), 1)
    assert plan.wait_for_work(0)
    assert plan.kinds_in_sight(0) == kinds[:3]


# Trying again


def test_a_task_is_tried_again_when_its_time_has_come_and_the_rest_goes_on_meanwhile() -> None:
    plan = plan_of(["a"] * 3)
    task = take(plan)
    plan.try_again(task, 0.05)
    assert [take(plan).index, take(plan).index] == [1, 2]
    assert plan.take(0, anything) is None
    started = monotonic()
    assert take(plan) is task
    assert monotonic() - started >= 0.03


def test_nobody_waits_for_what_another_has_under_way_which_may_try_it_again() -> None:
    plan = plan_of(["a"], associations=2)
    task = take(plan, 0)
    assert plan.wait_for_work(1) is False
    assert not plan.is_over
    plan.try_again(task, 0.0)
    assert plan.wait_for_work(0)
    plan.done(take(plan, 0))
    assert plan.wait_for_work(0) is False
    assert plan.is_over


def test_what_is_tried_alone_has_one_worker_and_the_others_go_on() -> None:
    plan = plan_of(["a", "b"] * 3, associations=2)
    task, other = take(plan, 0), take(plan, 1)
    plan.done(other)
    task.alone = True
    plan.try_again(task, 0.0)
    assert plan.wait_for_work(1)
    assert plan.peek(1) is task
    assert plan.peek(0) is not task, "one association of its own is enough for it"
    assert take(plan, 0).index == 2
    plan.leave(1)
    assert plan.peek(0) is task, "the worker that had it is gone"


def test_a_worker_does_not_wait_for_what_another_tries_alone() -> None:
    plan = plan_of(["a", "a"], associations=2)
    tasks = [take(plan, 0), take(plan, 0)]
    tasks[0].alone = True
    plan.try_again(tasks[0], 0.0)
    assert plan.peek(1) is tasks[0]
    plan.try_again(tasks[1], 0.0)
    assert take(plan, 0) is tasks[1]
    assert take(plan, 1) is tasks[0]


def test_nothing_is_handed_out_while_the_peer_is_given_a_rest() -> None:
    plan = plan_of(["a"] * 2)
    assert plan.wait_for_work(0)
    plan.hold(0.05)
    assert plan.peek(0) is None
    started = monotonic()
    assert plan.wait_for_work(0)
    assert monotonic() - started >= 0.03


# At a pace, and within a memory


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is for the plan; set its only item."""
    now = [100.0]
    monkeypatch.setattr(plan_module, "monotonic", lambda: now[0])
    return now


def test_a_turn_that_came_late_is_made_up_for_by_one_and_no_more(clock: list[float]) -> None:
    plan = Plan(tasks_of(["a"] * 20), 1, max_rate=8.0)
    take(plan)
    assert plan.take(0, anything) is None, "its turn has not come"
    clock[0] += 0.1875  # a turn and a half
    take(plan)
    assert plan.take(0, anything) is None
    clock[0] += 0.0625
    assert take(plan).index == 2, "half a turn later is on time, on the average"
    assert plan.take(0, anything) is None
    clock[0] += 60.0
    take(plan)
    take(plan)
    assert plan.take(0, anything) is None, "a minute without work is no minute's worth of work at once"


def test_the_rate_is_held_on_the_average_though_each_turn_comes_a_little_late(clock: list[float]) -> None:
    plan = Plan(tasks_of(["a"] * 100), 1, max_rate=8.0)
    taken = 0
    for _ in range(100):
        taken += plan.take(0, anything) is not None if taken else take(plan) is not None
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
    monkeypatch.setattr(plan_module, "AHEAD_BYTES", 64)
    looked = 0

    def found() -> Iterator[Task]:
        nonlocal looked
        for looked, size in enumerate(sizes, start=1):
            yield sized(looked - 1, size)

    plan = Plan(found(), 1)
    assert plan.wait_for_work(0)
    assert looked == ahead
    assert plan.held_bytes == sum(sizes[:ahead])
    tasks = [take(plan) for _ in sizes]
    assert [task.index for task in tasks] == list(range(len(sizes)))
    assert plan.held_bytes == 0, "what is being sent is not ahead any more"
    plan.try_again(tasks[0], 0.0)
    assert plan.held_bytes == sizes[0]
    plan.put_back(tasks[1])
    assert plan.held_bytes == sizes[0] + sizes[1]
    assert len([task for task in plan.rest() if task]) == 2
    assert plan.held_bytes == 0


# Looked at again


@pytest.mark.parametrize("associations", [1, 2])
def test_what_was_looked_at_again_comes_first_as_what_it_is_now(associations: int) -> None:
    plan = plan_of(["a", "b"] * 3, associations)
    task = take(plan)

    def find(task: Task) -> bool:
        task.instance = instance("c", (MR, EXPLICIT_LE))
        return True

    plan.look_again(task, find)
    assert plan.peek(0) is task
    assert plan.kinds_in_sight(0)[0] == (MR, EXPLICIT_LE)
    assert sorted(indexes_of(plan)) == list(range(6)), "and nothing of its old series is lost"
    assert plan.is_over


def test_what_is_no_task_any_more_is_told_of_at_once() -> None:
    plan = plan_of(["a"])
    plan.look_again(take(plan), lambda task: False)
    assert plan.wait_for_work(0) is False
    assert plan.is_over


# Pause, stop, the rest


def test_nothing_is_handed_out_during_a_pause() -> None:
    plan = plan_of(["a"])
    plan.may_take = lambda: False
    assert plan.wait_for_work(0, seconds=0.0) is None
    assert plan.take(0, anything) is None
    plan.may_take = lambda: True
    assert take(plan).index == 0


def test_the_rest_after_a_stop_is_everything_without_a_last_row_in_source_order() -> None:
    plan = plan_of(["a"] * 5)
    done, again, back = take(plan), take(plan), take(plan)
    plan.done(done)
    plan.try_again(again, 60.0)
    plan.put_back(back)
    plan.stop()
    assert plan.wait_for_work(0) is False
    assert plan.take(0, anything) is None
    assert [task.index for task in plan.rest() if task] == [1, 2, 3, 4]


def test_the_rest_of_a_slow_source_is_waited_for_with_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "ARRIVAL_SECONDS", 0.001)
    source = Slow()
    plan = Plan(source, 1)
    plan.stop()
    rest = plan.rest()
    assert next(rest) is None, "so that the batch can look whether it was cancelled"
    source.found = [Task(0, instance())]
    source.is_open = True
    assert [task.index for task in rest if task] == [0]


# Sources


def test_what_makes_no_task_is_told_of_at_once() -> None:
    plan = Plan(Slow(None), 1)
    assert plan.wait_for_work(0) is True, "the row of it is due"
    assert plan.take(0, anything) is None
    assert plan.wait_for_work(0, seconds=0.0) is None


@pytest.mark.parametrize("associations", [1, 4])
def test_a_long_stretch_without_tasks_is_no_long_stretch_under_the_lock(associations: int) -> None:
    looks = 0

    def nothing() -> Iterator[None]:
        nonlocal looks
        while True:
            looks += 1
            yield None

    plan = Plan(nothing(), associations)
    assert plan.wait_for_work(0) is True
    assert looks <= FIRST_LOOK + LOOK_AHEAD


def test_a_source_that_has_nothing_yet_is_waited_for() -> None:
    import threading

    source = Slow()
    plan = Plan(source, 1)
    answers: list[bool | None] = []
    waiter = threading.Thread(target=lambda: answers.append(plan.wait_for_work(0)))
    waiter.start()
    source.found.append(Task(0, instance()))
    plan.wake()
    waiter.join(5.0)
    assert answers == [True]


def test_workers_that_wait_are_woken_by_the_end() -> None:
    import threading

    plan = plan_of(["a"], associations=2)
    task = take(plan, 0)
    answers: list[bool | None] = []
    waiter = threading.Thread(target=lambda: answers.append(plan.wait_for_work(1)))
    waiter.start()
    plan.done(task)
    wait_until(lambda: answers == [False], 5.0, "the other worker sees the end")
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
