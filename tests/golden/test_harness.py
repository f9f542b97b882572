"""The harness can fail: wrong values, missing keys, missing adapters, NaN and error rules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ADAPTER = """
import math

import numpy as np

PENDING = frozenset({{"later"}})


class Special(ValueError):
    pass


def refuse():
    raise Special("no")


def run(case, inputs):
    if inputs.get("raise"):
        raise Special("no")
    if "file" in inputs:
        return {{"text": open(inputs["file"]).read()}}
    return {result}
"""


def case(name: str, expected: dict[str, Any], tolerance: Any = 1e-9, **inputs: Any) -> dict[str, Any]:
    return {"case": name, "inputs": inputs, "expected": expected, "tolerance": tolerance, "how": "by hand"}


def lay_out(pytester: pytest.Pytester, cases: list[dict[str, Any]], result: str = "{}", folder: str = "tests/golden/vectors") -> None:
    """A small project with the real harness, one adapter and one vector file."""
    golden = pytester.path / "tests" / "golden"
    (golden / "adapters").mkdir(parents=True)
    shutil.copy(HERE.parent / "conftest.py", golden.parent)
    for name in ("conftest.py", "test_vectors.py"):
        shutil.copy(HERE / name, golden)
    (golden / "adapters" / "sample.py").write_text(ADAPTER.format(result=result))
    vectors = pytester.path / folder
    vectors.mkdir(parents=True, exist_ok=True)
    (vectors / "sample.json").write_text(json.dumps(cases))
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib -ra\nxfail_strict = true\n")


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    # a process of its own: the inner harness must not meet the outer one in sys.modules
    return pytester.runpytest_subprocess("tests/golden", "-p", "no:cacheprovider", "-p", "no:xdist", *args)


def test_right_values_pass_and_pending_keys_are_reported(pytester: pytest.Pytester) -> None:
    result = (
        '{"x": np.float64(1.0 + 5e-10), "n": 3, "flag": True, "s": "nan", "list": np.array([1.0, np.nan]), "deep": {"a": {1: 2.0}}, '
        '"undefined": math.nan, "none": None, "up": math.inf, "down": -math.inf, "gap": float("nan"), '
        '"fails": refuse, "failed": Special(), "more": 1}'
    )
    expected = {
        "x": 1.0,
        "n": 3,
        "flag": True,
        "s": "nan",
        "list": [1, "nan"],
        "deep": {"a": {"1": 2}},
        "undefined": "nan",
        "none": None,
        "up": "inf",
        "down": "-inf",
        "gap": None,
        "fails": {"error": "ValueError"},
        "failed": {"error": "Special"},
        "later": 1.0,
    }
    cases = [case("right", expected), case("all_pending", {"later": 2.0}), case("raises", {"error": "ValueError"}, **{"raise": True})]
    lay_out(pytester, cases, result)
    outcome = run(pytester)
    outcome.assert_outcomes(passed=2, xfailed=2)
    outcome.stdout.fnmatch_lines(
        ["cases: 2 passed, 0 failed, 1 xfailed", "pending: sample does not offer 1 of *: later", "pending: every key of sample/all_pending"]
    )


WRONG = {
    "value": (1.0, "1.0 + 2e-9"),
    "nan_for_number": (1.0, "math.nan"),
    "number_for_nan": ("nan", "0.0"),
    "none_for_nan": ("nan", "None"),
    "number_for_null": (None, "0.0"),
    "inf_sign": ("inf", "-math.inf"),
    "missing_key_inside": ({"a": 1.0}, '{"b": 1.0}'),
    "short_list": ([1.0, 2.0], "[1.0]"),
    "list_for_number": (1.0, "np.array([1.0])"),
    "bool_for_number": (1, "True"),
    "string": ("a", '"b"'),
    "no_error": ({"error": "ValueError"}, "1.0"),
    "other_error": ({"error": "KeyError"}, "refuse"),
    "error_for_number": (1.0, "ValueError()"),
}


def test_each_kind_of_difference_fails(pytester: pytest.Pytester) -> None:
    cases = [case(name, {name: expected}) for name, (expected, _) in WRONG.items()]
    cases += [
        case("absent", {"absent": 1.0}),
        case("tolerance_of_another_key", {"value": 1.0}, {"other": 1.0}),
        case("does_not_raise", {"error": "ValueError"}),
        case("raises_another", {"error": "KeyError"}, **{"raise": True}),
    ]
    lay_out(pytester, cases, "{" + ", ".join(f'"{name}": {actual}' for name, (_, actual) in WRONG.items()) + "}")
    run(pytester).assert_outcomes(passed=1, failed=len(cases))  # the one that passes: the file has an adapter


def test_tolerance_per_key_and_data_files(pytester: pytest.Pytester) -> None:
    cases = [
        case("per_key", {"a": 1.0, "b": 2.0}, {"a": 0.2, "b": 0.0}),
        case("own_file", {"text": "beside the vectors"}, file="own.txt"),
        case("shipped_file", {"text": "shipped"}, file="elsewhere/shipped.txt"),
        case("no_file", {"text": ""}, file="none.txt"),
    ]
    lay_out(pytester, cases, '{"a": 1.1, "b": 2.0}', folder="other")
    for path, text in {"other/sample/own.txt": "beside the vectors", "tests/golden/data/sample/shipped.txt": "shipped"}.items():
        (pytester.path / path).parent.mkdir(parents=True)
        (pytester.path / path).write_text(text)
    outcome = run(pytester, "--vectors", "other")
    outcome.assert_outcomes(passed=4, failed=1)
    outcome.stdout.fnmatch_lines(["*data file none.txt not found; looked for *"])


def test_a_tolerance_is_relative_only_where_the_adapter_says_so(pytester: pytest.Pytester) -> None:
    cases = [case("large", {"big": 1e6}), case("off", {"far": 1e6}), case("small", {"tiny": 1e-3}), case("inside", {"list": [1e6]})]
    result = '{"big": 1e6 + 1e-4, "far": 1e6 + 1e-2, "tiny": 1e-3 + 5e-10, "list": [1e6 + 1e-4]}'
    lay_out(pytester, cases, result)
    run(pytester).assert_outcomes(passed=2, failed=3)
    adapter = pytester.path / "tests" / "golden" / "adapters" / "sample.py"
    adapter.write_text(adapter.read_text() + "\nRELATIVE = True\n")
    run(pytester).assert_outcomes(passed=4, failed=1)


def test_vectors_may_use_the_data_of_another_slug(pytester: pytest.Pytester) -> None:
    lay_out(pytester, [case("shared_file", {"text": "shared"}, file="shared.txt")])
    shared = pytester.path / "tests" / "golden" / "data" / "another" / "shared.txt"
    shared.parent.mkdir(parents=True)
    shared.write_text("shared")
    run(pytester).assert_outcomes(passed=2)


@pytest.mark.parametrize(("args", "outcomes"), [((), {"failed": 1, "passed": 1}), (("--vectors", "other"), {"xfailed": 1})])
def test_file_without_adapter_is_reported(pytester: pytest.Pytester, args: tuple[str, ...], outcomes: dict[str, int]) -> None:
    lay_out(pytester, [])
    for folder in ("other", "tests/golden/vectors"):
        (pytester.path / folder).mkdir(exist_ok=True)
        (pytester.path / folder / "nobody.json").write_text(json.dumps([case("any", {"x": 1.0})]))
    outcome = run(pytester, *args)
    outcome.assert_outcomes(**outcomes)
    outcome.stdout.fnmatch_lines(["*no adapter for nobody*"])


def test_folder_without_vectors_is_an_error(pytester: pytest.Pytester) -> None:
    lay_out(pytester, [])
    outcome = run(pytester, "--vectors", "nowhere")
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["*no vector files in *nowhere: expected <slug>.json"])
