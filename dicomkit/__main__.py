"""``python -m dicomkit`` is the `dicomkit` command."""

import sys

from dicomkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
