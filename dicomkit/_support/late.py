"""Names of a folder that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def when_used(package: str, names_in: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """The `__getattr__` of a package with these names in these of its modules."""

    def find(name: str) -> object:
        from importlib import import_module

        for module, names in names_in.items():
            if name in names:
                return getattr(import_module(f"{package}.{module}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
