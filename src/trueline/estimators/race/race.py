"""RACE as estimators: each signal alone, and their weighted sum (arXiv 2506.04832)."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError, NotFitted
from trueline.estimators.equivalence.base import PairJudge
from trueline.estimators.equivalence.cache import PairCache
from trueline.estimators.inputs import choice, round_scores
from trueline.estimators.race.outputs import MODES, Talk, talks
from trueline.estimators.race.parts import (
    HashedNgrams,
    RuleEntities,
    SentenceEncoder,
    SlotRules,
    check_probabilities,
    judged,
)
from trueline.estimators.race.signals import (
    NOTHING_TO_COMPARE,
    Weights4,
    answer_alignment,
    answer_uncertainty,
    combine,
    normalised,
    reasoning_consistency,
    speculation,
)
from trueline.estimators.race.steps import ModelStepExtractor, RuleStepExtractor
from trueline.traces.trace import Trace

if TYPE_CHECKING:
    import polars as pl

#: The order of weights and of the columns of ``fit_race_weights``.
SIGNALS = ("aa", "ca", "cc", "coh")
TEMPLATE = "Question: {question}\nThought: {steps}\nAnswer:"

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class _Parts:
    """What the four signals are made with.

    extractor: ``rules``, the URI of a model that rewrites, or a ``StepExtractor``. nli: ``rules``, the directory of an NLI checkpoint, a
    ``PairJudge`` (both ask no pair twice) or an ``Nli``; ``none`` leaves S_CC out. embedder: ``ngrams``, the directory of an encoder, or an
    ``Embedder``. proxy: the URI of a local model, or a ``ProxyLM``; without one S_CA is left out. entities: ``rules`` or an
    ``Entities``. n_samples: the first so many samples are used. reasoning_mode: ``trace`` (what the trace keeps as reasoning), ``cot``
    (a prompted chain of thought: S_Coh is left out) or ``direct`` (reasoning and answer are the whole output). template: what the proxy
    reads, with ``{question}`` and ``{steps}``.
    """

    extractor: Any = "rules"
    nli: Any = "rules"
    embedder: Any = "ngrams"
    proxy: Any = ""
    entities: Any = "rules"
    n_samples: int = 5
    sindex_threshold: float = 0.9
    reasoning_mode: str = "trace"
    dedup_answers: bool = False
    template: str = TEMPLATE
    _cache: PairCache | None = field(default=None, repr=False, compare=False)
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        choice("reasoning_mode", self.reasoning_mode, MODES)
        if self.n_samples < 1:
            raise InputError(f"n_samples={self.n_samples} must be at least 1")
        if not 0 < self.sindex_threshold <= 1:
            raise InputError(f"sindex_threshold={self.sindex_threshold} must be in (0, 1]")
        if "{steps}" not in self.template:
            raise InputError(f"template {self.template!r} has no place for {{steps}}")

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that these settings can compute."""
        there = {"aa": True, "ca": self.proxy != "", "cc": self.nli != "none", "coh": self.reasoning_mode == "trace"}
        return tuple(name for name in SIGNALS if there[name])

    @property
    def needs(self) -> Needs:
        """A greedy output and a sample, both with their reasoning (in ``direct`` mode: as they are)."""
        columns = frozenset({"text"} if self.reasoning_mode == "direct" else {"text", "reasoning"})
        return Needs(greedy=columns, samples=1, sample_columns=columns)

    @property
    def asks_pairs(self) -> bool:
        """A judge of pairs is asked for contradictions."""
        return isinstance(self.nli, PairJudge) or (isinstance(self.nli, str) and self.nli not in ("rules", "none"))

    def with_cache(self, cache: PairCache | None) -> Self:
        """The same, with verdicts on pairs kept in ``cache``."""
        return dataclasses.replace(self, _cache=cache)

    def signal(self, trace: Trace, name: str) -> NDArray[np.float64]:
        """(n_items,) float64 of one signal; NaN for an item whose main output has no answer."""
        return self.components(trace)[name]

    def components(self, trace: Trace) -> Values:
        """Every signal that can be computed, (n_items,) float64 each, and ``n_used``: samples with an answer.

        Raises ``MissingTraceField`` without outputs or their reasoning, ``InputError`` for parts that return what cannot be compared,
        ``ModelError`` when one of the models fails.
        """
        key = ("race", *(getattr(self, f.name) for f in dataclasses.fields(_Parts) if not f.name.startswith("_")))
        found: Values = trace.cached(key, lambda: self._components(trace))
        return found

    def _components(self, trace: Trace) -> Values:
        heard = talks(trace, self.reasoning_mode, self.n_samples)
        if heard and max(len(talk.samples) for talk in heard.values()) < 2:
            warnings.warn("RACE has fewer than 2 samples of every item: disagreement can hardly show", stacklevel=2)
        self._extract(heard)
        values = {name: np.full(trace.n_items, np.nan) for name in (*self.signals, "n_used")}
        ways: dict[str, Callable[[dict[int, Talk]], dict[int, float]]] = {"aa": self._aa, "ca": self._ca, "cc": self._cc, "coh": self._coh}
        for name in self.signals:
            for i, value in ways[name](heard).items():
                values[name][i] = value
        for i, talk in heard.items():
            values["n_used"][i] = len(talk.samples)
        return values

    # -- signals ----------------------------------------------------------------------------------------------------

    def _extract(self, heard: dict[int, Talk]) -> None:
        """The steps of every reasoning, asked for together."""
        extract = self._part("extractor")
        outputs = [(talk, output) for talk in heard.values() for output in (talk.main, *talk.samples) if output.answer]
        asked = [(talk.question, output.reasoning, output.answer) for talk, output in outputs]
        distinct = list(dict.fromkeys(asked))
        batch = getattr(extract, "batch", None)
        steps = batch(distinct) if batch is not None else [extract(*one) for one in distinct]
        known = dict(zip(distinct, steps, strict=True))
        for (_, output), one in zip(outputs, asked, strict=True):
            output.steps = list(known[one])

    def _aa(self, heard: dict[int, Talk]) -> dict[int, float]:
        embed = self._part("embedder")
        lexical = bool(getattr(embed, "lexical", False))  # a common question would pull all answers together

        def shown(talk: Talk, answer: str) -> str:
            return answer if lexical else f"{talk.question} [SEP] {answer}"

        answers = {i: [output.answer.strip() or " " for output in (talk.main, *talk.samples)] for i, talk in heard.items()}
        distinct = list(dict.fromkeys(shown(heard[i], a) for i, texts in answers.items() for a in texts))
        table = np.asarray(embed(distinct)) if distinct else np.zeros((0, 0))
        row = {text: k for k, text in enumerate(distinct)}
        found = {}
        for i, texts in answers.items():
            try:
                embedded = table[[row[shown(heard[i], a)] for a in texts]]
                found[i] = answer_uncertainty(texts, embedded, self.sindex_threshold, self.dedup_answers).value
            except InputError as error:
                raise InputError(f"item {heard[i].item_id!r}: {error}") from error
        return found

    def _ca(self, heard: dict[int, Talk]) -> dict[int, float]:
        proxy = self._part("proxy")
        found = {}
        for i, talk in heard.items():
            head, tail = self._prompt(talk)
            prompt = head + "\n".join(talk.main.steps) + tail
            space = "" if prompt[-1:].isspace() else " "
            answers = [space + output.answer for output in talk.samples if output.answer]
            found[i] = answer_alignment(proxy.entropies(prompt, answers) if answers else [])[0]
        return found

    def _cc(self, heard: dict[int, Talk]) -> dict[int, float]:
        nli = self._part("nli")
        pairs: list[tuple[str, str]] = []
        shapes: dict[int, tuple[int, int]] = {}
        for i, talk in heard.items():
            told = ["\n".join(output.steps) for output in talk.samples if output.steps]
            shapes[i] = (len(talk.main.steps), len(told))
            pairs += [(step, hypothesis) for step in talk.main.steps for hypothesis in told]
        premises, hypotheses = [p for p, _ in pairs], [h for _, h in pairs]
        probs = check_probabilities(nli(premises, hypotheses), len(pairs), "nli") if pairs else np.zeros(0)
        found, start = {}, 0
        for i, (m, n) in shapes.items():
            delta = probs[start : start + m * n].reshape(m, n)
            start += m * n
            found[i] = reasoning_consistency(delta, self._weights(heard[i])) if m * n else NOTHING_TO_COMPARE
        return found

    def _weights(self, talk: Talk) -> NDArray[np.float64] | None:
        """How much the proxy attends to each step as it reads the main answer; None (uniform) where that cannot be known."""
        if self.proxy == "" or not talk.main.answer or len(talk.main.steps) < 2:
            return None
        head, tail = self._prompt(talk)
        space = "" if (tail or head)[-1:].isspace() else " "
        received = self._part("proxy").attention_to(head, talk.main.steps, tail, space + talk.main.answer)
        if received is None:
            if "told" not in self._made:
                warnings.warn("the proxy shows no attention maps; RACE weighs all steps alike", stacklevel=2)
                self._made["told"] = True
            return None
        return normalised(np.asarray(received, dtype=np.float64))

    def _coh(self, heard: dict[int, Talk]) -> dict[int, float]:
        entities = self._part("entities")
        return {i: speculation(entities(t.main.reasoning), entities("\n".join(t.main.steps))) for i, t in heard.items()}

    # -- parts ------------------------------------------------------------------------------------------------------

    def _prompt(self, talk: Talk) -> tuple[str, str]:
        head, _, tail = self.template.partition("{steps}")
        # the template is filled piece by piece: braces inside a question stay what they are
        return head.replace("{question}", talk.question), tail.replace("{question}", talk.question)

    def _part(self, name: str) -> Any:
        if name not in self._made:
            asked = getattr(self, name)
            self._made[name] = _LOADERS[name](asked) if isinstance(asked, str) else asked
        part = self._made[name]
        return judged(part, self._cache) if name == "nli" and isinstance(part, PairJudge) else part


