"""The benchmark in its short form: every sender stores every instance, identical; no figure is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmark.__main__ import main
from tests.benchmark.figures import (
    END,
    START,
    Comparison,
    Goal,
    Run,
    Table,
    take_turns,
    write_into,
)
from tests.benchmark.plan import KINDS, FileSet, Plan, check
from tests.benchmark.scenarios import SCENARIOS
from tests.support.files import write_ct_files
from tests.support.peers import Storescp, storescu


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_sender_of_a_scenario_stores_every_instance(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--only", name]) == 0
    assert f"{name}: it ran; all that was sent is stored" in capfd.readouterr().out


@pytest.fixture
def few(tmp_path: Path) -> FileSet:
    write_ct_files(tmp_path / "few", 3)
    return FileSet(KINDS["small"], tmp_path / "few", 3)


def test_an_instance_that_did_not_arrive_is_noticed(storescp: Storescp, few: FileSet) -> None:
    storescu(storescp, sorted(few.folder.iterdir())[1:])
    with pytest.raises(AssertionError, match="2 of 3 instances arrived"):
        check(storescp, few)


def test_an_instance_that_arrived_altered_is_noticed(storescp: Storescp, few: FileSet) -> None:
    storescu(storescp, sorted(few.folder.iterdir()))
    victim = storescp.received().popitem()[1]
    victim.write_bytes(victim.read_bytes()[:-1] + b"\xff")
    with pytest.raises(AssertionError, match=r"000002\.dcm arrived with other bytes"):
        check(storescp, few)


def test_senders_take_turns_and_each_round_gives_a_ratio() -> None:
    order: list[str] = []
    seconds = {"dcmsend": iter([2.0, 4.0, 2.0]), "mine": iter([1.0, 1.0, 2.0])}

    def sender(name: str) -> Run:
        order.append(name)
        return Run(next(seconds[name]), 100)

    turns = {"dcmsend": lambda: sender("dcmsend"), "mine": lambda: sender("mine")}
    comparison = take_turns("a set", turns, repeat=3)
    assert order == ["dcmsend", "mine"] * 3
    assert comparison.ratios("mine") == [2.0, 4.0, 1.0]
    assert comparison.ratio("mine") == 2.0


@pytest.mark.parametrize(
    ("at_least", "aim", "verdict"),
    [
        (1.5, 1.8, "met, aim 1.8x reached"),
        (1.5, 2.5, "met, aim 2.5x not reached"),
        (2.5, None, "MISSED"),
    ],
)
def test_a_table_says_whether_a_goal_was_met(at_least: float, aim: float | None, verdict: str) -> None:
    runs = {"dcmsend": [Run(2.0, 10)], "mine": [Run(1.0, 10)]}
    table = Comparison("a set", runs, "dcmsend").as_table([Goal("mine", at_least, aim)])
    assert table.rows[1] == ["mine", "2.00x", "2.00-2.00", "10.0", "10.0-10.0", "10"]
    assert table.notes == (f"Goal: mine at least {at_least:g}x dcmsend: {verdict}.",)


def test_the_result_goes_between_the_markers_of_a_readme(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_into(readme, "Measured on a day.", [Table("A set", ["sender", "rate"], [["mine", "2x"]])])
    text = readme.read_text()
    assert text.startswith(f"before\n{START}\nMeasured on a day.\n")
    assert "| sender | rate |\n|---|---:|\n| mine | 2x |" in text
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text


def test_some_tables_are_measured_again_and_the_others_stay(tmp_path: Path) -> None:
    def table(title: str, rate: str) -> Table:
        return Table(title, ["sender", "rate"], [["mine", rate]], ["A note."])

    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\n{END}\nafter\n")
    write_into(readme, "On Monday.", [table("A set", "2x"), table("Another", "3x")])
    write_into(readme, "On Friday.", [table("A set", "4x")], keeps_others=True)
    text = readme.read_text()
    assert [text.count(rate) for rate in ("2x", "3x", "4x")] == [0, 1, 1]
    assert text.index("On Monday.") < text.index("4x") < text.index("On Friday.") < text.index("3x")


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no place")
    with pytest.raises(ValueError, match=r"README\.md has no place for the result"):
        write_into(readme, "", [])


def test_files_of_a_quick_plan_are_few_and_made_once(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 1, [KINDS["small"]], is_quick=True)
    files = plan.files(KINDS["small"], 20_000)
    assert files.count == len(list(files.folder.iterdir())) == 6
    assert plan.files(KINDS["small"], 400) is files
