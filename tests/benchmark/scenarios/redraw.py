"""The viewer in a browser: how often it redraws while the window is dragged, and whether it asks the kernel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from tests.benchmark.figures import Table, figure, median_of
from tests.benchmark.plan import Plan
from tests.support.files import write_multiframe
from tests.support.peers import MissingProgram

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAME = "redraw"
TITLE = "ImageViewer in Chromium without a GPU: redraws while the window is dragged"

MOVES, QUICK_MOVES = 200, 10
AT_LEAST_HZ = {512: 30, 2048: 20}

# A move for each frame of the screen; after it, the time until all of it is drawn.
_DRAG = """async (moves) => {
  const viewer = document.querySelector(".dk-viewer");
  const stage = viewer.querySelector(".dk-stage-picture");
  const { left, top, width, height } = stage.getBoundingClientRect();
  const x = left + width / 2, y = top + height / 2;
  const move = (type, n) => stage.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, isPrimary: true, button: type === "pointermove" ? -1 : 0, buttons: 1, bubbles: true,
    clientX: x + 100 * Math.sin(n / 10), clientY: y + 100 * Math.cos(n / 10),
  }));
  const screen = () => new Promise((done) => requestAnimationFrame(done));
  stage.setPointerCapture = () => {};  // there is no real pointer that could be held
  move("pointerdown", 0);
  await screen();
  const before = viewer.draws, gaps = [];
  let then = performance.now();
  for (let n = 1; n <= moves; n += 1) {
    const drawn = viewer.draws;
    move("pointermove", n);
    while (viewer.draws === drawn) await screen();
    const now = performance.now();
    gaps.push(now - then);
    then = now;
  }
  move("pointerup", moves);
  return { gaps, draws: viewer.draws - before };
}"""


def measure(plan: Plan) -> list[Table]:
    if find_spec("playwright") is None:
        raise MissingProgram("playwright")
    from tests.support.viewer_page import browser

    rows, verdicts = [], []
    with browser() as chromium:
        for edge, at_least in AT_LEAST_HZ.items():
            path = plan.workspace / f"redraw-{edge}.dcm"
            write_multiframe(path, frames=1, rows=edge, columns=edge)
            gaps, messages = _drag(chromium, path, QUICK_MOVES if plan.is_quick else MOVES)
            median, slow = median_of(gaps), quantiles(gaps, n=20)[-1]
            rows.append(
                [f"{edge}x{edge}", figure(1000 / median), figure(1000 / slow), str(len(gaps)), str(messages)]
            )
            verdict = "met" if 1000 / median >= at_least else "MISSED"
            verdicts.append(f"Goal: {at_least} redraws a second at {edge}x{edge}: {verdict}.")
    columns = [
        "16-bit image",
        "redraws/s, median",
        "redraws/s, slowest 5%",
        "moves",
        "messages to the kernel",
    ]
    return [Table(TITLE, columns, rows, verdicts)]


def _drag(chromium: Browser, path: Path, moves: int) -> tuple[list[float], int]:
    """Milliseconds from redraw to redraw, and how many messages the kernel got."""
    from dicomkit.widgets import ImageViewer
    from tests.support.viewer_page import ViewerPage

    viewer = ImageViewer(path)
    page = ViewerPage(chromium, viewer)
    try:
        page.serve()
        done = page.page.evaluate(_DRAG, moves)
        messages = page.page.evaluate("window.sent.length")
    finally:
        page.close()
        viewer.close()
    if done["draws"] < moves:
        raise AssertionError(f"{done['draws']} redraws for {moves} moves")
    return done["gaps"], messages
