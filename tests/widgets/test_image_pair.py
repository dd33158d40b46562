"""The viewer's two sides, browser and kernel, whatever becomes of what they say to each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dicomkit.widgets import ImageViewer
from tests.preview.test_preview import image
from tests.support.viewer_page import Answer, ViewerPage, browser

FRAMES = (12, 1, 2, 5)
MOST_PATIENCE_MS = 301_000  # longer than a browser waits for any answer

CHOOSE = """
([label, value]) => {
  const control = document.querySelector(`[aria-label="${label}"]`);
  control.value = value;
  control.dispatchEvent(new Event(label === "Series" ? "change" : "input"));
}
"""
# The stage knows its size when whoever observes it later does.
SIZED = "() => new Promise((done) => new ResizeObserver(done).observe(document.querySelector('.dk-stage-picture')))"
SEEN = """
() => {
  const canvas = document.querySelector(".dk-stage canvas");
  const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1);
  return {
    series: document.querySelector("[aria-label=Series]").value,
    frame: Number(document.querySelector("[aria-label=Frame]").value) - 1,
    corner: document.querySelector(".dk-corner-frame").textContent,
    level: data[3] ? data[0] : null,
  };
}
"""


def level(series: int, frame: int) -> int:
    """Which grey a frame is all of."""
    return 20 + 50 * series + 2 * frame


def stacks() -> list[Any]:
    datasets = []
    for series, frames in enumerate(FRAMES):
        levels = np.array([level(series, frame) for frame in range(frames)], "u1")
        stored = np.repeat(levels, 64).reshape(frames, 8, 8)
        dataset = image(stored, WindowCenter=128, WindowWidth=256)
        dataset.SeriesInstanceUID, dataset.SeriesNumber = f"2.25.{series + 1}", series
        datasets.append(dataset)
    return datasets


class Pair:
    """A page and its viewer, with everything that is on its way between them.

    As in a notebook, traits come in order, and what is asked for may overtake them. Answers come in any order or never.
    """

    def __init__(self, page: ViewerPage) -> None:
        self.viewer = ImageViewer(stacks())
        self.page = page
        page.show(self.viewer)
        page.page.evaluate(SIZED)
        self.updates: deque[dict[str, Any]] = deque()
        self.requests: deque[dict[str, Any]] = deque()
        self.traits: deque[Answer] = deque()
        self.answers: list[Answer] = []

    # What happens

    def user_chooses(self, number: int) -> None:
        if self.seen()["series"]:
            self.page.page.evaluate(CHOOSE, ["Series", str(number % len(FRAMES))])

    def user_turns_to(self, number: int) -> None:
        self.page.page.evaluate(CHOOSE, ["Frame", str(number + 1)])

    def python_chooses(self, number: int) -> None:
        self.viewer.series = number % len(FRAMES)

    def python_turns_to(self, number: int) -> None:
        self.viewer.frame = number % self.viewer.frame_count

    def update_arrives(self, _number: int) -> None:
        if self.updates:
            self.sort(self.page.hand_over(self.updates.popleft()))

    def request_arrives(self, _number: int) -> None:
        if self.requests:
            self.sort(self.page.hand_over(self.requests.popleft()))

    def trait_arrives(self, _number: int) -> None:
        if self.traits:
            self.page.deliver(self.traits.popleft())

    def answer_arrives(self, number: int) -> None:
        if self.answers:
            self.page.deliver(self.answers.pop(number % len(self.answers)))

    def answer_is_lost(self, number: int) -> None:
        if self.answers:
            self.answers.pop(number % len(self.answers))

    def time_passes(self, number: int) -> None:
        self.page.page.clock.run_for(1000 * number)

    # What comes of it

    def sort(self, said: list[Answer]) -> None:
        for answer in said:
            (self.answers if answer[1]["method"] == "custom" else self.traits).append(answer)

    def seen(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.page.page.evaluate(SEEN)
        return seen

    def step(self, what: str, number: int) -> None:
        getattr(self, what)(number)
        self.sort(self.page.said())
        self.page.drawn()
        for message in self.page.take():
            (self.updates if message["method"] == "update" else self.requests).append(message)
        seen = self.seen()
        if seen["level"] is None or not seen["series"]:
            return
        series = int(seen["series"])
        frame = int(seen["corner"].partition(" /")[0] or 1) - 1
        assert seen["level"] == level(series, frame)

    def settle(self) -> None:
        """Let all that is on its way arrive, and nothing more be lost."""
        for arrives, some in (
            ("update_arrives", self.updates),
            ("request_arrives", self.requests),
            ("trait_arrives", self.traits),
            ("answer_arrives", self.answers),
        ):
            while some:
                self.step(arrives, 0)
        self.page.serve()
        self.page.page.clock.fast_forward(MOST_PATIENCE_MS)
        self.page.serve()


STEPS = [
    *(
        "user_chooses",
        "user_turns_to",
        "python_chooses",
        "python_turns_to",
        "update_arrives",
        "request_arrives",
    ),
    *("trait_arrives", "answer_arrives", "answer_is_lost", "time_passes"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[ViewerPage]:
    with browser() as chromium:
        page = ViewerPage(chromium, ImageViewer(stacks()), is_stopped=True)
        yield page
        page.close()


ARRIVES = [("request_arrives", 0), ("update_arrives", 0), ("trait_arrives", 0), ("answer_arrives", 0)]


@pytest.mark.timeout(600)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), max_size=30))
@example(steps=[*ARRIVES * 6, ("user_chooses", 1), *ARRIVES * 3, ("user_chooses", 2)])
@example(steps=[*ARRIVES * 6, ("user_turns_to", 11), *ARRIVES, ("user_chooses", 1), ("user_chooses", 3)])
@example(steps=[("request_arrives", 0), ("answer_is_lost", 0), ("request_arrives", 0), ("answer_is_lost", 0)])
@example(steps=[*ARRIVES * 6, ("user_turns_to", 11), ("time_passes", 1), ("python_chooses", 1)])
def test_whatever_comes_late_or_never_ends_with_the_picture_of_the_label(
    steps: list[tuple[str, int]], page: ViewerPage
) -> None:
    pair = Pair(page)
    try:
        for what, number in steps:
            pair.step(what, number)
        pair.settle()
        seen = pair.seen()
        assert (int(seen["series"]), seen["frame"]) == (pair.viewer.series, pair.viewer.frame)
        assert seen["level"] == level(pair.viewer.series, pair.viewer.frame)
    finally:
        pair.viewer.close()
