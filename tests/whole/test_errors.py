"""Every exception of the package goes into another process, and is copied, with its text and its fields."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import dicomkit
from dicomkit import DicomMessage, DicomSenderSetting, Ledger, LedgerError, SendError, SettingError, send
from dicomkit.errors import Problem
from dicomkit.sources import HeaderFacts
from dicomkit.sources.elements import Malformed
from tests.results.test_results import STORED
from tests.support.files import ct_instance

PROBLEM = Problem("error", "RemotePort", "0 is no port", "write 104")
# What a parameter of an exception's constructor is given, by its annotation.
SAMPLES: dict[str, Any] = {
    "str": "said",
    "int": 7,
    "bool": True,
    "int | None": 7,
    "TlsFailure | None": None,
    "tuple[tuple[str, tuple[str, ...]], ...]": (("1.2", ("1.3", "1.4")),),
    "object": ("said", 7),
    "Path": Path("folder/batch.sqlite"),
    "SendResult": STORED,
    "HeaderFacts | None": HeaderFacts("1.2", "1.3", "1.4", "1.5", "CT", "1.2.840.10008.1.2"),
    "Malformed | Truncated": Malformed("said"),
    "list[Problem] | tuple[Problem, ...]": [PROBLEM, PROBLEM],
}


def exceptions() -> list[type[BaseException]]:
    """Every class of exception that a module of the package defines."""
    found: dict[type[BaseException], None] = {}
    for module in pkgutil.walk_packages(dicomkit.__path__, "dicomkit."):
        if module.name.endswith(".__main__"):
            continue
        names = vars(importlib.import_module(module.name))
        for kind in names.values():
            if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__module__ == module.name:
                found[kind] = None
    return list(found)


def made(kind: type[BaseException]) -> BaseException:
    """One of these, from a value for each parameter; a parameter of a new type wants an entry in SAMPLES."""
    if not any("__init__" in vars(base) for base in kind.__mro__ if base.__module__ != "builtins"):
        return kind("said", "and said")
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        value = SAMPLES[str(parameter.annotation)]
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return kind(*positional, **named)


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_an_exception_is_the_same_after_pickling_and_copying(kind: type[BaseException]) -> None:
    error = made(kind)
    error.may_be_stored = True  # type: ignore[attr-defined]  # a field that was set after it was made
    error.add_note("a note")
    again = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in (*again, copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind
        assert str(other) == str(error)
        assert other.args == error.args
        assert vars(other) == vars(error)
        # What Python's own class keeps beside them.
        for name in ("msg", "errno", "strerror", "filename"):
            assert getattr(other, name, None) == getattr(error, name, None), name


def test_a_setting_error_keeps_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "pacs.json"
    path.write_text('{"RemotePort": 0}')
    with pytest.raises(SettingError) as caught:
        DicomSenderSetting.load(path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert str(again).startswith("pacs.json:\n")
    assert again.problems == caught.value.problems


def test_all_exceptions_are_found() -> None:
    assert {SettingError, LedgerError, SendError} < set(exceptions())
    assert len(exceptions()) > 20


def _fail(what: str) -> None:
    if what == "send":
        refused = DicomSenderSetting(remote_port=1, timeout_seconds=5)
        send(refused, DicomMessage.from_bytes(ct_instance())).raise_for_outcome()
    elif what == "setting":
        DicomSenderSetting(remote_port=0, timeout_seconds="soon")  # type: ignore[arg-type]
    else:
        Ledger("folder/none.sqlite")


def test_what_fails_in_a_process_pool_says_so_here() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(SendError, match="<bytes>: connection_failed") as sent:
            pool.submit(_fail, "send").result()
        assert sent.value.result.port == 1
        with pytest.raises(SettingError, match="RemotePort") as refused:
            pool.submit(_fail, "setting").result()
        assert [problem.field for problem in refused.value.problems] == ["RemotePort", "TimeoutSeconds"]
        with pytest.raises(LedgerError, match=r"ledger none\.sqlite: there is no such file") as missing:
            pool.submit(_fail, "ledger").result()
        assert missing.value.path == Path("folder/none.sqlite")
