"""A table whose risks are known: four columns of four levels, a logistic outcome, and a model that knows it as well as it is told to.

It serves to check what is said about a language model's risk scores: on these rows the best possible AUC is known, and so is every bias of
`PlantedRisk`. `table_model` trains a language model on the rows' texts.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.stats.estimate import FloatArray
from trueline.tabular.columns import ColumnText
from trueline.tabular.prompting import PromptStyle
from trueline.tabular.questions import Choices
from trueline.tabular.task import TabularRiskTask

#: Column -> description, and level -> its effect on the log-odds.
LEVELS: dict[str, tuple[str, dict[str, float]]] = {
    "work": ("work", {"farming": -1.3, "weaving": -0.5, "milling": 0.4, "sailing": 1.4}),
    "schooling": ("schooling", {"none": -1.1, "village": -0.3, "town": 0.3, "academy": 1.1}),
    "house": ("house", {"clay": -0.8, "timber": -0.3, "brick": 0.3, "stone": 0.8}),
    "ward": ("ward", {"north": -0.6, "east": 0.2, "south": 0.4, "west": 0.0}),
}
INTERCEPT = -0.87
QUESTION = Choices("Does this person own a boat?", (("No", 0.0), ("Yes", 1.0)))
#: Short prompts, as a small model needs them.
STYLE = PromptStyle("lines", preamble=False, system=False)


@dataclass(frozen=True)
class PlantedTable:
    """A task and its truth. risk: (n,) float64, P(y = 1 | row). bayes_auc: the AUC of the true risk over all possible rows."""

    task: TabularRiskTask
    risk: FloatArray
    bayes_auc: float

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``people.csv`` and the codebook ``people.json`` that names it; return the codebook's path."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        columns = self.task.df.columns
        with (target / "people.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        book = {
            "data": "people.csv",
            "target": self.task.target,
            "columns": {
                c.name: {"description": c.description, "values": {level: level for level in LEVELS[c.name][1]}} for c in self.task.features
            },
            "question": {"text": QUESTION.text, "options": QUESTION.options},
            "population": self.task.population,
            "group": self.task.group,
        }
        (target / "people.json").write_text(json.dumps(book, indent=2) + "\n", encoding="utf-8")
        return target / "people.json"


def planted_table(n: int = 4000, seed: int = 0, *, split: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> PlantedTable:
    """Draw rows, uniform over the levels; the outcome follows `true_risk`."""
    rng = np.random.default_rng([seed, 7])
    rows = {name: [str(v) for v in rng.choice(list(levels), n)] for name, (_, levels) in LEVELS.items()}
    risk = np.array([true_risk({name: cells[i] for name, cells in rows.items()}) for i in range(n)])
    outcome = (rng.random(n) < risk).astype(int).tolist()
    task = TabularRiskTask(
        {**rows, "boat": outcome},
        "boat",
        None,
        [ColumnText(name, description, {level: level for level in levels}) for name, (description, levels) in LEVELS.items()],
        QUESTION,
        "the harbour towns of a made-up coast",
        group="ward",
        split=split,
        style=STYLE,
        name="planted",
    )
    return PlantedTable(task, risk, bayes_auc())


def true_risk(row: Mapping[str, str]) -> float:
    """P(y = 1) of a row: logistic in the sum of its levels' effects."""
    return 1 / (1 + math.exp(-INTERCEPT - sum(levels[row[name]] for name, (_, levels) in LEVELS.items())))


def bayes_auc() -> float:
    """AUC of the true risk, exactly, over all 256 rows: the best that any score of these columns can have on average."""
    effects = np.array([INTERCEPT])
    for _, levels in LEVELS.values():
        effects = (effects[:, None] + np.array(list(levels.values()))[None, :]).ravel()
    p = 1 / (1 + np.exp(-effects))
    above = (effects[:, None] > effects[None, :] + 1e-12) + 0.5 * (np.abs(effects[:, None] - effects[None, :]) <= 1e-12)
    return float(p @ above @ (1 - p) / (p.sum() * (1 - p).sum()))


