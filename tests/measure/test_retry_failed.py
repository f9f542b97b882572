"""What failed is asked again: nothing that succeeded is, errors stay recorded, and the end equals a run that never failed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lawmodel import LawModel, make_task
from server_runs import content, questions
from stub_server import serve

import trueline as tl
from trueline.capture.asking import _missing
from trueline.capture.failed import failed_items
from trueline.capture.journal import Journal, Ledger
from trueline.models.base import GenerationRequest, GenerationSettings, Prompt, RequestResult
from trueline.models.server import Call, ServerModel, load
from trueline.models.server.probing import Capabilities
from trueline.traces.compaction import compact
from trueline.traces.rundir import RunDirectory

#: What the stub can do.
SEEN = Capabilities(route="chat", several=True, logprobs=True, top_logprobs=20, seed=True)
ESTIMATORS = ["sequence_nll", "semantic_entropy", "p_true", "verbalized_2s", "topk_margin", "selfcheck_prompt"]


def asked(url: str, out: Path, n: int, **options: Any) -> tl.Run:
    """A measure whose requests get one try each; the stub's faults must not meet the question what the server can do."""
    model: ServerModel = load("stub", base_url=url, retries=0)
    model._seen, model._most = SEEN, {4: 4}
    settings: dict[str, Any] = {"samples": 4, "equivalence": "normalised", "validate": False, **options}
    names = settings.pop("estimators", ESTIMATORS)
    return tl.measure(model, questions(out.parent, n), names, out=out, **settings)


def undisturbed(tmp_path: Path, n: int) -> tuple[str, dict[str, Any]]:
    (tmp_path / "quiet").mkdir()
    with serve() as quiet:
        run = asked(quiet.url, tmp_path / "quiet" / "run", n)
    return repr(content(run.path)), run.manifest["counts"]


@pytest.mark.parametrize(("compacted", "n"), [(False, 140), (True, 30)])
def test_round_after_round_it_ends_as_the_undisturbed_run(tmp_path: Path, compacted: bool, n: int) -> None:
    expected, counts = undisturbed(tmp_path, n)
    failed = []
    with serve(fail={"500": 0.08, "truncated": 0.04}) as stub:
        while not failed or failed[-1]:
            run = asked(stub.url, tmp_path / "run", n, retry_failed=bool(failed))
            failed.append(run.manifest["counts"]["failed"])
            if compacted and len(failed) == 1:
                compact(run.directory)
            assert len(failed) < 20
        stats = stub.stats()
    assert failed[0] > n / 10
    assert failed == sorted(failed, reverse=True)
    if compacted:
        found = [row for path in run.directory.shards() for row in pq.read_table(path).to_pylist()]
        whole = tl.open_run(tmp_path / "quiet" / "run").trace().table.to_pylist()
        assert repr(found) == repr(whole)
    else:
        assert repr(content(run.path)) == expected
    # each good reply was paid for once, in whatever round it came
    assert stats["answered"] == counts["requests"] == run.manifest["counts"]["requests"]
    assert run.manifest["counts"]["completion_tokens"] == counts["completion_tokens"]
    old = [row for path in (run.path / "replaced-errors").iterdir() for row in pq.read_table(path).to_pylist()]
    assert {row["error"].split(":")[0].split(" after")[0] for row in old} >= {"given up"}
    assert not list((run.path / "journal").iterdir())


def test_without_being_told_nothing_is_asked_again(tmp_path: Path) -> None:
    with serve(fail={"500": 0.3}) as stub:
        first = asked(stub.url, tmp_path / "run", 40).manifest["counts"]
        before = stub.stats()
        again = asked(stub.url, tmp_path / "run", 40).manifest["counts"]
        assert stub.stats() == before
    assert first == again
    assert first["failed"] > 0


def test_scores_of_earlier_estimators_follow_the_new_answers(tmp_path: Path) -> None:
    with serve(fail={"500": 0.1}) as stub:
        run = asked(stub.url, tmp_path / "run", 40, estimators=["sequence_nll", "semantic_entropy"])
        missing = int(run.scores["semantic_entropy"].is_nan().sum())
        while run.manifest["counts"]["failed"]:
            run = asked(stub.url, tmp_path / "run", 40, estimators=["sequence_nll"], retry_failed=True)
    assert missing > 0
    assert int(run.scores["semantic_entropy"].is_nan().sum()) == 0
    assert run.scores.columns == ["item_id", "sequence_nll", "semantic_entropy"]


KILLED = """
import os, random, signal, sys, time
import pyarrow.parquet, polars, openai, aiohttp, asyncio
import trueline as tl
import trueline.capture.remote, trueline.measuring, trueline.estimators.loading
from trueline.models.server import load
from trueline.models.server.calls import Dialect
from trueline.models.server.probing import Capabilities
url, task, out, seen, kills = sys.argv[1], sys.argv[2], sys.argv[3], eval(sys.argv[4]), int(sys.argv[5])
draw = random.Random(3)
killed = 0
while killed < kills:
    pid = os.fork()
    if pid == 0:
        model = load("stub", base_url=url, retries=0, concurrency=8)
        model._seen, model._most = seen, {{4: 4}}
        tl.measure(model, task, {estimators!r}, samples=4, out=out, equivalence="normalised", validate=False, retry_failed=True)
        os._exit(0)
    time.sleep(draw.uniform(0.05, 0.5))
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed += 1
    else:
        assert status == 0, status
        break
"""


