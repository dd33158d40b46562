"""The scenarios, one small module each: a name, a title, and `measure(plan)` that returns tables."""

from __future__ import annotations

from types import ModuleType

from tests.benchmark.scenarios import (
    archive,
    converted,
    distance,
    growth,
    installed,
    ledger,
    memory,
    nodelay,
    redraw,
    scan,
    startup,
    whole,
)

SCENARIOS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        startup,
        nodelay,
        whole,
        installed,
        ledger,
        memory,
        growth,
        scan,
        converted,
        archive,
        distance,
        redraw,
    )
}
