"""``python -m trueline``: the command line."""

from trueline.cli import main

main()
