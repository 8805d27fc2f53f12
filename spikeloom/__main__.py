"""Run the command line with `python -m spikeloom`."""

from __future__ import annotations

from spikeloom.cli import main

if __name__ == "__main__":
    main()
