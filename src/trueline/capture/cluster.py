"""The Ray engine: a pool of models in the processes of a cluster, one machine or many, behind the face of one model."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from trueline.errors import InputError, MissingExtra, ModelError, nearest
from trueline.models.base import GenerationSettings, Model, ModelShape, OptionScores, RequestResult

if TYPE_CHECKING:
    from trueline.capture.budget import Trial
    from trueline.capture.planner import Plan
    from trueline.tasks.item import Task

#: Ray's own switch that keeps a cluster of one machine on the loopback; read when ray is imported.
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_SHARDS = "the workers of a cluster answer whole shards, not single requests"


@dataclass(frozen=True)
class RayEngine:
    """Capture in worker processes of a Ray cluster. It changes how long a capture takes, not what the run holds.

    Attributes
    ----------
    address: of a running cluster, ``auto`` or ``HOST:PORT``; default ``RAY_ADDRESS``, else a cluster of this machine alone, on the
        loopback, for as long as the capture. A cluster that this process is connected to already is used as it is.
    workers: processes, each with a model of its own; default: as many as the cluster has room for.
    num_cpus, num_gpus: what one worker takes.
    max_restarts: how often Ray starts a worker again that died; what it was at is repeated.
    base_urls: servers of one and the same ``openai:`` model; the workers take them in turn. Default: the model's ``base_url``.

    Raises ``InputError`` for settings that cannot be.
    """

    address: str | None = None
    workers: int | None = None
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    max_restarts: int = 3
    base_urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the settings; a list of URLs becomes a tuple."""
        urls: Any = self.base_urls
        if not isinstance(urls, list | tuple) or not all(isinstance(url, str) for url in urls):
            raise InputError(f"base_urls is a list of URLs, got {urls!r}")
        object.__setattr__(self, "base_urls", tuple(urls))
        if self.address is not None and (not isinstance(self.address, str) or self.address.startswith("ray://")):
            raise InputError(f"address is auto or HOST:PORT, and the command runs on a machine of the cluster; got {self.address!r}")
        for name in ("num_cpus", "num_gpus"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InputError(f"{name} must be a number, 0 or more, got {value!r}")
        for name, least in (("workers", 1), ("max_restarts", 0)):
            value = getattr(self, name)
            if not (name == "workers" and value is None) and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise InputError(f"{name} must be a whole number, {least} or more, got {value!r}")
        if self.workers is None and not self.num_cpus and not self.num_gpus:
            raise InputError("workers that take neither CPUs nor GPUs must be counted: give workers")


def load_engine(engine: str | RayEngine, **options: object) -> RayEngine | None:
    """The engine of this name with its options; None is the local one. Raises ``InputError`` for an unknown name or option."""
    if isinstance(engine, RayEngine):
        return engine
    if engine == "local":
        if options:
            raise InputError(f"the local engine has no options, got {', '.join(options)}; --engine ray has some")
        return None
    if engine != "ray":
        raise InputError(f"unknown engine {engine!r}; choose local or ray")
    known = [field.name for field in fields(RayEngine)]
    for name in options:
        if name not in known:
            raise InputError(f"unknown option {name!r} of the ray engine{nearest(name, known)}; known: {', '.join(known)}")
    return RayEngine(**options)  # type: ignore[arg-type]


def import_ray() -> Any:
    """The package; it reports nothing to anybody unless the environment says so. Raises ``MissingExtra`` where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("the ray engine needs the package `ray`; install it: pip install 'trueline[ray]'") from error
    return ray


def connect(engine: RayEngine) -> bool:
    """Connect this process; True when the cluster was started here and has to be ended here."""
    address = engine.address or os.environ.get("RAY_ADDRESS")
    if address is None and "ray" not in sys.modules:
        os.environ.setdefault(_LOOPBACK, "0")
    ray = import_ray()
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        cpus = None if engine.workers is None else max(1, math.ceil(engine.workers * engine.num_cpus))
        # Ray lowers the priority of its workers, which on a machine with other work all but stops them
        ray.init("local", num_cpus=cpus, include_dashboard=False, _system_config={"worker_niceness": 0}, **quiet)
        return True
    if os.environ.get(_LOOPBACK) == "0":
        raise InputError(f"this process keeps Ray on the loopback ({_LOOPBACK}=0); use the cluster at {address} from a new process")
    try:
        ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        token = "a cluster with a token wants it in ~/.ray/auth_token here, too, and RAY_AUTH_MODE=token"
        raise InputError(f"no Ray cluster at {address}: {str(error).splitlines()[0]}; {token}") from error
    return True


def room(engine: RayEngine) -> int:
    """How many workers the cluster has room for at all. Raises ``InputError`` when there is none for a single one."""
    there = import_ray().cluster_resources()
    asked = {"CPU": engine.num_cpus, "GPU": engine.num_gpus}
    fit = min((int(there.get(name, 0.0) // amount) for name, amount in asked.items() if amount), default=engine.workers or 0)
    if fit < 1:
        wanted = " and ".join(f"{amount:g} {name}" for name, amount in asked.items() if amount)
        has = ", ".join(f"{there.get(name, 0.0):g} {name}" for name in asked)
        raise InputError(f"no worker fits into the cluster: one takes {wanted}, the cluster has {has}; change num_cpus or num_gpus")
    return fit


class ClusterModel:
    """A ``Model`` that is loaded by the workers of a cluster, not by this process; ``capture_cluster`` asks it.

    The first worker says what the model can do. ``close`` lets the workers go.
    """

    def __init__(self, uri: str, options: Mapping[str, object], engine: RayEngine) -> None:
        from trueline.models.loading import find_loader, load_model

        find_loader(uri, options)  # a misspelt name is reported before a cluster is started
        self.engine = engine
        self.options = dict(options)
        self._uri = uri
        self._started_here = False
        self._workers: list[Any] = []
        self._described: dict[str, Any] | None = None
        self.server: Any = None
        if uri.startswith("openai:"):
            if engine.base_urls and "base_url" not in options:
                self.options["base_url"] = engine.base_urls[0]
            self.server = load_model(uri, **self.options)
        elif engine.base_urls:
            raise InputError(f"base_urls are for openai: models; {uri} has no server")

    def __repr__(self) -> str:
        return f"ClusterModel({self._uri!r}, {self.engine})"

    @property
    def uri(self) -> str:
        """The model's own."""
        return self._uri

    @property
    def capabilities(self) -> frozenset[str]:
        """Of the model in a worker."""
        found: frozenset[str] = self.server.capabilities if self.server else self._description["capabilities"]
        return found

    @property
    def decoding(self) -> str | None:
        """How the workers' model is decoded where that is not on a shared cache; None where it is."""
        found: str | None = None if self.server else self._description["decoding"]
        return found

    @property
    def shape(self) -> ModelShape | None:
        """Of the model in a worker, where it shows one."""
        found: ModelShape | None = None if self.server else self._description["shape"]
        return found

    @property
    def price(self) -> Any:
        """What a server's tokens cost; None for a model that costs nothing."""
        return self.server.price if self.server else None

    def fingerprint(self) -> Mapping[str, object]:
        """The same as that of the model in this process: a run can be taken up by another engine."""
        found: Mapping[str, object] = self.server.fingerprint() if self.server else self._description["fingerprint"]
        return found

    def generate(self, requests: Any, settings: GenerationSettings) -> list[RequestResult]:
        """Raises ``InputError``: the workers answer whole shards."""
        raise InputError(_SHARDS)

    def score(self, prompts: Any, options: Any) -> list[OptionScores]:
        """Raises ``InputError``: the workers answer whole shards."""
        raise InputError(_SHARDS)

    @property
    def _description(self) -> dict[str, Any]:
        if self._described is None:
            self._described = fetch(self.workers()[0].describe.remote())
        return self._described

    def trials(self, task: Task, plan: Plan, batch_size: int) -> list[Trial]:
        """How long the task's first items take each worker that the cluster has room for, all of them at work."""
        from trueline.capture.budget import TRIAL_ITEMS
        from trueline.capture.parts import Part
        from trueline.capture.workers import work_of

        items = task.items[:TRIAL_ITEMS]
        work, part = work_of(task, plan, 0, batch_size), Part(0, range(len(items)), items=items)
        asked = [worker.trial.remote(work, part) for worker in self.workers()]
        found, late = import_ray().wait(asked, num_returns=min(len(asked), room(self.engine)))
        for job in late:
            import_ray().cancel(job)
        return [fetch(job) for job in found]

    def workers(self) -> list[Any]:
        """The pool, hired at once when it is first needed; a worker that finds no room yet joins when there is some."""
        if not self._workers:
            self._started_here = connect(self.engine)
            n = self.engine.workers or room(self.engine)
            if self.server is not None:
                n = min(n, self.server.options.concurrency)
            self._workers = [self._worker(k, n) for k in range(n)]
        return self._workers

    def _worker(self, k: int, n: int) -> Any:
        from trueline.capture.workers import ServerWorker, Worker

        ray, engine = import_ray(), self.engine
        resources = {"num_cpus": engine.num_cpus, "num_gpus": engine.num_gpus}
        # a task is repeated for as long as its worker lives; ``max_restarts`` bounds that. A server of each machine gets its share
        hired = {**resources, "max_restarts": engine.max_restarts, "max_task_retries": -1, "scheduling_strategy": "SPREAD"}
        if self.server is None:
            return ray.remote(Worker).options(**hired).remote(self._uri, self.options)
        total = self.server.options.concurrency
        options = {**self.options, "concurrency": total // n + (k < total % n)}
        if engine.base_urls:
            options["base_url"] = engine.base_urls[k % len(engine.base_urls)]
        return ray.remote(ServerWorker).options(max_concurrency=8, **hired).remote(self._uri, options, self.server.seen)

    def close(self) -> None:
        """Let the workers go, and the cluster where it was started for them."""
        if not self._workers:
            return
        ray = import_ray()
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []
        if self._started_here:
            ray.shutdown()


@contextlib.contextmanager
def released(model: Model) -> Iterator[None]:
    """At the end of the block the workers of a ``ClusterModel`` are let go; any other model is left alone."""
    try:
        yield
    finally:
        if isinstance(model, ClusterModel):
            model.close()


class WorkerLost(ModelError):
    """A worker died more often than Ray was allowed to start it again."""


def fetch(reference: Any) -> Any:
    """What a worker answered. What it raised is raised here as the same error; ``WorkerLost`` when it is gone for good."""
    from ray.exceptions import RayError, RayTaskError

    ray = import_ray()
    try:
        return ray.get(reference)
    except RayTaskError as error:
        cause = error.cause
        while isinstance(cause, RayTaskError):  # of an actor that a worker asked
            cause = cause.cause
        cause = cause if isinstance(cause, Exception) else ModelError(f"a worker failed: {str(error).splitlines()[-1]}")
    except RayError as error:
        raise WorkerLost(" ".join(str(error).split())[:300]) from error
    raise cause
