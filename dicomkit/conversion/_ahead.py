"""Conversions that are made before their turn comes, on the other cores: decoding takes longer than sending.

How it thinks: whoever sends says which instances come next, and asks for one when its turn has come. What was begun by
then is waited for, anything else is converted there and then. What is held is bounded, by the number of conversions
and by the size of each: what is larger, or fails, is left for its turn, where the whole of memory is its own and
the reason is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from threading import Lock
from typing import TYPE_CHECKING, Final

from dicomkit.conversion._convert import Converted, convert
from dicomkit.dictionary.uids import UNCOMPRESSED
from dicomkit.errors import UnreadableError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from dicomkit.sources import Instance


_MOST_HELD: Final = 1 << 29  # bytes, in all of them together
_MOST_BYTES: Final = 1 << 26  # that one of them may be decoded to
_LARGEST_SOURCE: Final = 1 << 24  # compressed


class ConversionsAhead:
    """Makes conversions with decompression ahead, and hands each out once; used from any thread.

    `senders` ask for them at the same time, and each should name `depth` instances beforehand.
    """

    def __init__(self, senders: int, max_decoded_bytes: int) -> None:
        self._max_decoded_bytes = max_decoded_bytes
        self._threads = os.cpu_count() or 1
        self.depth = self._threads + 1
        self._most = self._threads + senders * 2
        self._limit = min(max_decoded_bytes, _MOST_BYTES, _MOST_HELD // self._most)  # of one
        self._begun: dict[tuple[int, str], tuple[Instance, Future[Converted]]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def begin(self, coming: Iterable[Instance], target_of: Callable[[Instance], str | None]) -> None:
        """Begin to convert what is to be sent next, in order, as far as there is room for it.

        `target_of` says which transfer syntax an instance is to be converted to; None for what is not converted.
        """
        with self._lock:
            wanted = set()
            for instance in coming:
                target = target_of(instance)
                is_compressed = instance.transfer_syntax not in UNCOMPRESSED
                if target is None or not is_compressed or instance.length > _LARGEST_SOURCE:
                    continue
                key = (id(instance), target)
                wanted.add(key)
                if key not in self._begun and self._has_room(wanted):
                    self._begun[key] = (instance, self._submit(instance, target))

    def convert(self, instance: Instance, target: str) -> Converted:
        """Return what was begun, or convert it now, to be opened at once; raises what `convert` does."""
        with self._lock:
            begun = self._begun.pop((id(instance), target), None)
        if begun is not None:
            try:
                return begun[1].result()
            except (UnreadableError, MemoryError):
                pass  # once more, without the smaller bound and with nothing beside it, for the reason
        return convert(instance, target, max_decoded_bytes=self._max_decoded_bytes, keeps_open=True)

    def close(self) -> None:
        """Let go of what nobody asked for."""
        with self._lock:
            self._begun.clear()
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _has_room(self, wanted: set[tuple[int, str]]) -> bool:
        """Whether one more may be begun; what is finished, and not among those that come next, makes room."""
        if len(self._begun) >= self._most:
            for key, (_, future) in list(self._begun.items()):
                if key not in wanted and future.done():
                    del self._begun[key]
                    break
        return len(self._begun) < self._most

    def _submit(self, instance: Instance, target: str) -> Future[Converted]:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._threads, "dicomkit decoding")
        return self._pool.submit(convert, instance, target, max_decoded_bytes=self._limit)
