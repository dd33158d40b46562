"""The notebooks, run as a class runs them: from top to bottom in a copy, as they are and with the exercises solved."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import nbformat
import pandas as pd
import psutil
import pytest
from nbclient import NotebookClient

import dicomkit
from dicomkit import DicomMessage, DicomSenderSetting, LocalSCP, send
from dicomkit.cli.lab import copy_notebooks, notebooks_folder
from dicomkit.samples import sample_folder
from tests.support.peers import Storescp, wait_for_port

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]
WITH_EXERCISES = "02_workflow_json.ipynb"
LONGEST_CELL = 16
SECONDS = 60

# A drive, a home or a system folder, as they are written on each platform.
ABSOLUTE_PATH = re.compile(
    r"\b[A-Za-z]:[\\/](?![/\\])|(?<![\w.$<])/(?:home|Users|tmp|work|root|opt|usr|var|mnt|etc)\b|\\\\\w+\\\w"
)


def notebook(name: str) -> Any:
    return nbformat.read(ROOT / "notebooks" / name, as_version=4)


def tags_of(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def code_in(cell: Any) -> str:
    """The Python between the fences of a solution."""
    found = re.findall(r"^```python\n(.*?)\n```$", cell.source, re.M | re.S)
    assert len(found) == 1, cell.id
    return str(found[0])


def solutions(cells: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each exercise with the solution that follows it."""
    for exercise, solution in pairwise(cells):
        if "exercise" in tags_of(exercise):
            yield exercise, solution


def shown(cell: Any) -> str:
    """All that a cell has put on the screen, as text."""
    return "".join(
        output.text if output.output_type == "stream" else output.data.get("text/plain", "")
        for output in cell.outputs
    )


class Executed(NamedTuple):
    """A notebook that ran, by the text that it is saved as, and the folder that it ran in."""

    cells: list[Any]
    saved: str
    folder: Path


