"""Every audit that asks a model, run as a task of Inspect, finds what it finds when it asks the same model itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_known import TOP, Asked, inspect_runs, mock, run_inspect

import trueline as tl
from trueline.audits import (
    DiscretionAudit,
    EmissionAudit,
    Likelihood,
    MarkerAudit,
    NumericMarkerAudit,
    audit_risk,
    judge_pairs,
    load_markers,
)
from trueline.audits.principles import parse_principles
from trueline.audits.quality import audit_quality
from trueline.errors import InputError
from trueline.inspecting import AUDITS, UNASKED, audit_document, inspect_audit
from trueline.knownworld.planted_pairs import PlantedJudge, planted_pairs
from trueline.models.base import Generation, RequestResult
from trueline.stats import CI
from trueline.tasks.loading import load_task
from trueline.tasks.preferences import PreferencePair

CHEAP = CI(n_boot=20)


def same(found: Any, expected: Any, at: str = "") -> int:
    """Compare two records, numbers to 1e-4; returns how many numbers there were."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), at
        return sum(same(found[key], value, f"{at}.{key}") for key, value in expected.items())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected), at
        return sum(same(f, e, f"{at}[{k}]") for k, (f, e) in enumerate(zip(found, expected, strict=True)))
    if isinstance(expected, float) and not math.isfinite(expected):
        expected = None  # as JSON says it
    if isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-4), at
        return 1
    assert found == expected, at
    return 0


def book(folder: Path) -> str:
    from trueline.knownworld.planted_table import planted_table

    return str(planted_table(300, 1).write(folder))


def pairs_file(folder: Path, n: int = 30, k: int = 3) -> tuple[str, str]:
    """A table of pairs and a list of principles that the planted judge reads."""
    import csv

    planted = planted_pairs(n, k)
    path, listing = folder / "pairs.csv", folder / "principles.txt"
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(planted.rows[0]))
        writer.writeheader()
        writer.writerows(planted.rows)
    listing.write_text("".join(f"{name}: {text}\n" for name, text in planted.principles))
    return str(path), str(listing)


# -- by name, on a model of trueline -------------------------------------------------------------------------------------


def errors(folder: Path) -> tuple[str, dict[str, Any], Any]:
    run = tl.measure("world:chat", "world:facts", ["semantic_entropy"], samples=4, limit=12, out=folder / "own", validate=False)
    settings = {"task": "world:facts", "samples": 4, "limit": 12, "n_boot": 20, "ensemble_sizes": ["1", "2"]}
    return "world:chat", settings, tl.audit_errors(run, n_boot=20, ensemble_sizes=[1, 2])


def distribution(folder: Path) -> tuple[str, dict[str, Any], Any]:
    name = "world:facts?wordings=case,space"
    run = tl.measure("world:chat", name, ["semantic_entropy"], samples=3, limit=6, out=folder / "own", validate=False)
    settings = {"task": name.split(","), "samples": 3, "limit": 6, "n_boot": 20, "ks": "2", "harm": "wrong"}
    return "world:chat", settings, tl.audit_distribution(run, n_boot=20, ks=[2], harm="wrong")


def quality(folder: Path) -> tuple[str, dict[str, Any], Any]:
    names = ["sequence_nll", "self_consistency"]
    run = tl.measure("world:chat", "world:facts", names, samples=3, limit=10, out=folder / "own", validate=False)
    settings = {"task": "world:facts", "samples": 3, "limit": 10, "n_boot": 20, "estimators": names}
    return "world:chat", settings, {"run": "", **audit_quality(run, ci=CHEAP).to_json()}


def grey_area(folder: Path) -> tuple[str, dict[str, Any], Any]:
    audit = MarkerAudit("world:facts", n_items=1, multi_token=True, ci=CHEAP)
    return (
        "world:base",
        {"task": "world:facts", "n_items": 1, "multi_token": True, "n_boot": 20},
        audit.run(tl.load_model("world:base")).document,
    )


def emission(folder: Path) -> tuple[str, dict[str, Any], Any]:
    audit = EmissionAudit("world:facts", shots=2, n_items=6, ci=CHEAP)
    return "world:chat", {"task": "world:facts", "shots": 2, "n_items": 6, "n_boot": 20}, audit.run(tl.load_model("world:chat")).document


