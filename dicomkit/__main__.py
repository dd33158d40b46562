"""``python -m dicomkit`` is the `dicomkit` command."""

from dicomkit.cli import process

if __name__ == "__main__":
    process()