@pytest.mark.slow
def test_killed_while_asking_again_nothing_is_lost_and_nothing_counted_twice(tmp_path: Path) -> None:
    expected, counts = undisturbed(tmp_path, 150)
    with serve(fail={"500": 0.25}) as stub:
        run = asked(stub.url, tmp_path / "run", 150)
        assert run.manifest["counts"]["failed"] > 30
        script = KILLED.format(estimators=ESTIMATORS)
        command = [sys.executable, "-c", script, stub.url, questions(tmp_path, 150), str(run.path), repr(SEEN), "6"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stderr[-2000:]
        for _ in range(20):
            run = asked(stub.url, tmp_path / "run", 150, retry_failed=True)
            if not run.manifest["counts"]["failed"]:
                break
        answered = stub.stats()["answered"]
    assert repr(content(run.path)) == expected
    assert run.manifest["counts"]["requests"] == counts["requests"]
    assert answered - counts["requests"] <= 6 * 8  # what was in flight at each kill


def test_a_kill_between_shard_and_ledger_is_made_good(tmp_path: Path) -> None:
    with serve(fail={"500": 0.1}) as stub:
        run = asked(stub.url, tmp_path / "run", 40, estimators=["sequence_nll"])
        good = Ledger(run.directory).total().requests
        journal = Journal(run.directory)
        reply = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
        journal.append((0, 1), (0, "greedy"), json.dumps(reply).encode())
        journal.close()
        assert journal.again() == {0: 1}
        assert list(failed_items(run.directory))
        while run.manifest["counts"]["failed"]:
            run = asked(stub.url, tmp_path / "run", 40, estimators=["sequence_nll"], retry_failed=True)
    assert not list((run.path / "journal").iterdir())
    assert Ledger(run.directory).total().requests >= good + 1


def test_only_the_missing_draws_of_a_call_are_asked_for() -> None:
    call = Call(Prompt("Q"), max_tokens=4, n=4, temperature=1.0, seed=10)
    seeds = [10, 11, 12, 13]
    good = {("sample", draw): {"kind": "sample", "draw": draw, "text": "x", "error": None} for draw in (0, 2)}
    assert _missing("sample:0", call, seeds, good) == [("sample:1", dataclasses.replace(call, n=2, seed=11), [1, 3])]
    assert _missing("sample:0", call, seeds, {}) == [("sample:0", call, [0, 1, 2, 3])]
    assert _missing("sample:0", call, seeds, {("sample", d): {} for d in range(4)}) == []


class Ill(LawModel):
    """Fails on every third question until it is well."""

    ill = True

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        found = super().generate(requests, settings)
        return [
            RequestResult(error="out of memory") if self.ill and len(request.prompt.messages[-1].content) % 3 == 0 else result
            for request, result in zip(requests, found, strict=True)
        ]


def test_a_local_model_is_asked_again_as_well(tmp_path: Path) -> None:
    task, model = make_task(200), Ill()
    settings: dict[str, Any] = {"samples": 3, "validate": False}
    names = ["sequence_nll", "semantic_entropy", "p_true"]
    run = tl.measure(model, task, names, out=tmp_path / "run", **settings)
    assert run.manifest["counts"]["failed"] > 50
    model.ill, model.generate_calls = False, []
    told: list[tuple[str, int, int]] = []
    run = tl.measure(model, task, names, out=tmp_path / "run", retry_failed=True, progress=lambda *step: told.append(step), **settings)
    assert run.manifest["status"] == "complete"
    assert run.manifest["counts"]["failed"] == 0
    assert max(model.generate_calls) < 128
    assert told[-1] == ("capture", 200, 200)
    whole = tl.measure(model, task, names, out=tmp_path / "whole", **settings)
    for name in ("trace/000000.parquet", "trace/000001.parquet", "scores.parquet", "grades.parquet"):
        assert repr(pq.read_table(run.path / name).to_pylist()) == repr(pq.read_table(whole.path / name).to_pylist()), name


@pytest.mark.slow
def test_ctrl_c_while_asking_again_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    with serve(fail={"500": 0.2}, delay=0.02) as stub:
        out = tmp_path / "run"
        asked(stub.url, out, 200, estimators=["sequence_nll"])
        paid = stub.stats()["answered"]
        command = [sys.executable, "-m", "trueline", "measure", "openai:stub", str(tmp_path / "questions.jsonl"), "--base-url", stub.url]
        command += ["--out", str(out), "--estimators", "sequence_nll", "--samples", "4", "-O", "concurrency=2", "--retry-failed"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
        while stub.stats()["answered"] < paid + 15:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert said.rstrip().endswith("--retry-failed")
        assert RunDirectory(out).manifest()["status"] == "running"
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        stats = stub.stats()
    counts = RunDirectory(out).manifest()["counts"]
    assert counts["failed"] == 0
    assert counts["requests"] == 200
    assert stats["answered"] - 200 <= 2 * 2 + 2  # two first questions of each command, and what was in flight
