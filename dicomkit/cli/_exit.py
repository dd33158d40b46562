"""How the command ends: its exit statuses, and wrong usage."""

from __future__ import annotations

EXIT_OK = 0
EXIT_NOT_OK = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it


class WrongUsage(Exception):
    """The command cannot be carried out as it was given; each of its `args`, a line, is a complaint."""

    def __str__(self) -> str:
        return "\n".join(self.args)
