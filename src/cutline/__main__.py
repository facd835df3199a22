"""``python -m cutline``: the same as the ``cutline`` command."""

from __future__ import annotations

from cutline.cli import main

if __name__ == "__main__":
    main()
