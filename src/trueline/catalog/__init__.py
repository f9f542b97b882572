"""Everything trueline ships, by name: one visible table. Nothing here is imported until it is asked for."""

from __future__ import annotations

from functools import cache

from trueline.catalog.entry import Entry
from trueline.catalog.estimators import EQUIVALENCES, ESTIMATORS
from trueline.catalog.metrics import ANNOTATOR_METRICS, CLASSIFIERS, METRICS, PREFERENCE_METRICS, RISK_METRICS, SET_METRICS
from trueline.catalog.reasoning import REASONING
from trueline.catalog.similarity import SIMILARITIES, STATED, TEXT_COMPARISON
from trueline.catalog.variation import VARIATION
from trueline.catalog.white_box import WHITE_BOX

_PROOF_WORLD = "proofs/known-world.md"
_WORLD = "the known world"
_MODELS = (
    Entry(
        "hf:PATH_OR_ID", "model", "trueline.models.local:load", "a language or vision-language checkpoint, safetensors only", "transformers"
    ),
    Entry("openai:NAME", "model", "trueline.models.server.model:load", "a model behind an OpenAI-compatible server", "openai"),
    *(
        Entry(f"world:{name}", "model", "trueline.knownworld:load_model", summary, _WORLD, proof=_PROOF_WORLD)
        for name, summary in (
            ("base", "shipped: completes the corpus of the known world"),
            ("chat", "shipped: answers, refuses sealed facts, states its confidence too high"),
            ("planted-emitter", "an exact model whose certainty is known and which examples teach to say so; no checkpoint"),
            ("planted-judge", "a reader of planted preferences, for audits whose truth is known; no checkpoint"),
            ("planted-markers", "an exact reader of markers before answers, for audits whose truth is known; no checkpoint"),
            ("planted-risk", "a reader of planted tables, whose faults are its options; no checkpoint"),
            ("small", "shipped: a fifth of the size, with a tokenizer of its own"),
        )
    ),
)
_TASKS = (
    Entry("FILE", "task", "trueline.tasks.files:load_file", "questions from .jsonl, .csv or .parquet", "your own data"),
    Entry(
        "code:FILE",
        "task",
        "trueline.tasks.code:load_code",
        "programming problems with tests: HumanEval, MBPP, your own",
        "Chen et al., arXiv 2107.03374; Austin et al., arXiv 2108.07732",
        proof="proofs/look-before-you-leap.md",
    ),
    Entry("hf-dataset:NAME", "task", "trueline.tasks.files:load_hf_dataset", "questions from the datasets library", "datasets"),
    Entry(
        "table:NAME_OR_CODEBOOK",
        "task",
        "trueline.tabular.loading:load_task",
        "rows of a table as questions about an outcome",
        "Cruz et al., arXiv 2407.14614",
        proof="proofs/folktexts.md",
    ),
    Entry("world:TASK", "task", "trueline.knownworld:load_task", "facts, ambiguous, sums, ...: truth known", _WORLD, proof=_PROOF_WORLD),
)

