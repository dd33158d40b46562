"""The `dicomkit` command: one module for each of its subcommands, loaded when that one is asked for."""

from dicomkit.cli._main import main, process

__all__ = ["main", "process"]
