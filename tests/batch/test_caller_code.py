"""Code of the caller's that runs within a batch: iterables, paths and listeners that raise, or never come to an end.

Whatever they do, `send_batch` returns, every instance has its row, and what can be sent is.
"""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydicom import Dataset, dcmread

from dicomkit import Batch, BatchControl, LocalSCP, Outcome, find_instances, send_batch
from dicomkit.batch._intake import Feeder
from dicomkit.batch._queue import AHEAD_BYTES, NotYet, Prefetch
from dicomkit.events import AssociationClosed, AssociationOpened, Done, Event, RowAdded, Scanned, Sending
from dicomkit.scp import Delay
from dicomkit.sources import Instance, Unreadable
from tests.support.files import ct_instance, instance_uid
from tests.support.peers import wait_until

pytestmark = pytest.mark.usefixtures("no_leaks")

PATIENT = "Phantom^Patient"


def sent(sources: object, **parameters: Any) -> Batch:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), sources, **parameters)
        assert sorted(scp.received.sop_instance_uid) == sorted(
            batch.to_frame().query("outcome == 'stored'").sop_instance_uid
        )
    return batch


def outcomes(batch: Batch) -> list[str]:
    return [str(outcome) for outcome in batch.to_frame().outcome]


# Lists without end ----------------------------------------------------------------------------------------------------


def holding_itself() -> list[object]:
    endless: list[object] = [ct_instance(1)]
    endless.append(endless)
    return endless


def holding_itself_by_way_of_others() -> list[object]:
    endless: list[object] = [ct_instance(1)]
    endless.append(({"inner": endless}.values(),))
    return endless


def a_generator_that_gives_itself() -> Iterator[object]:
    def give() -> Iterator[object]:
        yield ct_instance(1)
        yield one
        yield ct_instance(2)

    one = give()
    return one


@pytest.mark.parametrize("make", [holding_itself, holding_itself_by_way_of_others])
def test_a_list_that_holds_itself_is_a_row_and_the_rest_is_sent(make: Callable[[], list[object]]) -> None:
    endless = make()
    batch = sent([ct_instance(0), endless, ct_instance(2)])
    assert outcomes(batch) == ["stored", "stored", "unreadable", "stored"]
    assert batch.to_frame().detail[2] == "it holds itself, so it has no end; leave it out"
    assert batch.to_frame().source[2] == "<list>"
    found = list(find_instances(endless))
    assert [type(one) for one in found] == [Instance, Unreadable]
    gc.collect()  # which a circle is left to


def test_a_generator_that_gives_itself_is_gone_on_with() -> None:
    for nested in (True, False):
        one = a_generator_that_gives_itself()
        batch = sent([one] if nested else one)
        assert outcomes(batch) == ["stored", "unreadable", "stored"]
        assert "it holds itself" in batch.to_frame().detail[1]


def test_lists_may_be_nested_as_deep_as_you_like() -> None:
    nested: object = [ct_instance(0), "gone.dcm"]
    for depth in range(100_000):
        nested = [nested] if depth % 2 else (nested,)
    batch = sent([nested, ct_instance(1)])
    assert outcomes(batch) == ["stored", "unreadable", "stored"]
    assert len(list(find_instances(nested))) == 2


def test_what_nests_for_ever_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomkit.sources._instances._DEEPEST", 5000)

    class Deeper:
        def __iter__(self) -> Iterator[Deeper]:
            yield Deeper()

    batch = sent([Deeper(), ct_instance(0)])
    assert outcomes(batch) == ["unreadable", "stored"]
    assert "nested deeper than 5000" in batch.to_frame().detail[0]


@pytest.mark.parametrize("sources", [itertools.repeat([]), [itertools.repeat(())]], ids=["given", "nested"])
def test_a_batch_of_nothing_without_end_can_be_cancelled(sources: object) -> None:
    control = BatchControl()

    def cancel(event: Event) -> None:
        if isinstance(event, Scanned):
            for _ in range(3):
                control.cancel()

    batch = sent(sources, control=control, on_event=cancel)
    assert batch.interrupted
    assert not len(batch)