@dataclass(frozen=True)
class RaceSignal(_Parts):
    """One signal of RACE alone.

    signal_name: ``aa`` answer uncertainty (SINdex), ``ca`` alignment of main reasoning and sampled answers, ``cc`` contradiction among
    reasonings, ``coh`` share of the reasoning's entities that its steps drop.
    """

    signal_name: str = "aa"

    def __post_init__(self) -> None:
        """Refuse an unknown signal."""
        super().__post_init__()
        choice("signal_name", self.signal_name, SIGNALS)

    @property
    def needs(self) -> Needs:
        """A greedy output and a sample with their reasoning; a proxy for ``ca``."""
        lacking = "" if self.signal_name in self.signals else _LACKING[self.signal_name]
        return dataclasses.replace(super().needs, lacking=lacking)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64, higher = less certain; NaN for an item without a main answer. Raises as ``RACE.score``."""
        if self.needs.lacking:
            raise NotFitted(self.needs.lacking)
        return round_scores(self.signal(trace, self.signal_name))


@dataclass(frozen=True)
class RACE(_Parts):
    """Joint consistency of reasoning and answers: the weighted sum of four signals; see ``RaceSignal``.

    weights: (aa, ca, cc, coh); ``fit_race_weights`` finds them from labelled items (RACE+). standardise: z-scores over the run before
    weighing; such a sum can be compared within the run only. Signals that lack a model are left out and named in ``notes``.

    Trap: S_CA has no upper bound and can drown the others when the proxy fits badly: look at the signals beside the sum.
    """

    weights: Weights4 = (1.0, 1.0, 1.0, 1.0)
    standardise: bool = False

    def __post_init__(self) -> None:
        """Refuse weights that are negative, not four, or all on signals that cannot be computed."""
        super().__post_init__()
        if len(self.weights) != 4 or not all(np.isfinite(w) and w >= 0 for w in self.weights):
            raise InputError(f"weights={self.weights} must be four numbers of at least 0, in the order aa, ca, cc, coh")
        if not any(w for name, w in zip(SIGNALS, self.weights, strict=True) if name in self.signals):
            raise InputError("no signal with a weight can be computed; give the models that are missing, or other weights")

    @property
    def whole_run(self) -> bool:
        """Scores depend on the other items of the run."""
        return self.standardise

    @property
    def notes(self) -> tuple[str, ...]:
        """Which signals are in the sum, and why others are not."""
        weighted = [name for name, w in zip(SIGNALS, self.weights, strict=True) if w]
        ran = [f"S_{name.upper()}" for name in weighted if name in self.signals]
        left = [f"S_{name.upper()} left out: {_LACKING[name]}" for name in weighted if name not in self.signals]
        return (f"sum of {', '.join(ran)}", *left)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item whose main output has no answer.

        Raises ``MissingTraceField`` without outputs or reasoning, ``InputError`` and ``ModelError`` as ``components``.
        """
        return round_scores(self._sum(self.components(trace)))

    def table(self, trace: Trace) -> pl.DataFrame:
        """item_id, race, s_cc, s_aa, s_ca, s_coh (NaN where left out) and n_used, one row an item."""
        import polars as pl

        values = self.components(trace)
        nothing = np.full(trace.n_items, np.nan)
        columns = {f"s_{name}": values.get(name, nothing) for name in ("cc", "aa", "ca", "coh")}
        used = pl.Series(values["n_used"]).fill_nan(0).cast(pl.Int64)
        return pl.DataFrame({"item_id": list(trace.item_ids), "race": self._sum(values), **columns, "n_used": used})

    def _sum(self, values: Values) -> NDArray[np.float64]:
        weights = [w if name in values else 0.0 for name, w in zip(SIGNALS, self.weights, strict=True)]
        nothing = np.full(len(values["n_used"]), np.nan)
        aa, ca, cc, coh = (_z(values[name]) if self.standardise and name in values else values.get(name, nothing) for name in SIGNALS)
        return combine(aa, ca, cc, coh, (weights[0], weights[1], weights[2], weights[3]))