@dataclass(frozen=True)
class PlantedRisk:
    """A model of planted rows whose faults are its settings; it reads the last row of a prompt and answers by its true risk.

    position: added to the log-odds of whatever option is called A. sharpness: the log-odds are multiplied by it. shift: added to the
    log-odds of a boat. other: probability of answering something else than an option. uri: its name.
    """

    position: float = 0.0
    sharpness: float = 1.0
    shift: float = 0.0
    other: float = 0.05
    uri: str = "world:planted-risk"

    @property
    def capabilities(self) -> frozenset[str]:
        """Log-probs of alternatives, as a server shows them."""
        return frozenset({"greedy", "logprobs", "topk", "score"})

    def fingerprint(self) -> Mapping[str, object]:
        """Its settings."""
        return {"kind": "planted-risk", "settings": [self.position, self.sharpness, self.shift, self.other]}

    def belief(self, text: str) -> float | None:
        """What it takes for the risk of the last row of a prompt; None when it finds no whole row."""
        row = {}
        for name, (description, levels) in LEVELS.items():
            told = re.findall(rf"\b{re.escape(description)}\b\W*(?:is)?\W*({'|'.join(levels)})\b", text)
            if not told:
                return None
            row[name] = told[-1]
        p = true_risk(row)
        return _sigmoid(self.sharpness * (math.log(p / (1 - p)) + self.shift))

    def law(self, text: str) -> dict[str, float]:
        """Probabilities of the answer's first token, with a leading space."""
        belief = self.belief(text)
        shown = re.findall(r"^([A-Z])\. (Yes|No)\.$", text, re.MULTILINE)[-2:]
        if belief is None or len(shown) < 2:
            return {" what": 1.0}
        yes = next(label for label, option in shown if option == "Yes")
        bias = self.position if yes == shown[0][0] else -self.position
        p = _sigmoid(math.log(belief / (1 - belief)) + bias)
        no = next(label for label, option in shown if option == "No")
        return {f" {yes}": (1 - self.other) * p, f" {no}": (1 - self.other) * (1 - p), " The": self.other}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Answer with an option, with two digits behind a prefilled "0.", or with a reasoned percentage, as the prompt asks."""
        return [RequestResult(self._answer(request.prompt.text or "", settings)) for request in requests]

    def _answer(self, text: str, settings: GenerationSettings) -> Generation:
        belief = self.belief(text)
        if belief is not None and text.endswith("0."):
            # the digits of the nearest hundredth that can be said
            said = [{d: 0.9, "x": 0.1} for d in f"{min(99, round(100 * belief)):02d}"]
        elif belief is not None and "Probability: X%" in text:
            return Generation(text=f"The row speaks for itself.\nProbability: {100 * belief:.1f}%", finish_reason="eos")
        else:
            said = [self.law(text)]
        best = [max(law, key=law.__getitem__) for law in said]
        width = max(len(law) for law in said)
        listed = [sorted(law.items(), key=lambda pair: -pair[1]) for law in said]
        return Generation(
            text="".join(best),
            token_texts=best,
            token_logprobs=np.log([law[token] for law, token in zip(said, best, strict=True)]),
            topk_texts=[[token for token, _ in law] + [""] * (width - len(law)) for law in listed],
            topk_logprobs=np.array([[math.log(p) for _, p in law] + [math.nan] * (width - len(law)) for law in listed]),
            finish_reason="length" if settings.max_new_tokens <= len(best) else "eos",
        )

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Log-probs of given first tokens."""
        with np.errstate(divide="ignore"):
            return [
                OptionScores(np.log([self.law(prompt.text or "").get(option, 0.0) for option in texts]))
                for prompt, texts in zip(prompts, options, strict=True)
            ]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
