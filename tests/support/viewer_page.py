"""One bare page with a viewer on it: its ES module in Chromium, a model of plain JavaScript, a real widget behind.

What the page sends lies in a list until the test hands it to the widget, and what the widget sends goes
to the page; so a test knows every message that crossed.
"""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from comm.base_comm import BaseComm

from tests.support.peers import MissingProgram

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Route

    from dicomkit.widgets import ImageViewer

# The number of the update that an echo is of, what was said, and its buffers.
Answer = tuple[int | None, dict[str, Any], list[memoryview]]

SECONDS = 20.0
ADDRESS = "http://127.0.0.1/viewer"
_OF_THE_BROWSER_ITSELF = ("chrome://", "chrome-extension://")  # its PDF viewer
_OF_THE_TEST_ITSELF = "willReadFrequently"  # that it reads the canvas back
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>viewer</title>
<style>:root { color-scheme: light dark }</style>
<link rel="icon" href="data:,"></head>
<body style="margin: 0; background: Canvas"><main></main></body></html>"""

# A model as a notebook front end gives one to a widget: traits, change events, custom messages.
_MODEL = """
async ({ esm, css, traits }) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  class Model {
    constructor(traits) {
      this.traits = { ...traits };
      this.handlers = {};
      this.unsaved = {};
      this.saved = 0;
      this.echoes = {}; // of which update each trait's echo is waited for
    }
    get(name) { return this.traits[name]; }
    set(name, value) {
      if (this.traits[name] === value) return;
      this.traits[name] = value;
      this.unsaved[name] = value;
      this.trigger(`change:${name}`);
    }
    save_changes() {
      window.sent.push({ method: "update", state: this.unsaved });
      for (const name of Object.keys(this.unsaved)) this.echoes[name] = this.saved;
      this.saved += 1;
      this.unsaved = {};
    }
    on(name, handler) { (this.handlers[name] ??= []).push(handler); }
    off(name, handler) { this.handlers[name] = (this.handlers[name] ?? []).filter((one) => one !== handler); }
    trigger(name, ...args) { for (const handler of this.handlers[name] ?? []) handler(...args); }
    send(content) { window.sent.push({ method: "custom", content }); }
    /** Take what the kernel says: of echoes, only that of the last update of a trait. */
    take(state, echoed = null) {
      for (const [name, value] of Object.entries(state)) {
        if (echoed !== null && (this.echoes[name] ?? echoed) !== echoed) continue;
        if (echoed !== null) delete this.echoes[name];
        this.traits[name] = value;
        this.trigger(`change:${name}`);
      }
    }
  }
  window.sent = [];
  window.model = new Model(traits);
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const widget = await (await import(url)).default();
  URL.revokeObjectURL(url);
  const undo = [await widget.initialize({ model: window.model })];
  window.show = async () => {
    const el = document.createElement("div");
    document.querySelector("main").append(el);
    undo.unshift(await widget.render({ model: window.model, el }));
  };
  window.closeAll = () => undo.forEach((one) => one());
  window.deliver = (content, buffers) => {
    const views = buffers.map((text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
    window.model.trigger("msg:custom", content, views);
  };
  await window.show();
}
"""


class Wire(BaseComm):  # type: ignore[misc]
    """The kernel's end of a widget's connection: keeps what is sent."""

    def __init__(self, viewer: ImageViewer) -> None:
        self.sent: list[tuple[dict[str, Any], list[memoryview]]] = []
        super().__init__(target_name="jupyter.widget", data={}, comm_id=viewer.model_id)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any
    ) -> None:
        if msg_type == "comm_msg":
            self.sent.append((data, [memoryview(buffer) for buffer in buffers or []]))

    def take(self) -> list[tuple[dict[str, Any], list[memoryview]]]:
        """Return what was sent since the last time."""
        sent, self.sent = self.sent, []
        return sent


def receive(viewer: ImageViewer, message: dict[str, Any]) -> None:
    """Hand a message of the browser to a widget, as the kernel does."""
    data = message if message["method"] == "custom" else {**message, "buffer_paths": []}
    viewer._handle_msg({"content": {"data": data}, "buffers": [], "header": {"msg_id": "1"}})


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium; skip (or fail in CI) where it is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without("playwright is not installed; pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise MissingProgram("chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield running
        running.close()


def without(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class ViewerPage:
    """A page with a viewer, and the widget it belongs to."""

    def __init__(
        self,
        browser: Browser,
        viewer: ImageViewer,
        *,
        dark: bool = False,
        width: int = 1000,
        is_stopped: bool = False,
    ) -> None:
        self.problems: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.context.route("**/*", self._on_request)
        self.is_stopped = is_stopped  # time passes only when it is told to
        if is_stopped:
            self.context.clock.install(time=0)
            self.context.clock.pause_at(1)
        self.show(viewer)
        if not is_stopped:
            self.serve()

    def show(self, viewer: ImageViewer) -> None:
        """Load the page with a viewer, to which nothing was said yet."""
        self.viewer = viewer
        self.updates = 0  # that were handed to the widget
        self.wire = Wire(viewer)
        viewer.comm = self.wire
        self.page.goto(ADDRESS)
        traits = {
            name: getattr(viewer, name)
            for name in viewer.trait_names(sync=True)
            if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
        }
        self.page.evaluate(_MODEL, {"esm": viewer._esm, "css": viewer._css, "traits": traits})

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _OF_THE_TEST_ITSELF not in message.text:
            self.problems.append(message.text)

    def _on_request(self, route: Route) -> None:
        if route.request.url == ADDRESS:
            route.fulfill(body=_PAGE, content_type="text/html")
        elif route.request.url.startswith(_OF_THE_BROWSER_ITSELF):
            route.continue_()
        else:
            self.problems.append(f"request of {route.request.url}")
            route.abort()

    def take(self) -> list[dict[str, Any]]:
        """Return what the browser sent since the last time."""
        sent: list[dict[str, Any]] = self.page.evaluate("window.sent.splice(0)")
        return sent

    def hand_over(self, message: dict[str, Any]) -> list[Answer]:
        """Give the widget a message of the browser; return what it has said until now, and not been asked for."""
        said = self.said()
        receive(self.viewer, message)
        number = None
        if message["method"] == "update":
            number, self.updates = self.updates, self.updates + 1
        return said + [(number, data, buffers) for _, data, buffers in self.said()]

    def said(self) -> list[Answer]:
        """Return what the widget said by itself."""
        return [(None, data, buffers) for data, buffers in self.wire.take()]

    def deliver(self, answer: Answer) -> None:
        """Give the browser what the widget said."""
        from ipywidgets.widgets.widget import _remove_buffers

        number, data, buffers = answer
        if data["method"] == "custom":
            texts = [base64.b64encode(buffer).decode() for buffer in buffers]
            self.page.evaluate("([content, buffers]) => deliver(content, buffers)", [data["content"], texts])
        else:
            echoed = number if data["method"] == "echo_update" else None
            state = _remove_buffers(data["state"])[0]
            self.page.evaluate("([state, echoed]) => model.take(state, echoed)", [state, echoed])

    def exchange(self) -> tuple[list[dict[str, Any]], bool]:
        """Carry messages both ways once; return those of the browser, and whether the widget had any."""
        sent = self.take()
        answers = [answer for message in sent for answer in self.hand_over(message)] + self.said()
        for answer in answers:
            self.deliver(answer)
        return sent, bool(answers)

    def serve(self, until: Callable[[], bool] | None = None) -> list[dict[str, Any]]:
        """Carry messages until nothing more comes and all is drawn, and `until` holds; return the browser's."""
        deadline = time.monotonic() + SECONDS
        seen: list[dict[str, Any]] = []
        while True:
            self.drawn()
            sent, is_answered = self.exchange()
            seen += sent
            if not sent and not is_answered and (until is None or until()):
                return seen
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page did not come to rest in {SECONDS:g} s; it sent {seen[-3:]}")

    def drawn(self) -> None:
        """Wait until the page has drawn what it knows."""
        if self.is_stopped:
            self.page.clock.run_for(40)
            return
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def close(self) -> None:
        self.context.close()
        assert self.problems == []
