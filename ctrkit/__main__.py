"""``python -m ctrkit`` is ``ctrkit``."""

from ctrkit.cli import main

main()
