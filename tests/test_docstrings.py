"""Public functions and classes say what they take, what they return and what they raise, in numpy's sections."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

import pytest

import dicomkit
from dicomkit import analysis, dictionary, events, preview, samples, scp, tags

ROOMS = (dicomkit, analysis, dictionary, events, samples, scp)
ALSO = (preview.picture_of, preview.to_8bit, tags.find_rows, tags.value)


def public() -> Iterator[tuple[str, object]]:
    """Every public name of the public rooms, and the public methods of the classes among them."""
    for room in ROOMS:
        names = getattr(room, "__all__", None) or [name for name in vars(room) if not name.startswith("_")]
        for name in names:
            value = getattr(room, name)
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            if not str(value.__module__).startswith("dicomkit"):
                continue
            yield f"{room.__name__}.{name}", value
            if inspect.isclass(value):
                for method_name, method in vars(value).items():
                    if isinstance(method, classmethod | staticmethod):
                        method = method.__func__
                    if inspect.isfunction(method) and not method_name.startswith("_"):
                        yield f"{room.__name__}.{name}.{method_name}", method


PUBLIC = dict(public()) | {f"{one.__module__}.{one.__name__}": one for one in ALSO}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}


def section(value: object, title: str) -> str | None:
    """What stands in one section of a docstring; None where there is none of that title."""
    text = inspect.getdoc(value) or ""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-{{3,}}\n|\Z)", text, re.M | re.S)
    return found and found[1]


@pytest.mark.parametrize("name", PUBLIC)
def test_it_has_a_docstring(name: str) -> None:
    assert PUBLIC[name].__doc__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_and_what_is_returned_are_described(name: str) -> None:
    function: Callable[..., object] = FUNCTIONS[name]  # type: ignore[assignment]
    signature = inspect.signature(function)
    parameters = [one.name for one in signature.parameters.values() if one.name not in ("self", "cls", "_")]
    described = re.findall(
        r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :|$)", section(function, "Parameters") or "", re.M
    )
    names = [one.strip("* ") for line in described for one in line.split(",")]
    assert names == parameters
    if parameters and signature.return_annotation not in ("None", "Self", "str", "int", "bool"):
        assert section(function, "Returns") or section(function, "Yields")
