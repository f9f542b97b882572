"""Measuring a model behind a server: failures cost time and no content, a kill costs what was in flight, a cost limit stops in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from server_runs import content, questions
from stub_server import serve

import trueline as tl
from trueline.capture.journal import Journal, Ledger
from trueline.errors import BudgetReached, InputError, ModelError
from trueline.models.server import ServerModel, Usage, load
from trueline.traces.rundir import RunDirectory

NAME = "stub"
ESTIMATORS = ["sequence_nll", "semantic_entropy", "p_true", "verbalized_2s", "topk_margin"]
FAULTS = {
    "429": 0.08,
    "500": 0.05,
    "503": 0.03,
    "408": 0.02,
    "truncated": 0.05,
    "reset": 0.05,
    "slow": 0.02,
    "html": 0.02,
    "bytes": 0.02,
    "provider": 0.02,
    "broken_choice": 0.02,
}


def ask(url: str, task: str, out: Path, **options: Any) -> tl.Run:
    settings = {"base_url": url, **options.pop("model_options", {})}
    return tl.measure("openai:stub", task, ESTIMATORS, samples=4, out=out, equivalence="normalised", model_options=settings, **options)


def test_failures_change_nothing_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    task = questions(tmp_path, 150)
    with serve() as quiet:
        ask(quiet.url, task, tmp_path / "quiet")
    with serve(fail=FAULTS, slow=0.05) as stub:
        run = ask(stub.url, task, tmp_path / "run")
        stats = stub.stats()
    assert repr(content(tmp_path / "run")) == repr(content(tmp_path / "quiet"))
    assert stats["repeated"] == 0
    assert stats["distinct"] == 3 + 150 * 4  # the first questions
    assert all(stats["statuses"].get(kind, 0) > 0 for kind in FAULTS)
    assert run.manifest["status"] == "complete"
    assert run.manifest["counts"]["failed"] == 0
    assert run.manifest["counts"]["requests"] == 600
    assert run.manifest["counts"]["completion_tokens"] > 0
    assert not list((tmp_path / "run" / "journal").iterdir())


def test_an_item_that_is_given_up_costs_only_itself(tmp_path: Path) -> None:
    task = questions(tmp_path, 40)
    with serve(fail={"500": 0.5}) as stub:
        run = tl.measure(ready(stub.url, retries=0), task, ["sequence_nll"], out=tmp_path / "run")
    failed = run.manifest["counts"]["failed"]
    assert 0 < failed < 40
    assert run.manifest["status"] == "complete"
    assert all("HTTP 500" in error for error in run.failures["error"])
    assert run.scores["sequence_nll"].is_nan().sum() == failed


def ready(url: str, **options: Any) -> ServerModel:
    """A model whose server was asked what it can do when it was in better health."""
    with serve() as healthy:
        seen = load(NAME, base_url=healthy.url).seen
    model = load(NAME, base_url=url, **options)
    model._seen = seen
    return model


def test_what_cannot_be_true_is_rejected_with_its_item(tmp_path: Path) -> None:
    bad = {"choice": {"logprobs": {"content": [{"token": "a", "logprob": 0.7}]}}}
    with serve(**bad) as stub:
        run = tl.measure(ready(stub.url), questions(tmp_path, 3), ["sequence_nll"], out=tmp_path / "run")
    assert run.failures["error"].to_list() == ["rejected: a log-prob above 0: 0.7"] * 3


@pytest.mark.parametrize(("config", "gone"), [({"logprobs": False}, "sequence_nll"), ({"top_logprobs": 0}, "p_true")])
def test_the_plan_says_what_falls_away_before_anything_is_paid(config: dict[str, Any], gone: str, tmp_path: Path) -> None:
    with serve(**config) as stub:
        plan = tl.plan("openai:stub", questions(tmp_path, 50), model_options={"base_url": stub.url})
        assert gone in plan.left_out
        assert "semantic_entropy_discrete" in plan.estimators
        assert stub.stats()["answered"] == 2  # a sampled and a greedy answer; refusals cost nothing
        with pytest.raises(InputError, match="cannot be served"):
            tl.plan("openai:stub", questions(tmp_path, 50), [gone], model_options={"base_url": stub.url})


def test_sentences_are_checked_against_samples_as_for_a_local_model(tmp_path: Path) -> None:
    with serve() as stub:
        options = {"base_url": stub.url}
        names = ["selfcheck_prompt", "sequence_nll"]
        run = tl.measure(
            "openai:stub", questions(tmp_path, 3), names, samples=4, out=tmp_path / "run", model_options=options, validate=False
        )
    rows = [row for row in run.trace().table.to_pylist() if row["kind"] == "selfcheck_prompt"]
    assert [(row["item_index"], row["draw"]) for row in rows] == [(item, draw) for item in range(3) for draw in range(4)]
    assert all(row["error"] is None and row["text"] for row in rows)
    greedy = [row for row in run.trace().table.to_pylist() if row["kind"] == "greedy"]
    assert all("".join(row["token_texts"]) == row["text"] for row in greedy)


def test_a_cost_limit_stops_in_time_and_the_run_goes_on_later(tmp_path: Path) -> None:
    task = questions(tmp_path, 300)
    prices = {"price_prompt": 10.0, "price_completion": 100.0, "concurrency": 8}
    with serve() as stub:
        with pytest.raises(BudgetReached, match="of 300 items are done and kept"):
            ask(stub.url, task, tmp_path / "run", model_options=prices, max_cost=0.3)
        paid = stub.stats()["answered"]
        run = ask(stub.url, task, tmp_path / "run", model_options=prices, max_cost=10.0)
        stats = stub.stats()
    assert stats["repeated"] == 3  # the first questions
    assert 100 < paid < 300 * 4
    assert stats["distinct"] == 3 + 300 * 4
    assert run.manifest["counts"]["cost"] > 0.3
    with serve() as stub, pytest.raises(InputError, match="needs the prices"):
        ask(stub.url, task, tmp_path / "other", max_cost=1.0)
    with pytest.raises(InputError, match="costs nothing"):
        tl.measure("world:small", "world:facts", limit=2, out=tmp_path / "local", max_cost=1.0)


def test_the_cost_never_passes_its_limit(tmp_path: Path) -> None:
    prices = {"price_prompt": 10.0, "price_completion": 100.0}
    with serve() as stub:
        with pytest.raises(BudgetReached):
            ask(stub.url, questions(tmp_path, 120), tmp_path / "run", model_options=prices, max_cost=0.1)
        run = RunDirectory(tmp_path / "run")
        usage = Ledger(run).total()
        for entry in Journal(run).read((0, 0)).values():
            usage += Usage(entry["usage"]["prompt_tokens"], entry["usage"]["completion_tokens"], 1)
    assert 0.08 < (10.0 * usage.prompt_tokens + 100.0 * usage.completion_tokens) / 1e6 <= 0.102


def test_a_wrong_key_in_the_middle_stops_the_run_and_keeps_what_was_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-wrong-key")
    with serve(key="right") as stub:
        with pytest.raises(ModelError, match="refuses the key"):
            tl.measure(ready(stub.url), questions(tmp_path, 30), ["sequence_nll"], out=tmp_path / "run")
        assert stub.stats()["statuses"]["401"] <= 32  # at once: not once an item and try


def test_the_journal_forgets_torn_lines_and_second_replies(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    journal = Journal(run)
    journal.append((0, 0), (1, "greedy"), b'{"a":\n 1}')
    journal.append((0, 0), (1, "greedy"), b'{"a": 2}')
    journal.close()
    with journal.path((0, 0)).open("ab") as handle:
        handle.write(b'{"item": 2, "call": "gre')
    journal.append((0, 0), (3, "sample:0"), b'{"a": 3}')
    journal.close()
    assert journal.read((0, 0)) == {(1, "greedy"): {"a": 1}, (3, "sample:0"): {"a": 3}}


RESUMER = """
import os, random, signal, sys, time
import pyarrow, pyarrow.parquet, polars, numpy, openai, aiohttp, asyncio
import trueline as tl
import trueline.capture.remote, trueline.measuring, trueline.estimators.loading, trueline.models.server.model
url, task, out, kills, longest = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
draw = random.Random(7)
done = killed = 0
while killed < kills:
    pid = os.fork()
    if pid == 0:
        options = {{"base_url": url, "concurrency": 8}}
        tl.measure("openai:stub", task, {estimators!r}, samples=4, out=f"{{out}}-{{done}}", equivalence="normalised", model_options=options)
        os._exit(0)
    time.sleep(draw.uniform(0.05, longest))
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        assert status == 0, status
        done += 1
        continue
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    killed += 1
print(done)
"""


def _kill(tmp_path: Path, kills: int, items: int, longest: float) -> None:
    task = questions(tmp_path, items)
    with serve() as quiet:
        ask(quiet.url, task, tmp_path / "quiet")
    faults = {kind: rate / 2 for kind, rate in FAULTS.items()}
    with serve(fail=faults, slow=0.02) as stub:
        script = RESUMER.format(estimators=ESTIMATORS)
        arguments = [stub.url, task, str(tmp_path / "run"), str(kills), str(longest)]
        ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=600, check=False)
        assert ended.returncode == 0, ended.stderr[-2000:]
        done = int(ended.stdout)
        ask(stub.url, task, tmp_path / f"run-{done}", model_options={"concurrency": 8})
    expected = repr(content(tmp_path / "quiet"))
    for k in range(done + 1):
        assert repr(content(tmp_path / f"run-{k}")) == expected


def test_killed_again_and_again_it_ends_as_the_undisturbed_run(tmp_path: Path) -> None:
    _kill(tmp_path, kills=8, items=200, longest=0.6)


@pytest.mark.slow
def test_killed_at_two_hundred_moments(tmp_path: Path) -> None:
    _kill(tmp_path, kills=200, items=400, longest=0.8)


def test_an_interrupt_keeps_everything_and_says_how_to_go_on(tmp_path: Path) -> None:
    task = questions(tmp_path, 400)
    with serve(delay=0.03) as stub:
        command = [sys.executable, "-m", "trueline", "measure", "openai:stub", task, "--base-url", stub.url, "--out", str(tmp_path / "run")]
        command += ["--estimators", "sequence_nll", "-O", "concurrency=4"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
        while stub.stats()["answered"] < 40:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "trueline measure openai:stub" in said
        assert "Traceback" not in said
        answered = stub.stats()["answered"]
        kept = len(Journal(RunDirectory(tmp_path / "run")).read((0, 0)))
        assert answered - kept <= 2 + 4  # the first questions, and what was in flight


def test_a_planted_key_reaches_no_file_and_no_message(tmp_path: Path) -> None:
    key = "sk-planted-0123456789"
    environment = {**os.environ, "OPENAI_API_KEY": key, "NO_COLOR": "1"}
    said = ""
    with serve(key=key, fail={"500": 0.2}) as good, serve(key="another") as bad:
        for stub, name in ((good, "good"), (bad, "bad")):
            task = questions(tmp_path, 20)
            command = [
                sys.executable,
                "-m",
                "trueline",
                "measure",
                "openai:stub",
                task,
                "--base-url",
                stub.url,
                "--out",
                str(tmp_path / name),
            ]
            for extra in ([], ["--json"], ["--plan"]):
                ended = subprocess.run([*command, *extra], capture_output=True, text=True, env=environment, check=False)
                assert ended.returncode == (0 if name == "good" else 2), ended.stderr
                said += ended.stdout + ended.stderr
        subprocess.run(
            [sys.executable, "-m", "trueline", "report", str(tmp_path / "good")], check=True, env=environment, capture_output=True
        )
    assert "refuses the key" in said
    assert key not in said
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file
