"""A thin hook to MLflow: one run of trueline becomes one run of an experiment, with parameters, metrics, intervals and the report."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trueline.errors import MissingExtra, TruelineError
from trueline.run import Run

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_FILES = ("report.html", "metrics.json", "run.json")
_LONGEST = 500
_BATCH = 900
#: MLflow itself tries for minutes, and prints links to standard output, where other programs read.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def track_mlflow(run: Run, uri: str, *, experiment: str = "trueline", name: str | None = None) -> str:
    """Log a run to an MLflow tracking store and return the id it got there.

    Parameters
    ----------
    run : validated (`Run.validate`) where it has verdicts; its report goes along where it was written.
    uri : a server (``http://...``), ``sqlite:///FILE`` (needs the whole package mlflow) or a folder (``file:...``, which MLflow takes
        with ``MLFLOW_ALLOW_FILE_STORE=true``); credentials are the environment's.
    experiment : made when it is not there. name : of the MLflow run; default: the folder's name.

    Metrics are ``accuracy``, ``semantic_entropy/auroc`` and so on, each with ``.low`` and ``.high`` beside it; undefined ones are left out,
    and a run without metrics has none. What was asked and paid is there in any case: ``count/items``, ``count/failed``, ``count/cost``.

    Raises ``MissingExtra`` without MLflow, ``TruelineError`` when the store cannot be reached or written.
    """
    with _store(uri, experiment) as (client, place):
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        manifest, where = run.manifest, run.directory.where
        metrics = [Metric(key, value, now, 0) for key, value in _metrics(manifest, run.metrics)]
        params = [Param(key, str(value)[:_LONGEST]) for key, value in _params(manifest).items() if value is not None]
        folder = where.rstrip("/").rpartition("/")[2]
        ident = str(client.create_run(place, run_name=name or folder, tags={"trueline.run": folder}).info.run_id)
        client.log_batch(ident, params=params)
        for start in range(0, len(metrics), _BATCH):  # a store takes 1,000 at once
            client.log_batch(ident, metrics=metrics[start : start + _BATCH])
        for file in filter(run.directory.exists, _FILES):
            with run.directory.files.open(file) as handle:
                client.log_text(ident, handle.read().decode("utf-8"), file)
        client.set_terminated(ident)
    return ident


def check_mlflow(uri: str, *, experiment: str = "trueline") -> None:
    """Raise as `track_mlflow` does where the store cannot be used; a long run is better not begun then."""
    with _store(uri, experiment):
        pass


@contextmanager
def _store(uri: str, experiment: str) -> Iterator[tuple[MlflowClient, str]]:
    """A client and the id of the experiment; errors of the store as those of trueline."""
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingExtra("tracking needs the package mlflow; pip install 'trueline[mlflow]'") from error
    given = {setting: value for setting, value in _SETTINGS.items() if setting not in os.environ}
    os.environ.update(given)
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        yield client, found.experiment_id if found is not None else client.create_experiment(experiment)
    except TruelineError:
        raise
    except (MlflowException, OSError, ImportError, ValueError) as error:
        raise TruelineError(f"the MLflow store {shown_uri(uri)} cannot be used: {_reason(uri, error)}") from error
    finally:
        for setting in given:
            del os.environ[setting]


def shown_uri(uri: str) -> str:
    """The URI of a store without user and password."""
    return re.sub(r"://[^/@]*@", "://", uri)


def _reason(uri: str, error: BaseException) -> str:
    """What is wrong, in one short line without passwords: in other words where the store's own tell what it is not about."""
    said = str(error)
    if "maintenance mode" in said:
        return "a folder as the store needs MLFLOW_ALLOW_FILE_STORE=true"
    if uri.startswith(_DATABASES) and ("unsupported URI" in said or isinstance(error, ImportError)):
        return "a database as the store needs the whole package; pip install mlflow"
    if "unsupported URI" in said:
        return "a store is a server (http://...), a database (sqlite:///FILE) or a folder"
    if "NameResolutionError" in said:
        return "no host of that name is known"
    refused = re.search(r"Failed to establish a new connection: \[Errno -?\d+\] ([\w ]+)", said)
    return refused[1] if refused else shown_uri(" ".join(said.split()))[:300]


def _metrics(manifest: Mapping[str, Any], document: Mapping[str, Any] | None) -> Iterator[tuple[str, float]]:
    for name, count in manifest.get("counts", {}).items():
        if isinstance(count, int | float):
            yield f"count/{name}", float(count)
    if document is None:
        return
    yield from _estimates("", document["headline"])
    for estimator, entry in document["estimators"].items():
        yield from _estimates(f"{re.sub(r'[^A-Za-z0-9_./ -]', '_', estimator)}/", entry["metrics"])


def _estimates(prefix: str, estimates: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, estimate in estimates.items():
        for end, key in (("", "value"), (".low", "low"), (".high", "high")):
            if estimate.get(key) is not None:
                yield f"{prefix}{name}{end}", float(estimate[key])


def _params(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What was run, under plain names."""
    settings, task = manifest["settings"], manifest["task"]
    return {
        "model": manifest["model"]["uri"],
        "task": task["name"],
        "items": task["items"],
        "grader": task.get("grader"),
        "judge": manifest.get("judge"),
        "seed": settings.get("seed"),
        "samples": settings.get("samples"),
        "max_new_tokens": settings.get("max_new_tokens"),
        **{name: value for name, value in (settings.get("law") or {}).items()},
        "trueline": manifest.get("trueline"),
    }