def discretion(folder: Path) -> tuple[str, dict[str, Any], Any]:
    path, listing = pairs_file(folder)
    judge, chat = tl.load_model("world:planted-judge"), tl.load_model("world:chat")
    annotators: dict[str, Any] = {"human": "human", "self": judge, "policy": Likelihood(chat)}
    expected = DiscretionAudit(parse_principles(Path(listing).read_text()), judge, annotators, ci=CHEAP).run(path).document
    named = {"human": "human", "self": "judge:", "policy": "likelihood:trueline/world:chat"}
    return "world:planted-judge", {"table": path, "principles": listing, "annotators": named, "n_boot": 20}, expected


def risk(folder: Path) -> tuple[str, dict[str, Any], Any]:
    from trueline.tabular import load_risk_task

    path = book(folder)
    expected = audit_risk(tl.load_model("world:planted-risk"), load_risk_task(path), split="all", limit=60, ci=CI(n_boot=20, seed=42))
    return "world:planted-risk", {"table": path, "split": "all", "limit": 60, "n_boot": 20}, expected.document


@inspect_runs
@pytest.mark.parametrize("case", [errors, distribution, quality, grey_area, emission, discretion, risk], ids=lambda case: case.__name__)
def test_an_audit_by_its_name(case: Callable[[Path], tuple[str, dict[str, Any], Any]], tmp_path: Path) -> None:
    model, settings, expected = case(tmp_path)
    page = tmp_path / "page.html"
    written = {} if case is emission else {"report": str(page)}
    log = run_inspect(f"trueline/{case.__name__.replace('_', '-')}", f"trueline/{model}", tmp_path / "logs", task_args=settings | written)
    found = audit_document(log.location)
    if "run" in expected:
        assert found["run"] == "not kept"
        expected["run"] = found["run"]
    assert same(found, expected) > 20
    metrics = {name: m.value for name, m in log.results.scores[0].metrics.items()}
    assert metrics
    assert all(value == value for value in metrics.values())
    assert page.exists() == bool(written)
    with pytest.raises(InputError, match="is the log of an audit"):
        tl.import_generations(log.location, tmp_path / "no")


def test_every_audit_is_run_or_refused() -> None:
    from trueline.cli.app import audit

    named = {command.name or command.callback.__name__.replace("_", "-") for command in audit.registered_commands}  # type: ignore[union-attr]
    assert named | {"emission"} == {*AUDITS, *UNASKED}
    cased = {case.__name__.replace("_", "-") for case in (errors, distribution, quality, grey_area, emission, discretion, risk)}
    assert cased == set(AUDITS)


# -- from Python, on any model of Inspect --------------------------------------------------------------------------------

FEW = load_markers()[:4]


@inspect_runs
@pytest.mark.parametrize("top", [0, TOP])
def test_audits_of_markers_on_a_provider_that_knows_nothing_of_trueline(top: int, tmp_path: Path) -> None:
    task = load_task("world:facts", limit=30)
    settings: dict[str, Any] = {"markers": FEW, "position": "question_prefix", "n_items": 5, "multi_token": True, "draws": 2, "ci": CHEAP}
    shown: dict[str, Any] = {"by": "probability" if top else "correctness", "shots": 2, "n_items": 5, "ci": CHEAP}
    numbers = {**settings, "markers": None, "levels": (0, 50, 100)}
    audits: list[Any] = [MarkerAudit(task, **settings), EmissionAudit(task, **shown), NumericMarkerAudit(task, **numbers)]
    for audit in audits:
        log = run_inspect(inspect_audit(audit.run, "markers"), mock("world:chat", top), tmp_path / "logs")
        expected = audit.run(Asked("world:chat", top))
        assert same(audit_document(log), getattr(expected, "document", expected)) > 10


class Listing(PlantedJudge):
    """The planted judge as a server shows it: its answer, and the alternatives to its token."""

    def generate(self, requests: Any, settings: Any) -> Any:
        made = []
        for request in requests:
            law = {"yes": 1.0} if "<response_a>" not in (request.prompt.text or "") else self._law(request.prompt)
            tops = sorted(((math.log(max(p, 1e-9)), text) for text, p in law.items()), reverse=True)[:TOP]
            values = np.array([[value for value, _ in tops]])
            texts = [text for _, text in tops]
            said = Generation(texts[0], token_texts=texts[:1], token_logprobs=values[0, :1], topk_logprobs=values, topk_texts=[texts])
            made.append(RequestResult(said))
        return made


