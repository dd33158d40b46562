"""The README is true: its Python runs, its commands exist, its tables are complete."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dicomkit import DicomSenderSetting, Outcome
from dicomkit.cli._main import new_parser
from dicomkit.results import COLUMNS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def marked(name: str) -> str:
    found = re.findall(rf"<!-- {name} -->\n```sh\n(.*?)\n```\n<!-- end -->", README, re.S)
    assert len(found) == 1, name
    return str(found[0])


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_python_blocks_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for number, code in enumerate(blocks("python"), start=1):
        exec(compile(code, f"README.md, Python block {number}", "exec"), namespace)
    assert namespace["batch"].ok  # type: ignore[attr-defined]
    assert len(namespace["rows"]) == 27  # type: ignore[arg-type]
    assert namespace["failures"].empty  # type: ignore[attr-defined]
    assert DicomSenderSetting.load("archive.json").remote_aet == "ARCHIVE"


def test_shell_lines_are_commands_that_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        line for block in blocks("sh") for line in block.splitlines() if line and not line.startswith("#")
    ]
    assert any(line.startswith("dicomkit send ") for line in lines)
    for line in lines:
        program, *arguments = shlex.split(line)
        if program == "dicomkit":
            options = new_parser().parse_args(arguments)
            assert callable(options.run), line
            for path in getattr(options, "paths", []):
                assert (ROOT / path).exists(), line
        else:
            assert os.access(ROOT / program, os.X_OK), line


def test_it_is_short_and_its_figures_are_measured() -> None:
    assert len(README.splitlines()) < 250
    figures = re.findall(r"^\|.*\| ([\d.]+x) \|$", section("How fast"), re.M)
    measured = (ROOT / "tests" / "benchmark" / "RESULTS.md").read_text(encoding="utf-8")
    assert len(figures) == 5
    assert not [one for one in figures if f"| {one} |" not in measured]


def test_both_first_commands_are_one_line_on_the_first_screen() -> None:
    first_screen = README.splitlines()[:30]
    for name, task in (("demo command", "demo"), ("test command", "test")):
        assert marked(name) == f"./run {task}"
        assert marked(name) in first_screen
    assert "python3-venv" in "\n".join(first_screen)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extract = re.search(r"test_command=\$\((sed .*)\)$", ci, re.M)
    assert extract is not None
    if sys.platform != "win32":
        done = subprocess.run(
            ["bash", "-c", extract[1]], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == marked("test command")


def test_the_tables_have_every_outcome_and_every_column() -> None:
    text = section("One row for each attempt")
    outcomes = re.findall(r"^\| `(\w+)` \|", text.split("| outcome |")[1], re.M)
    assert outcomes == [outcome.value for outcome in Outcome]
    columns = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", text.split("| outcome |")[0], re.M)))
    assert tuple(columns) == COLUMNS


def test_the_transcript_is_of_this_demo() -> None:
    transcript = README.split("<!-- transcript:start -->")[1].split("<!-- transcript:end -->")[0]
    assert re.search(r"^\$ \./run demo$", transcript, re.M)
    assert re.search(r"^stored +26$", transcript, re.M)
    assert "What next" in transcript


def test_run_says_what_a_python_without_venv_lacks(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("./run is for POSIX systems")
    for name in ("run", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    python = tmp_path / "python-without-venv"
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec {shlex.quote(sys.executable)} "$@"\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", str(tmp_path / "run"), "demo"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHON": str(python)},
    )
    assert done.returncode == 1
    assert "sudo apt install python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()
