"""A real JupyterLab in Chromium, with the verbs of a user: open a notebook, run it, read an output, save, reload.

A page is watched for as long as it is open. A console error, a page error, a failed request or one that
leaves this machine is kept, and fails the test when the page is closed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.peers import HOST, end, launch, wait_for_port, wait_until
from tests.support.viewer_page import without

if TYPE_CHECKING:
    from subprocess import Popen

    from playwright.sync_api import (
        Browser,
        ConsoleMessage,
        Dialog,
        Error,
        Locator,
        LocatorAssertions,
        Request,
        Response,
        Route,
        WebSocket,
    )

__all__ = [
    "DARK",
    "JupyterLab",
    "LIGHT",
    "NARROW",
    "Notebook",
    "WIDE",
    "WatchedPage",
    "expect",
    "faults_found_by_axe",
    "jupyterlab",
    "write_notebook",
]

SECONDS = 30.0
TOKEN = "of-the-tests"
WIDE, NARROW = 1400, 1000
HEIGHT = 900
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"

_ELSEWHERE = re.compile(r"^(https?|wss?)://(?!127\.0\.0\.1[:/])")
_OF_THE_PAGE_LEFT = "net::ERR_ABORTED"  # what was under way when a page is reloaded
_STOP_SECONDS = 10.0
# anywidget waits two seconds for each model that the kernel still has, and a page that is being built can take longer:
# then it says this of every message for the model. What a journey looks at has to work all the same.
_GIVEN_UP = "[anywidget] Failed to initialize model."

# Newer versions are neither asked for nor shown; JupyterLab would ask the network.
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}


# The server


@dataclass(frozen=True, slots=True)
class JupyterLab:
    """A server that runs.

    Attributes
    ----------
    url : str
        With a slash at its end.
    root : Path
        The folder that it shows.
    log : Path
        What it writes.
    """

    url: str
    root: Path
    log: Path

    def ask(self, path: str, method: str = "GET") -> Any:
        """Use the server's REST interface, as the test itself."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def shut_down_kernels(self) -> None:
        """End every session, and the kernel with it."""
        for session in self.ask("api/sessions"):
            self.ask(f"api/sessions/{session['id']}", "DELETE")


def own_folders(folder: Path) -> dict[str, str]:
    """The environment for a Jupyter program that knows nothing of its user's settings, and changes none."""
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    for place in places.values():
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name, values in _SETTINGS.items():
        file = folder / "settings" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), "utf-8")
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    return passed_on | {name: str(folder / place) for name, place in places.items()}


@contextmanager
def jupyterlab(folder: Path) -> Iterator[JupyterLab]:
    """Start a JupyterLab on a free port, with folders of its own beneath `folder`; skip (or fail in CI) without one."""
    if find_spec("jupyterlab") is None:
        without("jupyterlab is not installed; pip install jupyterlab")
    environment = own_folders(folder) | {"JUPYTER_TOKEN": TOKEN}
    root, log = folder / "root", folder / "log"
    root.mkdir()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"),
        *(f"--ServerApp.ip={HOST}", "--ServerApp.port=0", f"--ServerApp.root_dir={root}"),
        *("--ServerApp.allow_root=True", "--LabApp.extension_manager=readonly"),
    ]
    with log.open("wb") as output:
        process = launch(command, env=environment, stdout=output, stderr=output)
    try:
        yield JupyterLab(_address(process, folder / "runtime", log), root, log)
    finally:
        process.terminate()  # politely, so that it ends its kernels
        wait_until(lambda: process.poll() is not None, _STOP_SECONDS, "JupyterLab ended")
        end(process)


def _address(process: Popen[bytes], runtime: Path, log: Path) -> str:
    """Where a server answers, once it does."""
    server: dict[str, Any] = {}

    def is_up() -> bool:
        assert process.poll() is None, f"JupyterLab did not start:\n{log.read_text('utf-8')}"
        for file in runtime.glob("jpserver-*.json"):
            text = file.read_text("utf-8")
            if text.endswith("}"):
                server.update(json.loads(text))
        return bool(server)

    wait_until(is_up, SECONDS, "JupyterLab's address")
    wait_for_port(server["port"], seconds=SECONDS)  # it tells of itself before it listens
    return str(server["url"])


