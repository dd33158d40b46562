"""The house rules that a machine can hold: imports run downward, light rooms stay light, names are public."""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dicomkit
from dicomkit import LocalSCP
from tests.support.files import ct_instance

PACKAGE = Path(dicomkit.__file__).parent

# A room, which is a folder or a module of the package, imports from the floors below its own, never from beside or
# above, type-checking imports and those within functions included.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("widgets",),
    ("analysis", "verification"),
    ("batch",),
    ("ledger", "scp", "sending"),
    ("events", "wire"),
    ("results",),
    ("messages",),
    ("conversion", "preview"),
    ("sources", "tags"),
    ("samples", "security", "settings"),
    ("errors",),
    ("dictionary",),
    ("_support",),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

HEAVY = (
    "pandas",
    "numpy",
    "pydicom",
    "pynetdicom",
    "pyarrow",
    "matplotlib",
    "ipywidgets",
    "anywidget",
    "pydantic",
)
# These work with pixels, frames or pynetdicom whenever they are used, so they need not wait with importing.
MAY_BE_HEAVY = (
    "widgets",
    "analysis",
    "verification",
    "preview",
    "tags",
    "_support.pynetdicom_log",
)

# Each takes milliseconds, of the tenth of a second that `dicomkit send` lives.
NEVER_TO_SEND = ("dataclasses", "inspect", "logging", "shutil", "ssl", "zipfile")
ONLY_WHEN_ASKED_FOR = ("csv", "pathlib", "sqlite3", "uuid")

# Options of the command line, and fields of a setting: `sending` says what to do with these, and nothing below it.
OF_A_FACE = re.compile(
    r"--[a-z]|Remote(Host|Port|AET)|OurAET|TimeoutSeconds|MessageT(ype|emplate)|Disabled|(tls|identity)=[,)]"
)

NO_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "base", "data"}


def modules() -> dict[str, Path]:
    """Every module of dicomkit by its name below the package, ``""`` for the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    return module.partition(".")[0]


def imported(module: str) -> set[str]:
    """The modules of dicomkit that one imports anywhere in it, by their names below the package."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not [alias for alias in node.names if alias.name.startswith("dicomkit")], module
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            if str(node.module).partition(".")[0] == "dicomkit":
                for alias in node.names:
                    name = f"{node.module}.{alias.name}".removeprefix("dicomkit.")
                    found.add(name if name in MODULES else str(node.module)[len("dicomkit.") :])
    return found


def test_every_room_has_its_floor_and_every_floor_its_rooms() -> None:
    assert {room_of(module) for module in MODULES} - {""} == set(FLOOR_OF)


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_imports_run_downward(module: str) -> None:
    room = room_of(module)
    for other in {room_of(name) for name in imported(module)} - {room, ""}:
        assert FLOOR_OF[other] > FLOOR_OF[room], f"{module} imports {other}, which is not below it"


def test_no_imports_in_a_circle() -> None:
    below = {module: imported(module) - {"", module} for module in MODULES if module}
    tuple(graphlib.TopologicalSorter(below).static_order())  # a CycleError names the circle