@inspect_runs
@pytest.mark.parametrize("top", [0, TOP])
def test_a_whole_discretion_audit_on_a_provider_that_knows_nothing_of_trueline(top: int, tmp_path: Path) -> None:
    path, listing = pairs_file(tmp_path, n=12)
    principles = parse_principles(Path(listing).read_text())
    judge: Any = Listing() if top else PlantedJudge(samples=True)

    def audit(model: Any) -> Any:
        return DiscretionAudit(principles, model, {"human": "human", "overall": model}, draws=3, ci=CHEAP).run(path)

    log = run_inspect(inspect_audit(audit, "discretion", headline=["regions"]), mock(judge, top), tmp_path / "logs")
    direct = Asked(judge, top)
    expected = audit(direct)
    assert same(audit_document(log), expected.document) > 10
    assert expected.document["oracle"]["calls"] == 12 * 3 * 2
    assert {"consensus", "consensus_low", "consensus_high"} <= set(log.results.scores[0].metrics)
    asked = sum(event.event == "model" for event in log.samples[0].events)
    assert asked == (direct.calls + 2 if top else 3 * direct.calls + 3)  # and what it took to find out what the provider shows


@inspect_runs
def test_pair_judging_and_risks_on_a_provider_that_knows_nothing_of_trueline(tmp_path: Path) -> None:
    from trueline.tabular import load_risk_task

    pairs = [PreferencePair((("user", r["prompt"]),), r["response_0"], r["response_1"]) for r in planted_pairs(6, 2).rows]
    texts = [text for _, text in planted_pairs(6, 2).principles]
    judge = PlantedJudge(samples=True)
    log = run_inspect(inspect_audit(lambda m: judge_pairs(m, pairs, texts, draws=2), "judging"), mock(judge), tmp_path / "logs")
    expected = judge_pairs(Asked(judge), pairs, texts, draws=2)  # type: ignore[arg-type]
    found = audit_document(log)
    assert [[float("nan") if v is None else v for v in row] for row in found["preferences"]] == pytest.approx(
        expected.preferences, nan_ok=True
    )
    task = load_risk_task(book(tmp_path))

    def audit(model: Any) -> Any:
        return audit_risk(model, task, split="all", limit=30, question="numeric", ci=CHEAP)

    log = run_inspect(inspect_audit(audit, "risk"), mock("world:planted-risk", TOP), tmp_path / "logs")
    assert same(audit_document(log), audit(Asked("world:planted-risk", TOP)).document) > 20


# -- what is refused, before anything is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("errors", {}, "needs task: give -T task="),
        ("errors", {"task": "nosuch"}, "unknown task 'nosuch'"),
        ("errors", {"task": "world:facts", "nboot": 3}, "no setting 'nboot'; did you mean n_boot"),
        ("errors", {"task": "world:facts", "samples": "many"}, "samples is 'many'; expected int"),
        ("grey-area", {"task": "world:facts", "n_items": 0}, "n_items is 0"),
        ("emission", {"task": "world:facts", "report": "page.html"}, "audit emission has no page"),
        ("discretion", {"table": "none.csv", "annotators": "human"}, "none.csv"),
        ("risk", {"table": "anes97"}, "did you mean anes96"),
        ("classifier", {"table": "t.csv"}, "asks no model"),
        ("annotators", {}, "trueline audit annotators TABLE"),
        ("marker-corpus", {}, "trueline audit marker-corpus TEXTS"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(name: str, settings: dict[str, Any], said: str) -> None:
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai._util.registry import registry_lookup

    make: Any = registry_lookup("task", f"trueline/{name}")
    with pytest.raises(PrerequisiteError) as caught:
        make(**settings)
    told = str(caught.value.message).replace(r"\[", "[")
    assert said in told
    assert "\n" not in told


def test_a_log_without_a_record_and_an_audit_without_one(tmp_path: Path) -> None:
    from trueline.inspecting.running import document_of

    with pytest.raises(InputError, match="holds no audit's record"):
        audit_document(Path(__file__).parents[1] / "interop" / "data" / "capitals.eval")
    with pytest.raises(InputError, match="the audit returned int"):
        document_of(3)
    assert document_of({"a": np.array([1.0, math.nan]), "b": -math.inf}) == {"a": [1.0, None], "b": None}