_AUDITS = (
    Entry(
        "quality",
        "audit",
        "trueline.audits.quality:audit_quality",
        "how the scores of a run relate to the quality of its answers",
        "Huang et al., arXiv 2307.10236",
        "0",
        "black",
        "proofs/look-before-you-leap.md",
    ),
    Entry(
        "discretion",
        "audit",
        "trueline.audits:DiscretionAudit",
        "who uses which principle when written principles disagree",
        "Buyl et al., arXiv 2502.10441",
        "2 k F a pair",
        "logprobs",
        "proofs/discretion.md",
    ),
    Entry(
        "errors",
        "audit",
        "trueline.audits:audit_errors",
        "are errors systematic or incoherent, by length or column",
        "Haegele et al., arXiv 2601.23045",
        proof="proofs/hot-mess.md",
    ),
    Entry(
        "distribution",
        "audit",
        "trueline.audits:audit_distribution",
        "what one greedy answer hides: capability, paths, wording, rare harm",
        "Joshi et al., arXiv 2601.07239",
        proof="proofs/stochastic-chaos.md",
    ),
    Entry(
        "grey-area",
        "audit",
        "trueline.audits:MarkerAudit",
        "what expressions of certainty, doubt and source in the prompt do to the answers",
        "Zhou, Jurafsky and Hashimoto, arXiv 2302.13439",
        "54 answers an item",
        proof="proofs/grey-area.md",
    ),
    Entry(
        "emission",
        "audit",
        "trueline.audits:EmissionAudit",
        "whether a model means the markers that it emits; part of audit grey-area",
        "Zhou, Jurafsky and Hashimoto, arXiv 2302.13439",
        "2 answers an item",
        proof="proofs/grey-area.md",
    ),
    Entry(
        "marker-corpus",
        "audit",
        "trueline.audits:probe_corpus",
        "where markers stand in a collection of texts: in questions or elsewhere",
        "Zhou, Jurafsky and Hashimoto, arXiv 2302.13439",
        "0",
        proof="proofs/grey-area.md",
    ),
    Entry(
        "emit-markers",
        "policy",
        "trueline.policies:EmitMarkers",
        "examples in the prompt whose answers say how sure they are",
        "Zhou, Jurafsky and Hashimoto, arXiv 2302.13439",
        proof="proofs/grey-area.md",
    ),
    Entry(
        "risk",
        "audit",
        "trueline.audits:audit_risk",
        "probabilities about rows of a table: calibration, confidence, fairness",
        "Cruz et al., arXiv 2407.14614",
        "1 F an order and row",
        "logprobs",
        "proofs/folktexts.md",
    ),
)

ENTRIES: tuple[Entry, ...] = (
    *ESTIMATORS,
    *WHITE_BOX,
    *TEXT_COMPARISON,
    *STATED,
    *SIMILARITIES,
    *VARIATION,
    *REASONING,
    *EQUIVALENCES,
    *METRICS,
    *SET_METRICS,
    *ANNOTATOR_METRICS,
    *PREFERENCE_METRICS,
    *RISK_METRICS,
    *CLASSIFIERS,
    *_AUDITS,
    *_MODELS,
    *_TASKS,
)

#: Entry-point group of other packages' entries; each entry point names a sequence of ``Entry``.
PLUGIN_GROUP = "trueline.plugins"


@cache
def all_entries() -> tuple[Entry, ...]:
    """``ENTRIES`` and what installed packages add under the entry-point group ``trueline.plugins``; looked up once a process.

    Raises ``InputError`` when a plugin offers something else than entries, or a name that is taken.
    """
    from importlib.metadata import entry_points

    from trueline.errors import InputError

    found = {entry.name: entry for entry in ENTRIES}
    for point in entry_points(group=PLUGIN_GROUP):
        for entry in point.load():
            if not isinstance(entry, Entry):
                raise InputError(f"plugin {point.name!r} ({point.value}) must name a sequence of trueline.catalog.Entry, found {entry!r}")
            if entry.name in found:
                raise InputError(f"plugin {point.name!r} ({point.value}) offers {entry.name!r}, a name that is taken: rename its entry")
            found[entry.name] = entry
    return tuple(found.values())


#: What comes before the colon of a model or task URI -> ``module:function(rest, **options)``.
MODEL_SCHEMES = {
    "hf": "trueline.models.local:load",
    "openai": "trueline.models.server.model:load",
    "world": "trueline.knownworld:load_model",
}
TASK_SCHEMES = {
    "code": "trueline.tasks.code:load_code",
    "table": "trueline.tabular.loading:load_task",
    "world": "trueline.knownworld:load_task",
    "hf-dataset": "trueline.tasks.files:load_hf_dataset",
}

__all__ = ["ENTRIES", "MODEL_SCHEMES", "PLUGIN_GROUP", "TASK_SCHEMES", "Entry", "all_entries"]
