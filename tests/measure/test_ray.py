"""The Ray engine holds what the local one holds, whoever dies on the way. One cluster of two workers serves the whole file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from stub_server import serve

import trueline as tl
from trueline.capture.cluster import ClusterModel, RayEngine, connect, fetch, load_engine
from trueline.capture.distributed import capture_cluster
from trueline.capture.engine import capture
from trueline.capture.planner import Plan
from trueline.errors import BudgetReached, InputError, MissingExtra, ModelError
from trueline.items import choose
from trueline.models.server.probing import Capabilities
from trueline.tasks.item import Item, Task
from trueline.tasks.loading import load_task
from trueline.traces.rundir import RunDirectory

TWO = RayEngine(workers=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    assert connect(TWO), "a cluster is there already"
    yield
    import ray

    ray.shutdown()


def questions(n: int) -> Task:
    return Task("questions", [Item(f"q{i}", f"Where was person number {i} born?", references=("Kelby",)) for i in range(n)])


def files(path: Path) -> dict[str, Any]:
    """Every table of a run, by content."""
    found = {p.name: pq.read_table(p).to_pylist() for p in sorted((path / "trace").glob("*.parquet"))}
    return found | {name: pq.read_table(path / f"{name}.parquet").to_pylist() for name in ("items", "scores", "grades")}


def traces(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((path / "trace").glob("*.parquet"))}


def without_times(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key != "created"}


def test_a_run_is_the_same_to_the_byte_and_the_local_engine_goes_on_with_it(cluster: None, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"estimators": ["sequence_nll"], "samples": 0, "validate": False}
    local = tl.measure("world:planted-risk", questions(130), out=tmp_path / "local", **asked)
    steps: list[tuple[str, int, int]] = []
    run = tl.measure("world:planted-risk", questions(130), out=tmp_path / "ray", engine="ray", progress=lambda *s: steps.append(s), **asked)
    assert len(traces(run.path)) == 2
    assert traces(run.path) == traces(local.path)
    assert files(run.path) == files(local.path)
    assert without_times(run.manifest) == without_times(local.manifest)
    assert [step[1:] for step in steps if step[0] == "capture"][-1] == (130, 130)
    (run.path / "trace" / "000001.parquet").unlink()
    tl.measure("world:planted-risk", questions(130), out=run.path, **asked)
    assert traces(run.path) == traces(local.path)


def test_what_a_worker_cannot_load_is_one_line_here(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown option 'bias' of world:planted-risk") as caught:
        tl.measure("world:planted-risk", questions(2), engine=TWO, out=tmp_path / "run", model_options={"bias": 1})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_items_that_fail_stay_errors_of_their_own(cluster: None, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"estimators": ["sequence_nll"], "samples": 1, "validate": False}
    local = tl.measure("world:planted-markers", questions(3), out=tmp_path / "local", **asked)
    run = tl.measure("world:planted-markers", questions(3), out=tmp_path / "ray", engine=TWO, **asked)
    assert run.manifest["counts"]["failed"] == 3
    assert run.failures.equals(local.failures)


def ask(url: str, out: Path | str, engine: str | RayEngine, progress: Any = None) -> tl.Run:
    options = {"base_url": url, "concurrency": 6}
    names = ["sequence_nll", "p_true"]
    shared: dict[str, Any] = {"samples": 3, "validate": False, "progress": progress}
    return tl.measure("openai:stub", questions(190), names, out=out, model_options=options, engine=engine, **shared)


@pytest.mark.slow
def test_servers_get_the_same_questions_once_and_never_too_many_at_a_time(cluster: None, tmp_path: Path) -> None:
    with serve() as quiet:
        local = ask(quiet.url, tmp_path / "local", "local")
    with serve(delay=0.002) as stub, serve() as second:
        run = ask(stub.url, tmp_path / "ray", RayEngine(workers=2, base_urls=[stub.url, second.url]))  # type: ignore[arg-type]
        stats = [stub.stats(), second.stats()]
    assert repr(files(run.path)) == repr(files(local.path))
    assert run.manifest["counts"] == local.manifest["counts"]
    assert sum(part["answered"] for part in stats) == local.manifest["counts"]["requests"] + 2  # and what the server can do
    assert all(part["repeated"] == 0 for part in stats)
    assert all(part["most_in_flight"] <= 3 for part in stats)
    assert not list((run.path / "journal").iterdir())


class Stopped(Exception):
    """Ends a capture from its progress."""


@pytest.mark.slow
def test_replies_that_one_engine_paid_for_are_not_asked_for_by_the_other(cluster: None, tmp_path: Path) -> None:
    def stop(step: str, done: int, total: int) -> None:
        if done >= 40:
            raise Stopped

    with serve() as quiet:
        ask(quiet.url, tmp_path / "quiet", "local")
    for first, second in (("local", TWO), (TWO, "local")):
        path = tmp_path / str(first)[:5]
        with serve(delay=0.002) as stub:
            with pytest.raises(Stopped):
                ask(stub.url, path, first, progress=stop)
            assert sum(file.stat().st_size for file in (path / "journal").iterdir())
            ask(stub.url, path, second)
            stats = stub.stats()
        assert repr(files(path)) == repr(files(tmp_path / "quiet"))
        assert stats["repeated"] <= 1 + 6  # the question what the server can do, and what was in flight


def test_a_worker_that_fits_nowhere_is_refused(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one takes 1 CPU and 400 GPU, the cluster has 2 CPU, \d+ GPU"):
        tl.measure("world:planted-risk", questions(2), engine=RayEngine(num_gpus=400), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be a whole number, 1 or more, got 0"),
        ({"workers": True}, "workers must be"),
        ({"num_gpus": -1}, "num_gpus must be a number, 0 or more, got -1"),
        ({"num_cpus": float("nan")}, "num_cpus must be"),
        ({"num_cpus": 0}, "give workers"),
        ({"max_restarts": 1.5}, "max_restarts must be"),
        ({"base_urls": "http://a"}, "base_urls is a list of URLs"),
        ({"address": "ray://a:1"}, "runs on a machine of the cluster"),
        ({"worker": 2}, "unknown option 'worker' of the ray engine; did you mean workers"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_engine("ray", **options)


def test_bad_combinations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown engine 'dask'; choose local or ray"):
        tl.measure("world:small", questions(2), engine="dask", out=tmp_path)
    with pytest.raises(InputError, match="the local engine has no options, got workers"):
        load_engine("local", workers=2)
    with pytest.raises(InputError, match="unknown model 'wrold:chat'"):
        tl.measure("wrold:chat", questions(2), engine="ray", out=tmp_path)
    with pytest.raises(InputError, match="base_urls are for openai: models"):
        tl.measure("world:small", questions(2), engine=RayEngine(base_urls=("http://127.0.0.1:1/v1",)), out=tmp_path)
    with pytest.raises(InputError, match="name it by its URI"):
        tl.measure(ClusterModel("world:small", {}, TWO), questions(2), engine="ray", out=tmp_path)
    with pytest.raises(InputError, match="max_cost is for models behind a server; world:small costs nothing"):
        tl.measure("world:small", questions(2), engine="ray", max_cost=1.0, out=tmp_path)
    with pytest.raises(InputError, match="max_cost needs the prices"):
        tl.measure("openai:x", questions(2), engine="ray", max_cost=1.0, model_options={"base_url": "http://127.0.0.1:1/v1"}, out=tmp_path)


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r"pip install 'trueline\[ray\]'$"):
        tl.measure("world:small", questions(2), engine="ray", out=tmp_path)


def test_nothing_of_ray_is_loaded_without_it(tmp_path: Path) -> None:
    code = (
        "import sys, trueline as tl, trueline.cli.app; from trueline.tasks.item import Item, Task\n"
        f"tl.measure('world:planted-risk', Task('t', [Item('a', 'Where?')]), ['sequence_nll'], samples=0, out={str(tmp_path / 'run')!r})\n"
        "assert 'ray' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


# -- what it costs, what failed, how long it takes ----------------------------------------------------------------------

PRICES = {"price_prompt": 1e6, "price_completion": 1e6}  # a token costs 1


def priced(url: str, out: Path, engine: str | RayEngine, n: int = 300, **options: Any) -> tl.Run:
    """A measure of single answers: 10 tokens an item, 8 requests in flight."""
    settings: dict[str, Any] = {"samples": 0, "validate": False, **options}
    model = {"base_url": url, "concurrency": 8, "retries": 0, **PRICES}
    return tl.measure("openai:stub", questions(n), ["sequence_nll"], out=out, model_options=model, engine=engine, **settings)


@pytest.mark.slow
def test_a_limit_on_the_cost_stops_all_workers_and_the_run_goes_on_with_either_engine(cluster: None, tmp_path: Path) -> None:
    with serve() as quiet:
        whole = priced(quiet.url, tmp_path / "quiet", "local")
    price = whole.manifest["counts"]["cost"]
    item = price / 300
    for first, second in ((TWO, "local"), ("local", TWO)):
        path = tmp_path / str(first)[:5]
        with serve(delay=0.002) as stub:
            for share in (0.35, 0.7):
                with pytest.raises(BudgetReached, match=rf"before --max-cost {share * price:g}: \d+ of 300 items are done and kept"):
                    priced(stub.url, path, first, max_cost=share * price)
                spent = stub.stats()["answered"] * item
                assert (share - 0.05) * price < spent <= share * price + 10 * item  # what was in flight, and the questions of the start
            run = priced(stub.url, path, second, max_cost=2 * price)
            stats = stub.stats()
        assert stats["repeated"] == 2 * 2  # the two questions what the server can do
        assert repr(files(path)) == repr(files(tmp_path / "quiet"))
        assert run.manifest["counts"] == whole.manifest["counts"]


@pytest.mark.slow
def test_what_failed_is_asked_again_by_workers_and_nothing_else(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def probe(*asked: Any) -> Capabilities:  # the stub's faults must not meet the question what the server can do
        return Capabilities(route="chat", several=True, logprobs=True, top_logprobs=20, seed=True)

    monkeypatch.setattr("trueline.models.server.model.probe", probe)
    with serve() as quiet:
        whole = priced(quiet.url, tmp_path / "quiet", "local", samples=2)
    with serve(fail={"500": 0.2}) as stub:
        run = priced(stub.url, tmp_path / "run", TWO, samples=2)
        failed = [run.manifest["counts"]["failed"]]
        while failed[-1]:
            engine = TWO if len(failed) % 2 else "local"
            failed.append(priced(stub.url, tmp_path / "run", engine, samples=2, retry_failed=True).manifest["counts"]["failed"])
            assert len(failed) < 12
        stats = stub.stats()
    assert failed[0] > 40
    assert len(failed) > 2
    assert repr(files(tmp_path / "run")) == repr(files(tmp_path / "quiet"))
    assert tl.open_run(tmp_path / "run").manifest["counts"] == whole.manifest["counts"]
    assert stats["repeated"] == 0
    assert list((tmp_path / "run" / "replaced-errors").iterdir())


@pytest.mark.slow
def test_a_budget_in_seconds_counts_on_every_worker(cluster: None, tmp_path: Path) -> None:
    task = choose(load_task("world:facts"), 40)
    made = tl.plan("world:chat", task, engine=TWO, budget="seconds=1000000")
    assert made.n_samples == 10
    assert "semantic_entropy" in made.estimators
    with pytest.raises(InputError, match=r"1e-06 s are not enough for a greedy answer to each of 40 items; try --limit"):
        tl.plan("world:chat", task, engine=TWO, budget="seconds=0.000001")
    with pytest.raises(InputError, match="for a server give calls=N, or --max-cost"), serve() as stub:
        tl.plan("openai:stub", task, engine=TWO, budget="seconds=10", model_options={"base_url": stub.url})


# -- deaths -------------------------------------------------------------------------------------------------------------

SMALL = 16  # items of a shard: there is always something in hand when somebody dies


def facts() -> tuple[Task, Plan]:
    task = choose(load_task("world:facts"), 160)
    return task, tl.plan("world:chat", task, ["sequence_nll", "semantic_entropy"], samples=3)


def empty(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    run.prepare()
    return run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = empty(tmp_path_factory.mktemp("undisturbed") / "run")
    capture(tl.load_model("world:chat"), *facts(), run, shard_items=SMALL)
    assert len(run.shards()) == 10
    return run.path


@pytest.mark.slow
def test_servers_workers_and_a_url_together(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted capture at a URL goes on with what the journal on this machine holds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def stop(step: str, done: int, total: int) -> None:
        raise Stopped

    with serve(delay=0.002) as stub:
        with pytest.raises(Stopped):
            ask(stub.url, "memory://ray", TWO, progress=stop)
        run = ask(stub.url, "memory://ray", TWO)
        stats = stub.stats()
        local = ask(stub.url, tmp_path / "local", "local")
    assert run.trace().table.equals(local.trace().table)
    assert run.manifest["counts"] == local.manifest["counts"]
    assert stats["repeated"] <= 1 + 6
    assert stats["answered"] > local.manifest["counts"]["requests"]


def pid_of(worker: Any) -> int:
    found: int = fetch(worker.__ray_call__.remote(lambda self: __import__("os").getpid()))
    return found


def disturbed(engine: RayEngine, out: Path, victims: int) -> None:
    """A capture of the facts during which, after its first shard, so many of its two workers are killed."""
    model = ClusterModel("world:chat", {}, engine)
    pids = [pid_of(worker) for worker in model.workers()]

    def kill(done: int, total: int, **counts: Any) -> None:
        while len(pids) > 2 - victims:
            os.kill(pids.pop(), signal.SIGKILL)

    try:
        capture_cluster(model, *facts(), empty(out), shard_items=SMALL, progress=kill)
    finally:
        assert len(pids) == 2 - victims
        model.close()


@pytest.mark.slow
def test_workers_killed_in_the_middle_cost_nothing_but_time(cluster: None, tmp_path: Path, undisturbed: Path) -> None:
    disturbed(TWO, tmp_path / "restarted", victims=2)  # Ray starts both again
    assert traces(tmp_path / "restarted") == traces(undisturbed)
    disturbed(RayEngine(workers=2, max_restarts=0), tmp_path / "survivor", victims=1)  # the other one does the work
    assert traces(tmp_path / "survivor") == traces(undisturbed)


@pytest.mark.slow
def test_without_any_worker_the_run_ends_with_one_line_and_goes_on_later(cluster: None, tmp_path: Path, undisturbed: Path) -> None:
    with pytest.raises(ModelError, match="every worker died more often than max_restarts allows"):
        disturbed(RayEngine(workers=2, max_restarts=0), tmp_path / "run", victims=2)
    assert 0 < len(traces(tmp_path / "run")) < 10
    capture(tl.load_model("world:chat"), *facts(), empty(tmp_path / "run"), shard_items=SMALL)
    assert traces(tmp_path / "run") == traces(undisturbed)


DRIVER = """
import pathlib, sys, warnings
warnings.simplefilter("error")  # Ray starts and works without a single warning
sys.path[:0] = {paths!r}
from test_ray import SMALL, TWO, ClusterModel, capture_cluster, empty, facts
capture_cluster(ClusterModel("world:chat", {{}}, TWO), *facts(), empty(pathlib.Path(sys.argv[1])), shard_items=SMALL)
"""


@pytest.mark.slow
def test_after_the_death_of_its_driver_a_run_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    here = Path(__file__).parent
    script = DRIVER.format(paths=[str(here), str(here.parent / "support")])
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "run")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not traces(tmp_path / "run"):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert 0 < len(traces(tmp_path / "run")) < 10
    capture(tl.load_model("world:chat"), *facts(), empty(tmp_path / "run"), shard_items=SMALL)
    assert traces(tmp_path / "run") == traces(undisturbed)
