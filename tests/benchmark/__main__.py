"""``python -m tests.benchmark``: measure dicomkit beside its peers, and print what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmark.figures import Table, machine, write_into
from tests.benchmark.plan import KINDS, SETS, Plan
from tests.benchmark.scenarios import SCENARIOS
from tests.support.peers import MissingProgram

RESULTS = Path(__file__).with_name("RESULTS.md")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few instances, compared byte by byte; no figures"
    )
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (default: 5)")
    parser.add_argument(
        "--sets", default=",".join(SETS), metavar="NAMES", help=f"some of {','.join(SETS)} (default: all)"
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, help="measure this scenario only; may be given again"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the result into RESULTS.md, too; with --only, those tables",
    )
    chosen = parser.parse_args(arguments)
    chosen.sets = chosen.sets.split(",")
    if unknown := set(chosen.sets).difference(SETS):
        parser.error(f"--sets: no set is called {sorted(unknown)[0]!r}; there are {', '.join(SETS)}")
    if chosen.repeat < 1:
        parser.error(f"--repeat: {chosen.repeat} is not 1 or more")
    if chosen.quick and chosen.write:
        parser.error("--quick yields no figures that could be written with --write")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios asked for; 0 when every instance of every sender was stored.

    MissingProgram when a quick run lacks one: it is to show that all of them work.
    """
    chosen = _arguments(arguments)
    tables: list[Table] = []
    measured_on = machine()
    print(measured_on, flush=True)
    with tempfile.TemporaryDirectory(prefix="dicomkit-benchmark-") as workspace:
        plan = Plan(
            workspace=Path(workspace),
            repeat=1 if chosen.quick else chosen.repeat,
            kinds=[KINDS[name] for name in chosen.sets],
            is_quick=chosen.quick,
        )
        for name in chosen.only or SCENARIOS:
            try:
                measured = SCENARIOS[name].measure(plan)
            except MissingProgram as missing:
                if chosen.quick:
                    raise
                print(f"\n{name}: left out, for {missing}", file=sys.stderr)
                continue
            if chosen.quick:
                print(
                    f"{name}: it ran; all that was sent is stored, and identical where it is kept", flush=True
                )
                continue
            tables += measured
            for table in measured:
                print(f"\n{table.as_text()}", flush=True)
    if chosen.write:
        write_into(RESULTS, measured_on, tables, keeps_others=bool(chosen.only))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MissingProgram as missing:
        sys.exit(str(missing))