@pytest.mark.parametrize("module", MODULES)
def test_what_is_private_is_imported_in_its_folder_only(module: str) -> None:
    for name in imported(module):
        folder, _, last = name.rpartition(".")
        if last.startswith("_") and folder:
            assert f"{module}.".startswith(f"{folder}."), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_private_names_are_imported_in_their_folder_only(module: str) -> None:
    """A function or constant that begins with an underscore is its module's own."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "dicomkit":
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
            assert not [
                name
                for name in private
                if name != "__version__" and f"{node.module}.{name}".removeprefix("dicomkit.") not in MODULES
            ], f"{module} imports {private} from {node.module}"


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) == "verification"])
def test_verification_reads_by_no_reader_that_sending_uses(module: str) -> None:
    """Within functions, too: a fault of theirs would be repeated by who looks for it."""
    nodes = ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    names = {
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    allowed = {("dicomkit.sources", name) for name in ("MEMBER_MARK", "describe_os_error", "open_file")}
    of_sending = ("dicomkit.conversion", "dicomkit.sources", "dicomkit.batch._")
    assert not [name for name in names - allowed if str(name[0]).startswith(of_sending)]


@pytest.mark.parametrize(
    "module", [name for name in MODULES if room_of(name) in ("wire", "security", "errors")]
)
def test_the_wire_knows_no_faces(module: str) -> None:
    said = MODULES[module].read_text(encoding="utf-8")
    assert not [line for line in said.splitlines() if OF_A_FACE.search(line)]


def test_the_table_of_contents_imports_no_room() -> None:
    source = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert not [
        node for node in source.body if isinstance(node, ast.ImportFrom) and "dicomkit" in str(node.module)
    ]


@pytest.mark.parametrize("module", MODULES)
def test_only_widgets_know_of_notebooks(module: str) -> None:
    if room_of(module) != "widgets":
        source = ast.parse(MODULES[module].read_text(encoding="utf-8"))
        names = {
            name.partition(".")[0]
            for node in ast.walk(source)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not names & {"ipywidgets", "anywidget", "IPython"}


def heavy_after_importing(*names: str) -> set[str]:
    code = (
        "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split()) & set(HEAVY)


def test_light_rooms_load_nothing_heavy() -> None:
    light = [
        f"dicomkit.{module}".rstrip(".")
        for module in MODULES
        if not module.startswith(MAY_BE_HEAVY) and module not in ("__main__", "cli.demo")
    ]
    assert "dicomkit.cli.send" in light
    assert "dicomkit.batch" in light
    if heavy_after_importing(*light):
        heavy = {name: heavy_after_importing(name) for name in light}
        pytest.fail(f"heavy at import: { {name: what for name, what in heavy.items() if what} }")


@pytest.mark.parametrize(
    ("options", "unwanted"),
    [
        ([], (*HEAVY, *NEVER_TO_SEND, *ONLY_WHEN_ASKED_FOR)),
        (["--verbose", "--results", "rows.csv", "--ledger", "sent.sqlite"], (*HEAVY, *NEVER_TO_SEND)),
    ],
    ids=["plain", "with all that it may leave behind"],
)
def test_sending_a_file_loads_nothing_that_is_slow_to_start(
    tmp_path: Path, options: list[str], unwanted: tuple[str, ...]
) -> None:
    """From the command's start to its exit, with an instance stored in between."""
    (tmp_path / "one.dcm").write_bytes(ct_instance())
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom dicomkit.cli import main\n"
        "assert main(sys.argv[1:]) == 0\nprint(*{*sys.modules} - before, file=sys.stderr)"
    )
    with LocalSCP() as scp:
        scp.setting().save(tmp_path / "setting.json")
        done = subprocess.run(
            [sys.executable, "-c", code, "send", "setting.json", "one.dcm", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "dicomkit.wire.association" in loaded
    assert not loaded & set(unwanted)


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_a_name_that_says_something_and_a_docstring(module: str) -> None:
    assert module.rpartition(".")[2] not in NO_NAMES
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))


def test_public_names_are_importable_and_known_to_type_checkers() -> None:
    source = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in source.body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for name in dicomkit.__all__:
        assert getattr(dicomkit, name) is not None
    assert typed == set(dicomkit.__all__) - {"__version__"}


def test_everything_can_be_imported_at_once_without_the_notebook_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "anywidget" else known(name)
    )
    brought: dict[str, object] = {}
    exec("from dicomkit import *", brought)
    assert "send_batch" in brought
    assert not set(brought) & {"ImageViewer", "SettingForm"}


def test_the_names_of_the_core_are_public() -> None:
    assert set(dicomkit.__all__) >= {
        *("DicomSenderSetting", "MessageType", "Problem", "SettingError", "SendError"),
        *("DicomMessage", "TextMessage", "JsonMessage", "XmlMessage", "BinaryMessage"),
        *("send", "send_batch", "Batch", "BatchControl", "SendResult", "Outcome", "read_results"),
        *("echo", "probe", "LocalSCP", "TlsOptions", "UserIdentity", "SecurityError"),
    }
