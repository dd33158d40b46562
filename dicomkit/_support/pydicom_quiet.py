"""pydicom warns and logs about odd values, and quotes them, which may be a patient's: here it is kept quiet.

Filters of warnings and a logger belong to the whole process, so there is one switch for all threads: the first one in
silences them, and the last one out gives them their voice back. Each on its own would leave them in the other's state.
"""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Final


class _Quiet:
    """A context that any number of threads may be in at once, also within one another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()
        self._logger = logging.getLogger("pydicom")
        self._was_disabled = False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
                self._was_disabled, self._logger.disabled = self._logger.disabled, True
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)
                self._logger.disabled = self._was_disabled


PYDICOM_QUIET: Final = _Quiet()
"""``with PYDICOM_QUIET:`` around whatever has pydicom look at values."""
