"""pydicom says nothing while any thread is inside, and speaks as before once all are out."""

from __future__ import annotations

import logging
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET


def speak() -> None:
    """What pydicom does with a value that it does not like."""
    warnings.warn("Invalid value for VR UI: 'Phantom^Ada'", stacklevel=1)
    logging.getLogger("pydicom").warning("Invalid value for VR UI: 'Phantom^Ada'")


def test_nothing_is_heard_inside_and_all_outside(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    with PYDICOM_QUIET, PYDICOM_QUIET:
        speak()
    assert not recwarn.list
    assert not caplog.records
    speak()
    assert len(recwarn.list) == 1
    assert len(caplog.records) == 1


def test_threads_that_overlap_leave_the_process_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    filters = list(warnings.filters)
    first_is_in, second_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with PYDICOM_QUIET:
            first_is_in.set()
            assert second_is_in.wait(5)
        first_is_out.set()

    def second() -> None:
        assert first_is_in.wait(5)
        with PYDICOM_QUIET:
            second_is_in.set()
            assert first_is_out.wait(5)
            speak()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result(10)
    assert not caplog.records
    assert list(warnings.filters) == filters
    assert not logging.getLogger("pydicom").disabled


def test_an_error_inside_ends_the_silence() -> None:
    with pytest.raises(ValueError, match="odd"), PYDICOM_QUIET:
        raise ValueError("odd")
    assert not logging.getLogger("pydicom").disabled
