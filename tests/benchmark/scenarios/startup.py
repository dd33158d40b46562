"""What it costs to start: a command that takes long to say --help is not run twice."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Run, Table, take_turns
from tests.benchmark.plan import KINDS, Plan
from tests.benchmark.receivers import NullReceiver

NAME = "startup"
TITLE = "Start-up, whole processes (rate: starts a second)"

BASELINE = "import pydicom"
GOALS = [Goal("dicomkit --help", 2.0), Goal("dicomkit send, one small file", 2.0)]


def measure(plan: Plan) -> list[Table]:
    file = plan.files(KINDS["small"], 1)
    with NullReceiver() as receiver:

        def python(code: str) -> Callable[[], Run]:
            return lambda: Run(senders.timed_process([sys.executable, "-c", code]), 1)

        help_command = [*senders.dicomkit_command(), "--help"]
        comparison = take_turns(
            TITLE,
            {
                BASELINE: python("import pydicom"),
                "python -c pass": python("pass"),
                "import dicomkit": python("import dicomkit"),
                "dicomkit --help": lambda: Run(senders.timed_process(help_command), 1),
                "dicomkit send, one small file": lambda: senders.dicomkit_send(file, receiver),
            },
            repeat=plan.repeat,
            baseline=BASELINE,
        )
    return [comparison.as_table(GOALS)]