# The browser


class WatchedPage:
    """A page that keeps what is wrong with it, and what it sends to kernels.

    Attributes
    ----------
    problems : list of str
        What the browser complained of; `close` asserts that there is nothing.
    sent : list of str or bytes
        The frames that went to kernels.
    """

    def __init__(
        self, chromium: Browser, *, dark: bool = False, width: int = WIDE, height: int = HEIGHT
    ) -> None:
        self.problems: list[str] = []
        self.sent: list[str | bytes] = []
        self._is_leaving = False
        self._is_reloaded = False
        self.context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        self.context.set_default_timeout(SECONDS * 1000)
        self.context.route(_ELSEWHERE, self._block)
        self.page = self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_page_error)
        self.page.on("requestfailed", self._on_failed)
        self.page.on("response", self._on_response)
        self.page.on("websocket", self._on_websocket)
        self.page.on("dialog", self._on_dialog)

    def _block(self, route: Route) -> None:
        self.problems.append(f"request that leaves this machine: {route.request.url}")
        route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_page_error(self, error: Error) -> None:
        if not (self._is_reloaded and error.message == _GIVEN_UP):
            self.problems.append(f"page error: {error}")

    def _on_failed(self, request: Request) -> None:
        if not (self._is_leaving and request.failure == _OF_THE_PAGE_LEFT):
            self.problems.append(f"failed request: {request.url} {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"answer {response.status}: {response.url}")

    def _on_websocket(self, socket: WebSocket) -> None:
        if _ELSEWHERE.match(socket.url):
            self.problems.append(f"connection that leaves this machine: {socket.url}")
        if socket.url.partition("?")[0].endswith("/channels"):
            socket.on("framesent", lambda frame: self.sent.append(frame))

    def _on_dialog(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
        else:
            self.problems.append(f"dialog: {dialog.message}")
            dialog.dismiss()

    def until(self, condition: str, argument: object = None) -> None:
        """Wait for a JavaScript expression, or a function of `argument`, to hold."""
        self.page.wait_for_function(condition, arg=argument)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition of the test's own, letting the page go on."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {SECONDS:g} s: {what}")
            self.drawn()

    def drawn(self) -> None:
        """Wait until the page has drawn what it knows."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def resize(self, width: int) -> None:
        """Make the window so wide, and wait until the page fits it."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.drawn()

    def reload(self) -> None:
        """Load the page again, whatever is not saved."""
        self._is_leaving = self._is_reloaded = True
        self.page.reload()
        self._is_leaving = False

    def close(self) -> None:
        """Close the page, and fail on what was wrong with it."""
        self._is_leaving = True
        self.context.close()
        assert not self.problems, "\n".join(self.problems)


class Notebook(WatchedPage):
    """A notebook in JupyterLab.

    Parameters
    ----------
    lab : JupyterLab
    name : str
        Of a file in the server's root.
    """

    _READY = """() => {
        const panel = window.jupyterapp?.shell.currentWidget;
        const session = panel?.context?.sessionContext?.session;
        return panel?.context.isReady && session?.kernel?.connectionStatus === "connected"
            && session.kernel.status === "idle";
    }"""

    def __init__(
        self,
        chromium: Browser,
        lab: JupyterLab,
        name: str,
        *,
        dark: bool = False,
        width: int = WIDE,
        **options: Any,
    ) -> None:
        super().__init__(chromium, dark=dark, width=width, **options)
        self.lab = lab
        self.path = lab.root / name
        self.page.goto(f"{lab.url}lab/tree/{name}?reset&token={TOKEN}")
        self.until(self._READY)
        self.use_theme(DARK if dark else LIGHT)

    # What a user does

    def use_theme(self, name: str) -> None:
        self.command("apputils:change-theme", {"theme": name})
        self.until("(name) => document.body.dataset.jpThemeName === name", name)

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Run one of JupyterLab's commands, as its menus do, and wait for it to end."""
        self.page.evaluate(
            "async ([name, args]) => { await jupyterapp.commands.execute(name, args); }",
            [name, arguments or {}],
        )

    def choose(self, menu: str, entry: str) -> None:
        """Choose an entry of the menu bar."""
        self.page.get_by_role("menubar").get_by_role("menuitem", name=menu, exact=True).click()
        label = self.page.get_by_text(entry, exact=True)  # without its keys
        self.page.get_by_role("menu").get_by_role("menuitem").filter(has=label).click()

    def start_all(self) -> None:
        """Run all cells, and do not wait."""
        self.page.evaluate(
            """() => {
                window.isRunning = true;
                const end = () => { window.isRunning = false; };
                jupyterapp.commands.execute("notebook:run-all-cells").then(end, end);
            }"""
        )

    def wait_until_idle(self, seconds: float = SECONDS) -> None:
        """Wait until no cell runs; fail when one of them raised."""
        self.page.wait_for_function("() => !window.isRunning", timeout=seconds * 1000)
        self.until(self._READY)
        errors = self.page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts()
        assert errors == []

    def run_all(self, seconds: float = SECONDS) -> None:
        """Run all cells, and wait until they have ended."""
        self.start_all()
        self.wait_until_idle(seconds)

    def output(self, index: int) -> Locator:
        """What a cell shows, by its place in the notebook."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputArea")

    def scroll_to(self, index: int) -> None:
        """Scroll a cell into view; those that are far away are not in the page."""
        self.page.evaluate("(index) => jupyterapp.shell.currentWidget.content.scrollToItem(index)", index)

    def save(self) -> str:
        """Save, and return what is in the file."""
        self.choose("File", "Save Notebook")
        self.until("() => !jupyterapp.shell.currentWidget.context.model.dirty")
        text = ""

        def is_whole() -> bool:  # another save may be on its way, and has emptied the file
            nonlocal text
            text = self.path.read_text("utf-8")
            return text.rstrip().endswith("}")

        self.wait(is_whole, "the file is written")
        return text

    def reload(self) -> None:
        """Load the page again, and wait for the kernel; what is not saved is lost."""
        super().reload()
        self.until(self._READY)

    def interrupt(self) -> None:
        self.choose("Kernel", "Interrupt Kernel")

    def restart(self) -> None:
        """Restart the kernel, and wait until it answers."""
        self.page.evaluate(
            """() => {
                window.isRestarted = false;
                const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
                kernel.statusChanged.connect((_, status) => { window.isRestarted ||= status === "restarting"; });
            }"""
        )
        self.choose("Kernel", "Restart Kernel…")
        self.page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        self.until("() => window.isRestarted")
        self.until(self._READY)

    # What a test asks

    def value(self, expression: str) -> Any:
        """What an expression is in the kernel; something that JSON can hold."""
        answer = self.page.evaluate(
            """async (expression) => {
                const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
                const request = { code: "", silent: true, user_expressions: { answer: expression } };
                const { content } = await kernel.requestExecute(request).done;
                return content.user_expressions.answer;
            }""",
            f"__import__('json').dumps({expression})",
        )
        assert answer["status"] == "ok", answer
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.lab.shut_down_kernels()


def expect(locator: Locator) -> LocatorAssertions:
    """What is to be seen, sooner or later."""
    from playwright.sync_api import expect as expect_of

    expect_of.set_options(timeout=SECONDS * 1000)
    return expect_of(locator)


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells; a name that it has brings no outputs of before."""
    import nbformat
    from nbformat import v4

    notebook = v4.new_notebook(cells=[v4.new_code_cell(one) for one in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def faults_found_by_axe(page: WatchedPage, selector: str) -> list[str]:
    """What axe-core has against a part of the page, where its Python package is installed."""
    if find_spec("axe_playwright_python") is None:
        without("axe-core is missing: pip install axe-playwright-python")
    page.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.page.evaluate("(selector) => axe.run(selector)", selector)["violations"]
    return [
        f"{one['id']}: {node['html']} ({node['failureSummary']})" for one in found for node in one["nodes"]
    ]