def execute(book: Any, folder: Path) -> None:
    """Run every cell in a fresh kernel that works in `folder`."""
    NotebookClient(book, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()


class Classroom:
    """Runs each notebook once in each way, and remembers."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._done: dict[tuple[str, bool], Executed] = {}

    def run(self, name: str, *, solved: bool = False) -> Executed:
        if (name, solved) not in self._done:
            folder = self._base / f"{Path(name).stem}-{'solved' if solved else 'as-it-is'}"
            copy_notebooks(folder)
            book = nbformat.read(folder / name, as_version=4)
            if solved:
                for exercise, solution in solutions(book.cells):
                    exercise.source = code_in(solution)
            execute(book, folder)
            nbformat.write(book, folder / name)
            self._done[name, solved] = Executed(
                book.cells, (folder / name).read_text(encoding="utf-8"), folder
            )
        return self._done[name, solved]


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """With configuration folders of its own, so that the kernel is this Python whatever the user has set up."""
    base = tmp_path_factory.mktemp("class")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(variable, str(base / variable.lower()))
        yield Classroom(base)


# As they are committed


def test_there_are_three_notebooks_and_what_they_bring_along() -> None:
    assert NAMES == ["01_explore_and_send.ipynb", WITH_EXERCISES, "03_batch_and_audit.ipynb"]
    assert {path.name for path in (ROOT / "notebooks").iterdir() if path.suffix == ".py"} == {"classroom.py"}


@pytest.mark.parametrize("name", NAMES)
def test_no_outputs_are_committed(name: str) -> None:
    book = notebook(name)
    nbformat.validate(book)
    for cell in book.cells:
        assert not cell.get("outputs"), cell.id
        assert cell.get("execution_count") is None, cell.id
    assert set(book.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", [*NAMES, "classroom.py"])
def test_no_absolute_path_is_committed(name: str) -> None:
    path = ROOT / "notebooks" / name
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in notebook(name).cells)
    assert not ABSOLUTE_PATH.search(text), ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize("path", ["C:\\studies", "see /home/ann/x", "D:/data", r"\\server\share"])
def test_what_an_absolute_path_is(path: str) -> None:
    assert ABSOLUTE_PATH.search(path)


@pytest.mark.parametrize("name", NAMES)
def test_each_step_is_short_and_has_a_sentence_before_it(name: str) -> None:
    cells = notebook(name).cells
    assert cells[0].cell_type == "markdown"
    for before, cell in pairwise(cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.id
            assert re.search(r"[.?!:)][*_]*$", before.source), f"{before.id} ends without a sentence"
            assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.id


@pytest.mark.parametrize("name", NAMES)
def test_the_last_lines_say_what_to_do_next(name: str) -> None:
    last = notebook(name).cells[-1]
    assert last.cell_type == "markdown"
    assert last.source.startswith("## What next\n")
    for linked in re.findall(r"\]\(([^)]+)\)", last.source):
        assert (ROOT / "notebooks" / linked).is_file()


def test_every_exercise_is_followed_by_its_solution() -> None:
    for name in NAMES:
        cells = notebook(name).cells
        pairs = list(solutions(cells))
        assert bool(pairs) == (name == WITH_EXERCISES)
        assert sum("solution" in tags_of(cell) for cell in cells) == len(pairs)
        for exercise, solution in pairs:
            assert "solution" in tags_of(solution), exercise.id
            assert exercise.source.splitlines()[-1] == code_in(solution).splitlines()[-1], "the same check"


# As they run


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_from_top_to_bottom_as_it_is(name: str, classroom: Classroom) -> None:
    for cell in classroom.run(name).cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


def test_exercises_that_are_not_solved_say_so_and_what_is_missing(classroom: Classroom) -> None:
    said = [shown(exercise) for exercise, _ in solutions(classroom.run(WITH_EXERCISES).cells)]
    assert len(said) == 6
    for line in said:
        assert re.match(r"Not solved yet\. \w.{20}", line), line


def test_with_the_solutions_every_check_says_solved(classroom: Classroom) -> None:
    said = [shown(exercise) for exercise, _ in solutions(classroom.run(WITH_EXERCISES, solved=True).cells)]
    assert len(said) == 6
    for line in said:
        assert line.startswith("Solved. "), line


def test_the_first_notebook_stores_what_the_probe_promised(classroom: Classroom) -> None:
    cells = {cell.id: cell for cell in classroom.run("01_explore_and_send.ipynb").cells}
    assert shown(cells["send"]).startswith("<SendResult stored: 0x0000 Success, CT Image Storage")
    assert "Encapsulated PDF Storage" in shown(cells["probe-no"])
    assert shown(cells["pdf"]).startswith("<SendResult not_accepted: Encapsulated PDF Storage")
    assert len(list((classroom.run("01_explore_and_send.ipynb").folder / "received").glob("*.dcm"))) == 1


def test_each_pitfall_bites_in_the_second(classroom: Classroom) -> None:
    cells = {cell.id: shown(cell) for cell in classroom.run(WITH_EXERCISES).cells if cell.cell_type == "code"}
    for name in ("text-message", "response-chained", "transformer"):
        assert "<SendResult invalid_message" in cells[name]
    assert "<SendResult stored" in cells["json-number"]
    assert cells["template"].count("text") == 3
    assert "<SendResult rejected" in cells["wrong-title"]
    assert "<SendResult timed_out" in cells["slow"]
    assert "True" in cells["slow-received"]
    assert re.search(r"120\n.*30\n", cells["dialog"])
    assert "(True, ['X-Reviewed'])" in cells["lossless"]
    assert len(re.findall(r"^[+-]  ", cells["replace"], re.M)) == 2


def test_the_third_fails_as_it_says_and_gets_the_rest_through(classroom: Classroom) -> None:
    ran = classroom.run("03_batch_and_audit.ipynb")
    cells = {cell.id: shown(cell) for cell in ran.cells if cell.cell_type == "code"}
    assert (
        "15 stored, 9 stored_with_warning, 1 refused, 1 failed, 1 not_accepted, 1 unreadable"
        in cells["batch"]
    )
    assert "2 stored, 1 failed, 1 unreadable" in cells["again"]
    assert re.search(r"now stored +2\b", cells["compare"])
    assert "ct-report.dcm" in cells["left"] and "half-a-copy.dcm" in cells["left"]
    assert cells["read"].count("35 rows, same: True") == 2
    from_csv, from_parquet = (
        dicomkit.read_results(ran.folder / f"rows.{kind}") for kind in ("csv", "parquet")
    )
    pd.testing.assert_frame_equal(from_csv, from_parquet)
    assert "35 attempts in 2 batches, 28 instances" in cells["answer"]
    text = (ran.folder / "report.html").read_text(encoding="utf-8").replace("\xa0", " ")
    assert "Over all 2 batches" in text
    assert "ct-report.dcm" in text and "half-a-copy.dcm" in text
    assert "refused" not in text and "not accepted" not in text


@pytest.mark.parametrize(
    ("name", "cell", "code"),
    [
        (NAMES[0], "form", "form = dicomkit.SettingForm(setting)\nform"),
        (WITH_EXERCISES, "works", "dicom = DicomMessage.from_file(path)\nsend(setting, dicom)"),
        (NAMES[2], "setting", ""),
    ],
    ids=NAMES,
)
def test_one_cell_turns_it_to_a_real_peer(
    name: str, cell: str, code: str, storescp: Storescp, tmp_path: Path, classroom: Classroom
) -> None:
    copy_notebooks(tmp_path / "class")
    storescp.setting().save(tmp_path / "class" / "send-to-pacs.json")
    book = notebook(name)
    [changed] = [one for one in book.cells if one.id == cell]
    changed.source = (
        f'import dicomkit\n\nsetting = dicomkit.DicomSenderSetting.load("send-to-pacs.json")\n{code}'
    )
    execute(book, tmp_path / "class")
    assert storescp.received()


@pytest.mark.parametrize("name", NAMES)
def test_no_patient_is_in_a_notebook_that_was_run_and_saved(name: str, classroom: Classroom) -> None:
    """No cell prints a patient's name on purpose, though the widgets show them."""
    from pydicom import dcmread

    saved = classroom.run(name).saved
    assert "application/vnd.jupyter.widget-view+json" in saved
    assert "application/vnd.jupyter.widget-state+json" in saved
    for path in sample_folder().rglob("*.dcm"):
        dataset = dcmread(path, stop_before_pixels=True)
        identity = [
            *re.split(r"[\^= ]", str(dataset.PatientName)),
            str(dataset.PatientName),
            dataset.PatientID,
        ]
        for part in identity:
            # Shorter ones, Ada for one, turn up by chance in the base64 of a picture.
            if len(part) > 3 or not part.isascii():
                assert part not in saved
                assert json.dumps(part)[1:-1] not in saved


# The checks, and the tables


@pytest.fixture(scope="module")
def brought() -> ModuleType:
    spec = importlib.util.spec_from_file_location("classroom", ROOT / "notebooks" / "classroom.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def failed_result() -> object:
    with LocalSCP(allowed_calling_aets=["NOBODY_ELSE"]) as scp:
        path = sample_folder() / "sr-report" / "ct-report.dcm"
        return send(scp.setting(our_aet="ME"), DicomMessage.from_file(path))


@pytest.mark.parametrize("check", ["corrected", "stored", "template", "answered", "waited", "kept_dicom"])
def test_no_answer_makes_a_check_raise(check: str, brought: ModuleType) -> None:
    odd = [
        None,
        ...,
        30,
        "",
        "{}",
        "[",
        "null",
        b"",
        object(),
        [],
        DicomSenderSetting(),
        failed_result(),
        print,
    ]
    for answer in odd:
        verdict = getattr(brought, check)(*[answer] * (2 if check == "waited" else 1))
        assert not verdict.solved, answer
        assert repr(verdict).startswith("Not solved yet. ")
        assert "Not solved yet." in verdict._repr_html_()


def test_tables_and_verdicts_show_markup_and_formulas_as_text(brought: ModuleType) -> None:
    frame = pd.DataFrame(
        {"<b>": ["<img src=x onerror=alert(1)>", "${GUID inbound}", None], "n": [1, 2.5, None]}
    )
    html = brought.table(frame)._repr_html_()
    assert "<img" not in html and "<b>" not in html
    assert "${GUID inbound}" in html and "mathjax_ignore" in html
    assert "nan" not in html and "None" not in html
    assert "<img" not in brought.template("<img src=x>")._repr_html_()
    assert "mathjax_ignore" in brought.template("$x$")._repr_html_()


# dicomkit lab

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def lab(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "dicomkit", "lab", *map(str, arguments)]


@contextmanager
def environment(base: Path) -> Iterator[dict[str, str]]:
    kept = dict(os.environ)
    for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        kept[variable] = str(base / variable.lower())
    yield kept


def ask(url: str, path: str, token: str, method: str = "GET") -> Any:
    request = urllib.request.Request(url + path, method=method, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.loads(answer.read())


def listening_addresses(process: psutil.Process) -> set[str]:
    return {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}


@POSIX_ONLY
def test_lab_serves_a_copy_on_this_machine_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "my class"
    folder.mkdir()
    (folder / NAMES[0]).write_text("{}", encoding="utf-8")
    with environment(tmp_path) as env:
        server = subprocess.Popen(
            lab(folder, "--no-browser", "--port", "0"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
    try:
        assert server.stdout is not None
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)(/\S*)\?token=(\w+)", said)):
            line = server.stdout.readline()
            assert line, said
            said += line
        url, first, token = found[1], found[2], found[3]
        wait_for_port(int(url.rpartition(":")[2]), seconds=SECONDS)  # it tells of itself before it listens
        served = {entry["name"] for entry in ask(url, "/api/contents", token)["content"]}
        ask(url, "/api/kernels", token, method="POST")
        process = psutil.Process(server.pid)
        listening = listening_addresses(process)
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # one that a kernel starts and ends as it begins
                listening |= listening_addresses(child)
        kernels = process.children(recursive=True)
        server.send_signal(signal.SIGINT)
        rest, _ = server.communicate(timeout=SECONDS)
    finally:
        server.kill()
    assert said.startswith(f"3 files copied to {folder}.\nKept as yours: {NAMES[0]}.")
    assert first == f"/lab/tree/{NAMES[0]}"
    assert served == {*NAMES, "classroom.py"}
    assert listening == {"127.0.0.1"}
    assert server.returncode == 0
    assert "Traceback" not in rest
    assert kernels and not psutil.wait_procs(kernels, timeout=SECONDS)[1]
    assert (folder / NAMES[0]).read_text(encoding="utf-8") == "{}"


def test_lab_says_that_a_port_is_taken_and_exits_1(tmp_path: Path) -> None:
    with LocalSCP() as taken, environment(tmp_path) as env:
        done = subprocess.run(
            lab(tmp_path / "class", "--no-browser", "--port", str(taken.port)),
            capture_output=True,
            text=True,
            env=env,
            timeout=SECONDS,
        )
    assert done.returncode == 1
    assert f"port {taken.port} is not available" in done.stderr


def test_lab_refuses_what_is_no_folder_before_it_starts_anything(tmp_path: Path) -> None:
    (tmp_path / "class").write_text("a file", encoding="utf-8")
    done = subprocess.run(lab(tmp_path / "class"), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 2
    assert "name a folder that can be written to" in done.stderr


@pytest.mark.parametrize("package", ["jupyterlab", "ipywidgets", "pyarrow"])
def test_lab_names_the_command_that_installs_what_it_lacks(package: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from dicomkit.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "lab", str(tmp_path / "class")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"dicomkit: dicomkit lab needs {package}; install it with: pip install 'dicomkit[lab]'\n"
    )
    assert not (tmp_path / "class").exists()


def test_a_copy_is_made_once_and_is_the_users_own_from_then_on(tmp_path: Path) -> None:
    everything = sorted([*NAMES, "classroom.py"])
    assert copy_notebooks(tmp_path / "class") == (everything, [])
    assert copy_notebooks(tmp_path / "class") == ([], [])
    edited = tmp_path / "class" / NAMES[1]
    edited.write_text("mine", encoding="utf-8")
    (tmp_path / "class" / NAMES[2]).unlink()
    assert copy_notebooks(tmp_path / "class") == ([NAMES[2]], [NAMES[1]])
    assert edited.read_text(encoding="utf-8") == "mine"


def test_an_installed_package_has_its_notebooks_beside_its_modules(tmp_path: Path) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"]["notebooks"] == "dicomkit/notebooks"
    package = tmp_path / "site" / "dicomkit"
    shutil.copytree(Path(dicomkit.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(notebooks_folder(), package / "notebooks")
    done = subprocess.run(
        [sys.executable, "-c", "from dicomkit.cli.lab import notebooks_folder as f; print(f())"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        cwd=tmp_path,
    )
    assert Path(done.stdout.strip()) == package / "notebooks"
