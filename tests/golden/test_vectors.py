"""Golden vectors: values computed independently of trueline, compared case by case within each case's tolerance.

``vectors/<slug>.json`` is a list of cases ``{case, inputs, expected, tolerance, how}``; ``adapters/<slug>.py`` offers
``run(case, inputs) -> dict`` that computes the expected keys with trueline. ``pytest tests/golden --vectors DIR`` runs other vectors.

- numbers: absolute tolerance, one for the case or a dict with one per key; "nan", "inf", "-inf" stand for those numbers, null for a missing
  value (None or NaN);
- ``{"error": "ValueError"}``: that exception or a subclass. For a whole case ``run`` raises it; under a key the adapter returns the
  exception, or a function without arguments that raises it;
- keys that begin or end with ``upstream`` hold what other code returns: adapters compute them through compatibility options;
- an adapter with ``RELATIVE = True`` takes the tolerance as relative where that is looser (values written with a fixed number of digits);
- an adapter names the expected keys that trueline does not offer yet in ``PENDING: frozenset[str]``; they are reported, never passed.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
DEFAULT_VECTORS = HERE / "vectors"
WRITTEN_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = (metafunc.config.getoption("--vectors") or DEFAULT_VECTORS).resolve()
    files = sorted(folder.glob("*.json"))
    if not files:
        raise pytest.UsageError(f"no vector files in {folder}: expected <slug>.json")
    params = []
    for file in files:
        params.append(pytest.param(file, None, id=file.stem))
        if _adapter_path(file.stem).exists():
            params.extend(pytest.param(file, case, id=f"{file.stem}/{case['case']}") for case in _cases(file))
    metafunc.parametrize(("vector_file", "case"), params)


def test_vectors(vector_file: Path, case: dict[str, Any] | None) -> None:
    """Without a case: the file has an adapter that offers every key. With a case: its values are right."""
    if case is None:
        _check_served(vector_file)
        return
    slug, expected = vector_file.stem, case["expected"]
    adapter = load_adapter(slug)
    shipped = sorted(path for path in (HERE / "data").glob("*") if path.is_dir())
    inputs = _with_file(case["inputs"], vector_file.parent / slug, HERE / "data" / slug, *shipped)
    if set(expected) == {"error"}:
        problems = list(compare(lambda: adapter.run(case["case"], inputs), expected, 0.0, "run"))
    else:
        offered = set(expected) - _pending(adapter)
        if not offered:
            pytest.xfail(f"pending: every key of {slug}/{case['case']}")
        result = adapter.run(case["case"], inputs)
        relative = bool(getattr(adapter, "RELATIVE", False))
        compared = [k for k in expected if k in offered or k in result]
        problems = [p for k in compared for p in _compare_key(result, expected, k, case["tolerance"], relative)]
    if problems:
        pytest.fail("\n".join([f"{slug}/{case['case']} ({case.get('how', '')})", *problems]), pytrace=False)


def _check_served(vector_file: Path) -> None:
    slug = vector_file.stem
    if not _adapter_path(slug).exists():
        if vector_file.parent == DEFAULT_VECTORS.resolve():
            pytest.fail(f"no adapter for {slug}: write tests/golden/adapters/{slug}.py", pytrace=False)
        pytest.xfail(f"missing adapter: no adapter for {slug}")
    known = {key for case in _cases(vector_file) for key in case["expected"]}
    pending = sorted(_pending(load_adapter(slug)) & known)
    if pending:
        pytest.xfail(f"pending: {slug} does not offer {len(pending)} of {len(known)} keys: {', '.join(pending)}")


def load_adapter(slug: str) -> ModuleType:
    """The adapter of a vector file, imported once by its path."""
    name = f"golden_adapter_{slug}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _adapter_path(slug))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up here
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def compare(actual: Any, expected: Any, tolerance: float, where: str, relative: bool = False) -> Iterator[str]:
    """Every difference between a result and what was expected, one line each; nothing when they agree."""
    if isinstance(actual, (np.generic, np.ndarray)):
        actual = actual.tolist()
    if isinstance(expected, Mapping) and set(expected) == {"error"}:
        yield from _compare_error(actual, str(expected["error"]), where)
    elif isinstance(actual, BaseException):
        yield f"{where}: raised {actual!r}, expected {expected!r}"
    elif isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            yield f"{where}: {actual!r} is no mapping, expected {expected!r}"
            return
        by_name = {str(k): v for k, v in actual.items()}
        for key, value in expected.items():
            if key in by_name:
                yield from compare(by_name[key], value, tolerance, f"{where}.{key}", relative)
            else:
                yield f"{where}.{key}: missing"
    elif isinstance(expected, list):
        if not isinstance(actual, (list, tuple)) or len(actual) != len(expected):
            yield f"{where}: {actual!r}, expected a list of {len(expected)}: {expected!r}"
            return
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from compare(a, e, tolerance, f"{where}[{i}]", relative)
    elif not _same_value(actual, expected, _looser(tolerance, expected) if relative else tolerance):
        yield f"{where}: {actual!r}, expected {expected!r} within {tolerance}"


def _looser(tolerance: float, expected: Any) -> float:
    is_number = isinstance(expected, (int, float)) and not isinstance(expected, bool) and math.isfinite(expected)
    return tolerance * max(1.0, abs(expected)) if is_number else tolerance


def _same_value(actual: Any, expected: Any, tolerance: float) -> bool:
    if expected is None:
        return actual is None or (isinstance(actual, float) and math.isnan(actual))
    if isinstance(expected, str):
        if expected in WRITTEN_NUMBERS and isinstance(actual, float):
            number = WRITTEN_NUMBERS[expected]
            return actual == number or (math.isnan(actual) and math.isnan(number))
        return isinstance(actual, str) and actual == expected
    if isinstance(expected, bool) or isinstance(actual, bool):
        return isinstance(actual, bool) and isinstance(expected, bool) and actual == expected
    # NaN fails here: no comparison with it is true
    return isinstance(actual, (int, float)) and (actual == expected or abs(actual - expected) <= tolerance)


def _compare_error(actual: Any, name: str, where: str) -> Iterator[str]:
    if callable(actual):
        try:
            actual = actual()
        except Exception as error:  # noqa: BLE001 - whatever was raised is the thing to compare
            actual = error
    if not isinstance(actual, Exception):
        yield f"{where}: {actual!r}, expected {name} to be raised"
    elif name not in {cls.__name__ for cls in type(actual).__mro__}:
        yield f"{where}: raised {actual!r}, expected {name}"


def _compare_key(
    result: Any, expected: Mapping[str, Any], key: str, tolerance: float | Mapping[str, float], relative: bool
) -> Iterator[str]:
    if not isinstance(result, Mapping):
        return iter([f"run returned {type(result).__name__}, expected a dict"])
    if key not in result:
        return iter([f"{key}: missing in the adapter's result (name it in PENDING if trueline does not offer it yet)"])
    within = tolerance.get(key, 0.0) if isinstance(tolerance, Mapping) else tolerance
    return compare(result[key], expected[key], within, key, relative)


def _with_file(inputs: dict[str, Any], *folders: Path) -> dict[str, Any]:
    """Inputs whose ``file`` is the path of a file in the first of ``folders`` that has it; vectors may share the data of another slug."""
    if "file" not in inputs:
        return inputs
    name = Path(inputs["file"])
    candidates = [folder / part for folder in folders for part in (name, Path(name.name))]
    for candidate in candidates:
        if candidate.is_file():
            return {**inputs, "file": str(candidate.resolve())}
    return pytest.fail(f"data file {name} not found; looked for {', '.join(map(str, candidates))}", pytrace=False)


def _cases(vector_file: Path) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(vector_file.read_text(encoding="utf-8"))
    return cases


def _adapter_path(slug: str) -> Path:
    return HERE / "adapters" / f"{slug}.py"


def _pending(adapter: ModuleType) -> frozenset[str]:
    return frozenset(getattr(adapter, "PENDING", ()))
