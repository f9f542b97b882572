"""What every test shares: the options of the suite, and an environment that gives the same result on any machine."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("house", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("house")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: sums must not depend on the machine
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach for the network


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        metavar="DIR",
        type=Path,
        default=None,
        help="folder of <slug>.json files to run through tests/golden/adapters (default: tests/golden/vectors)",
    )
