"""``python -m dicomkit.samples FOLDER``: write the sample study and the example settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicomkit.samples import write_samples, write_settings


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dicomkit.samples",
        description="Write the sample study and the example settings.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, help="gets the folders sample-study and settings")
    folder = parser.parse_args().folder
    write_samples(folder / "sample-study")
    write_settings(folder / "settings")


if __name__ == "__main__":
    main()
