"""A thin hook to MLflow: one run of trueline becomes one run of an experiment, with parameters, metrics, intervals and the report."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from trueline.errors import InputError, MissingExtra, TruelineError
from trueline.run import Run

_FILES = ("report.html", "metrics.json", "run.json")
_LONGEST = 500
_BATCH = 900


def track_mlflow(run: Run, uri: str, *, experiment: str = "trueline", name: str | None = None) -> str:
    """Log a run to an MLflow tracking store and return the id it got there.

    Parameters
    ----------
    run : validated (`Run.validate`); its report goes along where it was written.
    uri : a server (``http://...``), ``sqlite:///FILE`` (needs the whole package mlflow) or a folder (``file:...``, which MLflow takes
        with ``MLFLOW_ALLOW_FILE_STORE=true``); credentials are the environment's.
    experiment : made when it is not there. name : of the MLflow run; default: the folder's name.

    Metrics are ``accuracy``, ``semantic_entropy/auroc`` and so on, each with ``.low`` and ``.high`` beside it; undefined ones are left out.

    Raises ``InputError`` for a run without metrics, ``MissingExtra`` without MLflow, ``TruelineError`` when the store cannot be written.
    """
    document = run.metrics
    if document is None:
        raise InputError(f"{run.path} has no metrics.json yet; run `trueline validate {run.path}` first")
    try:
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingExtra("tracking needs the package mlflow; pip install 'trueline[mlflow]'") from error
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, 0) for key, value in _metrics(document)]
    params = [Param(key, str(value)[:_LONGEST]) for key, value in _params(run.manifest).items() if value is not None]
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        place = found.experiment_id if found is not None else client.create_experiment(experiment)
        made = client.create_run(place, run_name=name or run.path.name, tags={"trueline.run": run.path.name})
        ident = str(made.info.run_id)
        client.log_batch(ident, params=params)
        for start in range(0, len(metrics), _BATCH):  # a store takes 1,000 at once
            client.log_batch(ident, metrics=metrics[start : start + _BATCH])
        for file in _FILES:
            if (run.path / file).is_file():
                client.log_artifact(ident, str(run.path / file))
        client.set_terminated(ident)
    except (MlflowException, OSError, ImportError) as error:
        raise TruelineError(f"{run.path} was not tracked: {' '.join(str(error).split())[:300]}") from error
    return ident


def _metrics(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
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
        "seed": settings.get("seed"),
        "samples": settings.get("samples"),
        "max_new_tokens": settings.get("max_new_tokens"),
        **{name: value for name, value in (settings.get("law") or {}).items()},
        "trueline": manifest.get("trueline"),
    }
