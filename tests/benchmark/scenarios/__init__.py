"""The scenarios, one small module each: a name, a title, and `measure(plan)` that returns tables."""

from __future__ import annotations

from types import ModuleType

from tests.benchmark.scenarios import (
    archive,
    distance,
    growth,
    installed,
    ledger,
    memory,
    nodelay,
    startup,
    whole,
)

SCENARIOS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (nodelay, installed, whole, distance, archive, ledger, memory, growth, startup)
}
