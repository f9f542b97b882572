"""Samples of lm-evaluation-harness (``samples_*.jsonl``, written with ``--log_samples``) as generations.

A multiple-choice task asks no model to write: it scores every choice. Here that becomes one greedy token out of the choices, under the law
that their log-probs give when they are renormalised over the choices, so that every score of a next-token law applies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.capture.engine import generation_row
from trueline.capture.separate import separate
from trueline.errors import InputError, nearest
from trueline.interop.logs import LOG_ROLES, Entry, Threshold, number, pieces_of, stated, verdict
from trueline.models.base import Generation
from trueline.tasks.files import ALIASES
from trueline.tasks.generations import Origin, Piece
from trueline.tasks.item import Item
from trueline.tasks.tables import BadLines, as_text, as_texts, check_mapping, read_rows
from trueline.tasks.thinking import load_splitter

Floats = NDArray[np.float64]

#: What every record holds beside its metrics.
_FIELDS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"}
#: Metrics that are verdicts, the first one there counts.
_VERDICTS = ("acc", "exact_match", "em", "pass@1", "acc_norm")
#: Choices scored by log-prob divided by length (characters, bytes), and by the gain over the log-prob without the question.
_NORMS: dict[str | None, Callable[[str], int]] = {"acc_norm": len, "acc_bytes": lambda text: len(text.encode())}
_MUTUAL = "acc_mutual_info"
_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}(?:\.\d+)?)\.jsonl$")


class HarnessLog:
    """The samples of one task. ``labelled``: they carry metrics."""

    def __init__(self, path: Path, mapping: Mapping[str, str] | None, bad: BadLines) -> None:
        check_mapping(mapping or {}, LOG_ROLES)
        self.path, self.bad, self.roles = path, bad, dict(mapping or {})
        if self.roles.get("text", "answer") not in ("output", "answer"):
            raise InputError("samples of lm-evaluation-harness take text=answer (what the filter left) or text=output")
        if "kind" in self.roles:
            raise InputError("samples of lm-evaluation-harness say themselves how they were decoded; kind plays no role")
        first = next(record for _, record in read_rows(path, BadLines(path, skip=True)))
        self.results = self._results()
        named = _NAME.search(path.name)
        self.task = named["task"] if named else path.stem.removeprefix("samples_")
        self._settings(first)
        self.labelled = self.metric is not None
        self._chose = False

    def _settings(self, first: Mapping[str, Any]) -> None:
        """The metric and the filter: ``METRIC``, ``METRIC,FILTER`` as the harness writes them, ``METRIC>=0.5``."""
        asked = Threshold.parse(self.roles.get("correct"))
        metric, _, filtered = (asked.name or "").partition(",")
        self.bound = asked.bound
        self.filters: list[str] = []
        for _, record in read_rows(self.path, BadLines(self.path, skip=True)):
            if (name := as_text(record.get("filter", "none"))) in self.filters:
                continue  # all records of a filter stand together
            self.filters.append(name)
        if filtered and filtered not in self.filters:
            raise InputError(f"{self.path} has no filter {filtered!r}; it has {', '.join(self.filters)}{nearest(filtered, self.filters)}")
        self.filter = filtered or self.filters[0]
        metrics = [name for name in (first.get("metrics") or sorted(set(first) - _FIELDS)) if isinstance(name, str)]
        if metric and metric not in metrics:
            raise InputError(f"{self.path} has no metric {metric!r}; it has {', '.join(metrics) or 'none'}{nearest(metric, metrics)}")
        self.metrics = metrics
        self.metric = metric or next((name for name in (*_VERDICTS, *metrics) if name in metrics), None)

    def _results(self) -> Mapping[str, Any]:
        """What the harness wrote beside the samples: ``results_DATE.json`` of the same date; empty when it is not there."""
        named = _NAME.search(self.path.name)
        beside = self.path.with_name(f"results_{named['date']}.json") if named else None
        if beside is None or not beside.is_file():
            return {}
        try:
            found = json.loads(beside.read_bytes())
        except (ValueError, RecursionError) as error:
            raise InputError(f"{beside} is not valid JSON ({error}); mend it, or move it away to do without") from error
        return found if isinstance(found, dict) else {}

    def origin(self) -> Origin:
        """Model, task and what else the manifest keeps."""
        model = self.results.get("model_name")
        notes = [] if model else [f"no results file beside {self.path.name} names the model"]
        if len(self.filters) > 1 and "," not in self.roles.get("correct", ""):
            notes.append(f"answers of the filter {self.filter}; there are also {', '.join(f for f in self.filters if f != self.filter)}")
        known = {name: self.results.get(name) for name in ("lm_eval_version", "date", "chat_template_sha")}
        details: dict[str, Any] = {
            "format": "lm-eval",
            "filter": self.filter,
            "metric": self.metric,
            "answers": "choices" if self._chose else "texts",
        }
        details |= {name: value for name, value in known.items() if isinstance(value, str | float | int)}
        return Origin(as_text(model) if model else self.path.name, f"lm-eval:{self.task}", tuple(notes), {}, details)

    def pieces(self) -> Iterator[Piece]:
        """Yield (items, their rows as a table), in file order."""
        return pieces_of(self._entries())

    def _entries(self) -> Iterator[Entry]:
        seen: dict[str, int] = {}
        for line, record in read_rows(self.path, self.bad):
            if as_text(record.get("filter", "none")) != self.filter:
                continue
            try:
                item, rows = self._entry(record)
            except InputError as error:
                self.bad.add(line, str(error))
                continue
            if item.id in seen:
                raise InputError(f"{self.path}: doc_id {item.id} occurs on lines {seen[item.id]} and {line} with the filter {self.filter}")
            seen[item.id] = line
            yield item, [{**row, "line": line} for row in rows]

    def _entry(self, record: Mapping[str, Any]) -> Entry:
        lacking = sorted({"doc_id", "doc", "arguments", "resps", "filtered_resps"} - set(record))
        if lacking:
            raise InputError(f"the record has no {lacking[0]}")
        asked = _arguments(record["arguments"])
        if not asked or not isinstance(record["resps"], list) or len(record["resps"]) != len(asked):
            raise InputError("expected as many resps as arguments")
        pairs = _pairs(record)
        texts: list[str] = []
        if pairs is None:
            rows = self._generated(record, asked)
        elif len(asked) < 2:
            raise InputError("the log-prob of a single continuation holds no answer of the model; import multiple-choice or generate_until")
        else:
            texts, rows = self._chosen(record, asked, pairs)
        return self._item(record, asked, texts), rows

    def _item(self, record: Mapping[str, Any], asked: Sequence[tuple[Any, ...]], choices: Sequence[str]) -> Item:
        doc = record["doc"] if isinstance(record["doc"], dict) else {"doc": record["doc"]}
        name = self.roles.get("question") or next((a for a in ALIASES["question"] if isinstance(doc.get(a), str) and doc[a].strip()), None)
        question = doc.get(name) if name else asked[0][0]
        cluster = doc.get(self.roles["cluster"]) if "cluster" in self.roles else None
        return Item(
            id=as_text(record["doc_id"]),
            question=as_text("" if question is None else question),
            references=_references(record.get("target"), choices),
            cluster=None if cluster is None else as_text(cluster),
            metadata={**doc, **({"choices": list(choices)} if choices else {})},
        )

    # -- choices that were scored -----------------------------------------------------------------------------------

    def _chosen(
        self, record: Mapping[str, Any], asked: Sequence[tuple[Any, ...]], logprobs: Floats
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """The choices, and the greedy row of the best one."""
        bare = None
        if _MUTUAL in self.metrics and len(asked) % 2 == 0 and all(part[0] == "" for part in asked[len(asked) // 2 :]):
            half = len(asked) // 2
            asked, logprobs, bare = asked[:half], logprobs[:half], logprobs[half:]
        self._chose = True
        choices = _choices(asked)
        values = logprobs
        if self.metric in _NORMS:
            values = logprobs / np.maximum([_NORMS[self.metric](text) for text in choices], 1)
        elif self.metric == _MUTUAL and bare is not None:
            values = logprobs - bare
        if not np.isfinite(values.max()):
            raise InputError("no choice has a finite log-prob")
        law = values - values.max()
        law = np.minimum(law - np.log(np.exp(law).sum()), 0.0)
        order = np.argsort(-law, kind="stable")
        best = int(order[0])
        finite = law[np.isfinite(law)]
        row = {
            "kind": "greedy",
            "draw": 0,
            "text": choices[best],
            "n_tokens": 1,
            "token_texts": [choices[best]],
            "token_logprobs": law[[best]],
            "logprob_law": "choices",
            "token_entropy": [-float((np.exp(finite) * finite).sum()) + 0.0],
            "token_mean_logp": [float(finite.mean())],
            "token_n_finite": [float(len(finite))],
            "token_max_logp": [float(law[best])],
            "token_second_logp": [float(law[order[1]])],
            "topk_logprobs": [law[order].tolist()],
            "topk_texts": [[choices[k] for k in order]],
            "options": choices,
            "option_logprobs": logprobs,
            **self._graded(record),
        }
        return choices, [row]

    # -- answers that were written ----------------------------------------------------------------------------------

    def _generated(self, record: Mapping[str, Any], asked: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
        outputs = [as_text(text) for text in _flat(record["resps"][0])]
        if len(asked) != 1 or not outputs:
            raise InputError("expected one request with its outputs; this kind of task is not read")
        if len(asked[0]) < 2:  # a request to write has settings; without them it is the log-prob of a whole text (perplexity)
            raise InputError("the log-likelihood of a text holds no answer of the model; import multiple-choice or generate_until")
        kept = [as_text(text) for text in _flat(record["filtered_resps"])]
        settings = asked[0][1] if len(asked[0]) > 1 and isinstance(asked[0][1], dict) else {}
        temperature = number(settings.get("temperature"))
        sampled = bool(settings.get("do_sample", (temperature or 0) > 0)) and temperature != 0
        law = {"temperature": temperature, "top_p": number(settings.get("top_p")), "top_k": settings.get("top_k")} if sampled else {}
        if not sampled and len(outputs) > 1:
            law = {"temperature": 0.0}
        rows = []
        for k, output in enumerate(outputs):
            kind = "sample" if sampled or k else "greedy"
            row = generation_row(separate(Generation(output), load_splitter("auto")))
            if self.roles.get("text") != "output" and len(kept) == len(outputs):
                row |= _left(output, kept[k])
            rows.append({"kind": kind, "draw": k if sampled else max(0, k - 1), **(law if kind == "sample" else {}), **row})
        graded = self._graded(record)
        if len(outputs) > 1 and len(kept) == 1 and kept[0].strip() not in outputs[0]:
            graded = {"correct": None, "reason": f"the verdict is on another answer, {kept[0].strip()[:80]!r}, that the filter made of all"}
        rows[0] |= graded
        if (name := self.roles.get("confidence")) is not None:
            rows += _stated(name, record, outputs[0])
        return rows

    def _graded(self, record: Mapping[str, Any]) -> dict[str, Any]:
        if self.metric is None:
            return {}
        value = record.get(self.metric)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return verdict(value, self.bound)


def _stated(name: str, record: Mapping[str, Any], output: str) -> list[dict[str, Any]]:
    """The confidence in the output itself, or in a field of the question."""
    if name == "output":
        return [{"kind": "verbalized_1s", "draw": 0, "text": output}]
    doc = record["doc"] if isinstance(record["doc"], dict) else {}
    value = doc.get(name)
    if value is None:
        return []
    confidence = number(value)
    if confidence is None or not 0 <= confidence <= 1:
        raise InputError(f"{name} is {as_text(value)[:40]!r}; expected a confidence in [0, 1]")
    return [stated(confidence)]


def _arguments(arguments: Any) -> list[tuple[Any, ...]]:
    """The arguments of each request, in order: ``{"gen_args_0": {"arg_0": ...}}``, or the plain lists that older versions wrote."""
    if isinstance(arguments, dict):
        if not all(isinstance(part, dict) and part for part in arguments.values()):
            raise InputError("arguments are not as lm-evaluation-harness writes them")
        return [tuple(part.values()) for part in arguments.values()]
    if isinstance(arguments, list) and all(isinstance(part, list) and part for part in arguments):
        return [tuple(part) for part in arguments]
    raise InputError("arguments are not as lm-evaluation-harness writes them")


def _pairs(record: Mapping[str, Any]) -> Floats | None:
    """(n_requests,) log-probs, where every reply is (log-prob, whether it is the greedy continuation); else None."""
    values = []
    for reply in record["resps"]:
        pair = reply[0] if isinstance(reply, list) and len(reply) == 1 and isinstance(reply[0], list) else reply
        if not (isinstance(pair, list) and len(pair) == 2 and as_text(pair[1]) in ("True", "False")):
            return None
        values.append(_logprob(pair[0]))
    return np.array(values, dtype=np.float64)


def _logprob(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if not found <= 1e-6:  # NaN as well; -inf is a choice that cannot be
        raise InputError(f"a log-prob of a choice is {as_text(value)[:40]!r}; expected a number of at most 0")
    return min(found, 0.0)


def _choices(asked: Sequence[tuple[Any, ...]]) -> list[str]:
    """Texts of the choices: the continuations, or, where these are one and the same, what differs in front of it."""
    texts = [as_text(part[1]) for part in asked if len(part) > 1]
    if len(texts) != len(asked):
        raise InputError("a request has no continuation")
    if len(set(texts)) == 1:
        fronts = [as_text(part[0]) for part in asked]
        same = next((k for k, letters in enumerate(zip(*fronts, strict=False)) if len(set(letters)) > 1), min(map(len, fronts)))
        texts = [front[fronts[0][:same].rfind(" ") + 1 :] for front in fronts]
    return [text.strip() or text for text in texts]


def _references(target: Any, choices: Sequence[str]) -> tuple[str, ...]:
    """The accepted answers. A target of scored choices is a position, a text, or a list of either."""
    found = as_texts(target)
    if not choices:
        return found
    # the harness itself takes a text of digits for a position
    named = [choices[int(t)] if t.strip().isdecimal() and int(t) < len(choices) else t.strip() for t in found]
    return tuple(text for text in named if text in choices)


def _flat(value: Any) -> list[Any]:
    """The texts of a reply, whatever lists stand around them."""
    return [text for part in value for text in _flat(part)] if isinstance(value, list) else [value]


def _left(output: str, answer: str) -> dict[str, Any]:
    """What a filter left as the text; where that is not the whole output, what the model wrote before it is its reasoning."""
    answer = answer.strip()
    at = output.rfind(answer) if answer else -1
    if answer == output.strip():
        return {"text": answer}
    before = (output[:at] if at > 0 else output).strip()
    return {"text": answer, "error": None, "reasoning": before or None, "reasoning_span": None, "answer_start": None}
