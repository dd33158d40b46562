"""The house rules that a machine can hold: imports run downward, light rooms stay light, names are public."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dicomkit
from dicomkit import LocalSCP
from tests.files import ct_instance

PACKAGE = Path(dicomkit.__file__).parent

# A room may import from the floors below its own, at module level; never from beside or above. A folder is one room,
# but for `wire`, whose modules have their order too.
FLOORS: tuple[tuple[str, ...], ...] = (
    # faces
    ("__main__",),
    ("cli",),
    ("widgets",),
    # stories
    ("analysis",),
    ("workflow",),
    ("verification",),
    # sending
    ("batch",),
    ("batch_run",),
    ("lookout",),
    ("breaker", "plan", "readmission", "record", "tuning"),
    ("events", "packed_rows"),
    ("services",),
    ("proposals",),
    ("sender",),
    ("ledger_resume", "ledger_writer"),
    ("ledger",),
    ("ledger_file",),
    ("ledger_schema",),
    ("conversion",),
    # the wire
    ("wire.association",),
    ("wire.layout",),
    ("wire.connection",),
    ("wire.tls",),
    ("wire.pdu",),
    ("scp",),
    ("scp_pynetdicom", "scp_raw"),
    ("scp_journal", "scp_lobby", "scp_service"),
    ("scp_faults",),
    ("security",),
    # nouns
    ("settings",),
    ("pitfalls",),
    ("setting_fields", "setting_keywords"),
    ("lossless",),
    ("results_reader",),
    ("results_file",),
    ("results",),
    ("messages",),
    ("native_xml", "preview"),
    ("dataset_reader",),
    ("instances",),
    ("second_look",),
    ("archives", "folders"),
    ("instance_facts", "part10"),
    ("content", "contradictions", "strict_text"),
    ("dataset_walk",),
    ("tags",),
    ("character_sets", "identifying"),
    ("samples",),
    ("statuses",),
    ("dictionary",),
    ("uids",),
    ("descriptors", "errors", "markup", "pynetdicom_log", "quantities", "quiet"),
    ("frozen",),
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
# These work with pixels, frames or pynetdicom's server whenever they are used, so they need not wait with importing.
MAY_BE_HEAVY = (
    "widgets",
    "analysis",
    "workflow",
    "verification",
    "preview",
    "scp",
    "tags",
    "pynetdicom_",
)

# Each takes milliseconds, of the tenth of a second that `dicomkit send` lives.
NEVER_TO_SEND = ("dataclasses", "inspect", "logging", "shutil", "ssl", "zipfile")
ONLY_WHEN_ASKED_FOR = ("csv", "pathlib", "sqlite3", "uuid")

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
    return module if module.startswith("wire.") else module.partition(".")[0]


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a module is imported, class bodies included; nothing for type checkers only."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and not (
            isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        ):
            yield from statements(node.body)
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try):
            yield from statements([*node.body, *node.orelse, *node.finalbody])
            for handler in node.handlers:
                yield from statements(handler.body)
        elif isinstance(node, ast.ClassDef | ast.With):
            yield from statements(node.body)


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports at module level, by their full names."""
    for node in statements(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = name.removeprefix("dicomkit.") in MODULES
                yield name if is_module else str(node.module)


def imported_rooms(module: str) -> set[str]:
    return {
        room_of(name.removeprefix("dicomkit."))
        for name in imported(MODULES[module])
        if name.startswith("dicomkit.")
    }


def test_every_room_has_its_floor() -> None:
    without = {room_of(module) for module in MODULES} - set(FLOOR_OF) - {"", "wire"}
    assert not without, f"{without}: give each its place in FLOORS"


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_imports_run_downward(module: str) -> None:
    room = room_of(module)
    if room == "wire":
        assert not imported_rooms(module)
        return
    for other in imported_rooms(module) - {room}:
        assert FLOOR_OF[other] > FLOOR_OF[room], f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) == "verification"])
def test_verification_reads_by_no_reader_that_sending_uses(module: str) -> None:
    """Within functions, too: a fault of theirs would be repeated by who looks for it."""
    nodes = ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    of_sending = ("conversion", "transcode", "dataset_walk", "instance_facts", "instances", "part10")
    assert not [name for name in names if name and name.removeprefix("dicomkit.").startswith(of_sending)]


def test_the_table_of_contents_imports_no_room() -> None:
    assert not imported_rooms("")


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
        if not module.startswith(MAY_BE_HEAVY) and module not in ("__main__", "cli.demo", "cli.receiver")
    ]
    assert "dicomkit.cli.send" in light
    assert "dicomkit.batch" in light
    if heavy_after_importing(*light):
        told = {name: heavy_after_importing(name) for name in light}
        pytest.fail(f"heavy at import: { {name: what for name, what in told.items() if what} }")


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