# What raises ----------------------------------------------------------------------------------------------------------


class Refusing(list[object]):
    """A list that does none of what a list does."""

    def __iter__(self) -> NoReturn:
        raise OSError(PATIENT)

    def __len__(self) -> NoReturn:
        raise RuntimeError(PATIENT)

    def __bool__(self) -> NoReturn:
        raise ValueError(PATIENT)

    def __repr__(self) -> NoReturn:
        raise ValueError(PATIENT)


class RefusingTuple(tuple[object, ...]):
    def __iter__(self) -> NoReturn:
        raise LookupError(PATIENT)


class BrokenOff(list[object]):
    def __iter__(self) -> Iterator[object]:
        yield ct_instance(5)
        raise OSError(PATIENT)


class NoPath:
    def __fspath__(self) -> str:
        raise RuntimeError(PATIENT)


class StrangePath:
    def __fspath__(self) -> str:
        return 5  # type: ignore[return-value]


class Secretive:
    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(PATIENT)


class Generous:
    """Has every attribute there is, as a mock has."""

    def __getattr__(self, name: str) -> object:
        return Generous()

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __contains__(self, name: object) -> bool:
        raise RuntimeError(PATIENT)


class Disguised:
    @property
    def __class__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError(PATIENT)


class Nameless(type):
    @property
    def __name__(cls) -> NoReturn:  # type: ignore[override]
        raise RuntimeError(PATIENT)

    def __getattr__(cls, name: str) -> NoReturn:
        raise RuntimeError(PATIENT)


class OfNoName(metaclass=Nameless):
    pass


class NextNothing:
    def __iter__(self) -> object:
        return 5


class FakeFrame:
    columns = ("source",)

    def __getitem__(self, name: str) -> NoReturn:
        raise MemoryError(PATIENT)


class Hiding(Dataset):
    def get(self, *arguments: object, **more: object) -> NoReturn:
        raise RuntimeError(PATIENT)


STRANGE: list[tuple[object, str]] = [
    (Refusing(), "unreadable"),
    (RefusingTuple(), "unreadable"),
    (NoPath(), "unreadable"),
    (StrangePath(), "unreadable"),
    (Secretive(), "unreadable"),
    (Generous(), "unreadable"),
    (Disguised(), "unreadable"),
    (OfNoName(), "unreadable"),
    (NextNothing(), "unreadable"),
    (FakeFrame(), "unreadable"),
    (Hiding(), "unreadable"),
    (ValueError(PATIENT), "invalid_message"),
    (KeyboardInterrupt(), "invalid_message"),
    (ValueError, "invalid_message"),
    (lambda: None, "invalid_message"),
]


@pytest.mark.parametrize(("strange", "outcome"), STRANGE, ids=lambda value: type.__repr__(type(value)))
def test_what_raises_when_it_is_asked_what_it_is_has_a_row(strange: object, outcome: str) -> None:
    for sources, expected in (
        ([ct_instance(0), strange, ct_instance(1)], ["stored", outcome, "stored"]),
        ([[ct_instance(0), (strange,)], ct_instance(1)], ["stored", outcome, "stored"]),
        (iter([ct_instance(0), strange, ct_instance(1)]), ["stored", outcome, "stored"]),
        (iter([[ct_instance(0), strange], ct_instance(1)]), ["stored", outcome, "stored"]),
        (strange, [outcome]),
    ):
        batch = sent(sources)
        frame = batch.to_frame()
        assert outcomes(batch) == expected
        row = frame[frame.outcome == outcome].iloc[0]
        assert len(row.detail) > 20
        assert PATIENT not in row.detail
        assert row.source.startswith("<")


ERRORS = [OSError, RuntimeError, TypeError, MemoryError, RecursionError, StopAsyncIteration, LookupError]
ENDS = [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException]


