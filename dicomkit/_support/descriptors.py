"""File descriptors: whether an error means that there are none, and how many there are left for associations.

Each association takes four: two for its interrupt, its socket, and the file that it sends or has ready. A process may
have 256 open on macOS and 1024 on Linux unless that limit is raised (``ulimit -n``).
"""

from __future__ import annotations

import errno
import os

NO_DESCRIPTOR = "no file descriptor was free; raise the limit (ulimit -n), or keep fewer files open beside"

PER_ASSOCIATION = 4
# For the look ahead, a ledger, results, a name server, and what other threads of the process may open meanwhile.
RESERVED = 16
# Open already, where the system does not tell.
OPEN_UNLESS_KNOWN = 32

_CODES = frozenset({errno.EMFILE, errno.ENFILE, getattr(errno, "WSAEMFILE", errno.EMFILE)})


def is_shortage(error: BaseException | None) -> bool:
    """Return whether the process, or the system, has no file descriptor left; not the fault of a file or a peer."""
    return isinstance(error, OSError) and error.errno in _CODES


def lowered(wanted: int, fitting: int, limit: int | None) -> str:
    """Say that there are fewer associations than wanted, in a sentence; empty where there are not."""
    if fitting == wanted:
        return ""
    return (
        f"{wanted} associations were lowered to {fitting}, since this process may have {limit} files open: raise that "
        "limit (ulimit -n) for more"
    )


def associations_that_fit(wanted: int) -> tuple[int, int | None]:
    """Return how many of these the limit on descriptors allows, at least one, and that limit if there is one."""
    if wanted == 1:
        return wanted, None
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows, whose sockets and files are bounded by memory
        return wanted, None
    limit = getrlimit(RLIMIT_NOFILE)[0]
    if limit == RLIM_INFINITY:
        return wanted, None
    fitting = (limit - _count_open() - RESERVED) // PER_ASSOCIATION
    return max(1, min(wanted, fitting)), limit


def has_room() -> bool:
    """Return whether as many descriptors as an association takes are free at this moment."""
    taken = []
    try:
        for _ in range(PER_ASSOCIATION):
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    finally:
        for descriptor in taken:
            os.close(descriptor)
    return True


def _count_open() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):  # Linux; macOS and BSD
        try:
            with os.scandir(folder) as found:
                return sum(1 for _ in found)
        except OSError:
            continue
    return OPEN_UNLESS_KNOWN