def _z(x: NDArray[np.float64]) -> NDArray[np.float64]:
    known = x[~np.isnan(x)]
    spread = known.std() if len(known) else 0.0
    return (x - known.mean()) / spread if spread > 0 else np.where(np.isnan(x), x, 0.0)


_LACKING = {
    "aa": "",
    "ca": "no proxy; give proxy=hf:PATH (or world:NAME), a local model",
    "cc": "nli=none; give nli=PATH, or nli=rules",
    "coh": "no thinking trace (reasoning_mode is not trace)",
}


def _load_extractor(spec: str) -> Any:
    if spec == "rules":
        return RuleStepExtractor()
    from trueline.models.loading import load_model

    return ModelStepExtractor(load_model(spec))


def _load_nli(spec: str) -> Any:
    if spec == "rules":
        return SlotRules()
    from trueline.estimators.equivalence.nli import NLI

    return NLI(spec, prefix_question=False)


def _load_embedder(spec: str) -> Any:
    return HashedNgrams() if spec == "ngrams" else SentenceEncoder(spec)


def _load_proxy(spec: str) -> Any:
    from trueline.models.loading import load_model
    from trueline.models.proxy import LocalProxy

    return LocalProxy.of(load_model(spec))


def _load_entities(spec: str) -> Any:
    if spec != "rules":
        raise InputError(f"entities={spec!r} is not an option; choose rules, or pass a function from text to names in Python")
    return RuleEntities()


_LOADERS: dict[str, Callable[[str], Any]] = {
    "extractor": _load_extractor,
    "nli": _load_nli,
    "embedder": _load_embedder,
    "proxy": _load_proxy,
    "entities": _load_entities,
}