@pytest.mark.parametrize("error", ERRORS + ENDS)
def test_whatever_a_generator_raises_is_a_row(error: type[BaseException]) -> None:
    def broken() -> Iterator[object]:
        yield ct_instance(0)
        raise error(PATIENT)

    class Broken:
        __iter__ = staticmethod(broken)

    for sources, expected in (
        (broken(), ["stored", "unreadable"]),
        (Broken(), ["stored", "unreadable"]),
        ([broken(), ct_instance(1)], ["stored", "unreadable", "stored"]),
        (iter([Broken(), ct_instance(1)]), ["stored", "unreadable", "stored"]),
        ({"a": broken()}.values(), ["stored", "unreadable"]),
    ):
        batch = sent(sources)
        assert outcomes(batch) == expected
        assert not batch.interrupted
        detail = batch.to_frame().detail[1]
        assert f"ended with {error.__name__}" in detail
        assert "gave before was sent" in detail
        assert PATIENT not in detail


def test_find_instances_raises_what_the_sources_raise() -> None:
    """For who iterates for himself, an error of his own is his own."""
    finds = find_instances([ct_instance(0), BrokenOff()])
    assert isinstance(next(finds), Instance)
    assert isinstance(next(finds), Instance)
    with pytest.raises(OSError):
        next(finds)
    with pytest.raises(TypeError, match="no source of instances"):
        list(find_instances([5]))


def test_a_list_in_a_list_that_raises_leaves_the_others_alone() -> None:
    batch = sent([ct_instance(0), BrokenOff(), ct_instance(1)])
    assert outcomes(batch) == ["stored", "stored", "unreadable", "stored"]
    assert "<BrokenOff>, ended with OSError" in batch.to_frame().detail[2]


# A listener that wants an end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("kind", [Scanned, AssociationOpened, Sending, RowAdded, AssociationClosed])
@pytest.mark.parametrize("associations", [1, 3])
@pytest.mark.parametrize("always", [True, False], ids=["always", "once"])
def test_a_listener_that_raises_an_end_ends_the_batch_with_its_rows(
    error: type[BaseException], kind: type, associations: int, always: bool
) -> None:
    raised = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, kind) and (always or not raised.is_set()):
            raised.set()
            raise error

    contents = [ct_instance(index, series_uid=f"1.2.3.{index % 5}") for index in range(50)]
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), contents, associations=associations, on_event=listen)
        stored = set(scp.received.sop_instance_uid)
    frame = batch.to_frame(latest=True)
    assert raised.is_set()
    assert batch.interrupted
    assert not batch.ok
    assert list(frame.instance) == list(range(50))
    assert set(frame.outcome) <= {"stored", "cancelled"}
    assert set(frame[frame.outcome == "stored"].sop_instance_uid) == stored
    assert f"on_event raised {error.__name__}" in batch.note
    if kind in (AssociationOpened, Sending, RowAdded):
        assert batch.outcomes[Outcome.CANCELLED]


def test_a_listener_that_raises_an_end_at_the_end_interrupts_too() -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Done):
            raise KeyboardInterrupt

    batch = sent(ct_instance(0), on_event=listen)
    assert batch.interrupted
    assert outcomes(batch) == ["stored"]


# Memory ---------------------------------------------------------------------------------------------------------------


def pulled_by(feeder: Feeder) -> object:
    """The next source, once it is there."""
    found: list[object] = []

    def is_there() -> bool:
        try:
            found.append(feeder.next())
        except NotYet:
            return False
        return True

    wait_until(is_there, 5.0, "the feeder has something")
    return found[0]


