"""The metrics of a run in the metadata of a model card (model-index of the Hugging Face Hub), with their intervals."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.errors import InputError, TruelineError
from trueline.run import Run
from trueline.validation import default_estimator

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard

#: Where results of the card say that they come from; such results of the same task are replaced.
SOURCE = "trueline"
#: Metrics of the estimator that is looked at where none is named.
_OF_SCORE = {"auroc": "AUROC", "prr": "PRR", "smooth_ece": "Smooth ECE"}
_OF_MODEL = {"accuracy": "Accuracy", "refusal_rate": "Refusal rate"}


def card_results(run: Run, estimator: str | None = None) -> list[EvalResult]:
    """Accuracy, refusal rate, and AUROC, PRR and calibration error of one estimator, each with interval and n.

    estimator: default: the one that reports look at first. Undefined values are left out: a card holds numbers only.

    Raises ``InputError`` for a run that was not validated, an estimator without metrics, or no defined value at all.
    """
    from huggingface_hub import EvalResult

    document = run.metrics
    if document is None:
        raise InputError(f"{run.path} has no metrics.json yet; run `trueline validate {run.path}` first")
    found: list[tuple[str, str, Mapping[str, Any], str | None]] = []
    found += [(kind, _OF_MODEL[kind], e, None) for kind, e in document["headline"].items() if kind in _OF_MODEL]
    if document["estimators"]:
        name = estimator or default_estimator(list(document["estimators"]))
        if name not in document["estimators"]:
            raise InputError(f"{run.path} has no metrics of {name!r}; it has {', '.join(document['estimators'])}")
        metrics = document["estimators"][name]["metrics"]
        found += [(kind, f"{label} of {name}", metrics[kind], name) for kind, label in _OF_SCORE.items() if kind in metrics]
    task = str(run.manifest["task"]["name"])
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=re.sub(r"[^A-Za-z0-9._-]+", "-", task).strip("-") or "task",
            dataset_name=task,
            metric_type=kind,
            metric_name=label,
            metric_value=e["value"],
            metric_config=of,
            metric_args={k: e[k] for k in ("low", "high", "level", "n", "n_missing", "method") if e.get(k) is not None},
            source_name=SOURCE,
            source_url="https://pypi.org/project/trueline/",
        )
        for kind, label, e, of in found
        if e.get("value") is not None
    ]
    if not results:
        raise InputError(f"{run.path} has no metric with a value; a card has nothing to show")
    return results


def write_model_card(run: Run, path: str | os.PathLike[str], *, model_name: str | None = None, estimator: str | None = None) -> Path:
    """Put the results of a run into a local model card, a README.md; what else it says stays.

    A card that is not there is made. Results of trueline on the same task are replaced, all others kept. model_name: default: the card's
    own, else the last part of the model's URI.

    Raises ``InputError`` as `card_results`, and for a card whose metadata cannot be read.
    """
    from huggingface_hub import ModelCard

    path = Path(path)
    results = card_results(run, estimator)
    uri = str(run.manifest["model"]["uri"])
    given = model_name or re.split(r"[:/]", uri.rstrip("/"))[-1] or "model"
    if path.exists():
        card = _load(path)
        data: Any = card.data
        mine = {r.dataset_name for r in results}
        kept = [r for r in data.eval_results or () if not (r.source_name == SOURCE and r.dataset_name in mine)]
        data.eval_results, data.model_name = [*kept, *results], model_name or data.model_name or given
    else:
        if not path.parent.is_dir():
            raise InputError(f"no folder {path.parent} for the model card")
        card = ModelCard(f"---\n{{}}\n---\n\n# {given}\n")
        data = card.data
        data.eval_results, data.model_name = results, given
    card.save(path)
    return path


def push_model_card(path: str | os.PathLike[str], repo: str) -> str:
    """Push a local card to a model repository of the Hub and return where it went; the token is the environment's (``HF_TOKEN``)."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, RepositoryNotFoundError

    from trueline.models.checkpoints import without_token

    card = _load(Path(path))
    try:
        return str(card.push_to_hub(repo, repo_type="model", commit_message="Results measured by trueline"))
    except HFValidationError as error:
        raise InputError(f"{repo!r} is no name of a repository ({error})") from error
    except (LocalTokenNotFoundError, RepositoryNotFoundError, HfHubHTTPError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        said = {401: "the token is not known there", 403: "this token may not write there", 404: "there is no such repository"}
        reason = said.get(status or 0) or without_token(" ".join(str(error).split()))[:200]
        raise TruelineError(f"the card was not pushed to {repo}: {reason}; set HF_TOKEN to a token that may write there") from error


def _load(path: Path) -> ModelCard:
    import yaml
    from huggingface_hub import ModelCard

    try:
        card = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=False)
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"the metadata of {path} cannot be read ({' '.join(str(error).split())[:200]}); mend it first") from error
    return card
