"""``python -m data.make [FOLDER]``: draw the sample study and write the example settings, into `data` by default."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.make import write_settings, write_study


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m data.make",
        description="Draw the sample study and write the example settings.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(__file__).parents[1],
        help="gets the folders sample-study and settings (default: data)",
    )
    folder = parser.parse_args().folder
    write_study(folder / "sample-study")
    write_settings(folder / "settings")


if __name__ == "__main__":
    main()