@pytest.mark.parametrize(
    ("megabytes", "most"), [([1] * 200, 64), ([40] * 5, 1), ([100] * 4, 1), ([1, 1, 100, 1], 3)]
)
def test_a_feeder_pulls_no_more_ahead_than_its_memory(megabytes: list[int], most: int) -> None:
    given = 0

    def give() -> Iterator[bytes]:
        nonlocal given
        for size in megabytes:
            given += 1
            yield bytes(size << 20)

    prefetch = Prefetch()
    feeder = Feeder(give(), prefetch)
    with pytest.raises(NotYet):
        feeder.next()
    wait_until(lambda: feeder._is_waiting and given >= most, 5.0, "the feeder waits for room")
    assert given == most
    # What it has given is in the queue until it is sent.
    prefetch.held_bytes = len(pulled_by(feeder))  # type: ignore[arg-type]
    assert given == most
    feeder.close()
    wait_until(lambda: not feeder._is_waiting, 5.0, "its thread has ended")


def test_a_generator_may_use_its_dataset_and_its_buffer_again() -> None:
    dataset = dcmread(BytesIO(ct_instance(0)))
    buffer = bytearray(ct_instance(0))

    def datasets() -> Iterator[Dataset]:
        for index in range(20):
            dataset.SOPInstanceUID = instance_uid(index)
            yield dataset

    def buffers() -> Iterator[object]:
        for index in range(20):
            buffer[:] = ct_instance(index)
            yield memoryview(buffer) if index % 2 else buffer

    def lists() -> Iterator[list[Dataset]]:
        for _ in datasets():
            yield [dataset]

    for sources in (datasets(), buffers(), lists()):
        batch = sent(sources)
        assert batch.ok
        assert list(batch.to_frame().sop_instance_uid) == [instance_uid(index) for index in range(20)]


MEMORY = """
import resource, sys, threading
from io import BytesIO
from pydicom import dcmread
from dicomkit import BatchControl, DicomMessage, DicomSenderSetting, send_batch
from dicomkit.events import RowAdded
from tests.support.files import ct_instance

kind, port = sys.argv[1], int(sys.argv[2])
ROWS = 1024  # 1 MB at 512 columns
given = 0

def dataset(index):
    return dcmread(BytesIO(ct_instance(index, rows=ROWS, columns=512)))

def given_one_by_one(make):
    global given
    for index in range(300):
        given += 1
        yield make(index)

class Lazy:
    def __iter__(self):
        return given_one_by_one(dataset)

sources = {
    "bytes": lambda: given_one_by_one(lambda index: ct_instance(index, rows=ROWS, columns=512)),
    "datasets": lambda: given_one_by_one(dataset),
    "messages": lambda: given_one_by_one(lambda index: DicomMessage.from_dataset(dataset(index))),
    "lists": lambda: given_one_by_one(lambda index: [dataset(index)]),
    "an iterable": lambda: Lazy(),
    "a nested generator": lambda: [given_one_by_one(dataset)],
    "a list": lambda: [dataset(0)] * 300,
}[kind]()
control = BatchControl()

def listen(event):
    if isinstance(event, RowAdded) and event.result.instance == 20:
        control.cancel()

def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

ct_instance(0, rows=ROWS, columns=512)
before = rss()
peak, over = 0.0, threading.Event()

def watch():
    global peak
    while not over.wait(0.005):
        peak = max(peak, rss())

watcher = threading.Thread(target=watch)
watcher.start()
batch = send_batch(DicomSenderSetting(remote_port=port), sources, control=control, on_event=listen)
over.set()
watcher.join()
assert len(batch) >= 21, batch
print(round(peak - before), given)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "kind",
    ["bytes", "datasets", "messages", "lists", "an iterable", "a nested generator", "a list"],
)
def test_what_is_held_ahead_is_bounded_by_bytes(kind: str) -> None:
    with LocalSCP(faults=[Delay(0.03)], keep_bytes=0) as scp:
        run = subprocess.run(
            [sys.executable, "-c", MEMORY, kind, str(scp.port)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            timeout=120,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    grown, _ = map(int, run.stdout.split())
    # What is ahead, what is being sent, and pydicom, which is imported meanwhile.
    assert grown < (AHEAD_BYTES >> 20) + 45
