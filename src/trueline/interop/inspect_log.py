"""Logs of Inspect AI (``.eval``, ``.json``) as generations: epochs are answers to one question, the scores of a scorer are verdicts.

Read through Inspect's own log API, a few samples at a time; nothing that a log names is imported or run.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.capture.engine import generation_row
from trueline.capture.separate import separate
from trueline.errors import InputError, MissingExtra, nearest
from trueline.interop.inspect_messages import generation_of
from trueline.interop.logs import AUDIT, LOG_ROLES, OWN, Entry, Threshold, number, pieces_of, stated, verdict
from trueline.models.server.replies import UnusableReply
from trueline.tasks.generations import Origin, Piece
from trueline.tasks.item import Item
from trueline.tasks.tables import BadLines, as_text, as_texts, check_mapping
from trueline.tasks.thinking import load_splitter

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

#: Samples read together.
BATCH = 256
#: A larger member of a log is refused unread.
LARGEST_SAMPLE = 1 << 30
_UNREAD = {"events", "events_data", "store", "attachments", "timelines"}
_FAULTS = (OSError, ValueError, KeyError, IndexError, EOFError, RuntimeError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


class InspectLog:
    """One log. ``labelled``: it holds scores."""

    def __init__(self, path: Path, mapping: Mapping[str, str] | None, bad: BadLines) -> None:
        check_mapping(mapping or {}, LOG_ROLES)
        self.path, self.bad, self.roles = path, bad, dict(mapping or {})
        if self.roles.get("text", "output") not in ("output", "answer") or self.roles.get("kind", "sample") not in ("greedy", "sample"):
            raise InputError("an Inspect log takes text=output or text=answer (what the scorer took out), and kind=greedy or kind=sample")
        self._whole = path.suffix.lower() == ".json"
        self.log = self._open()
        if (audit := (self.log.eval.metadata or {}).get(AUDIT)) is not None:
            raise InputError(
                f"{path} is the log of an audit ({as_text(audit)}), not of answers; trueline.inspecting.audit_document reads its record"
            )
        self._places = self._ordered()
        self._asked = Threshold.parse(self.roles.get("correct"))
        self.scorers = self._scorers()
        self.labelled = bool(self.scorers)
        self._usage: dict[str, float] = {}

    # -- the log ----------------------------------------------------------------------------------------------------

    def _open(self) -> EvalLog:
        """The head of the log, with its samples where they cannot be read by themselves (JSON)."""
        read = _inspect_log().read_eval_log
        try:
            if not self._whole:
                with zipfile.ZipFile(self.path) as members:
                    big = next((m.filename for m in members.infolist() if m.file_size > LARGEST_SAMPLE), None)
                if big is not None:
                    raise InputError(f"{self.path}: its member {big[:80]!r} is larger than {LARGEST_SAMPLE >> 30} GiB")
            log: EvalLog = read(str(self.path), header_only=not self._whole)
        except InputError:
            raise
        except _FAULTS as error:
            hint = "; of lm-evaluation-harness give samples_*.jsonl (--log_samples)" if self.path.name.startswith("results_") else ""
            raise InputError(f"{self.path} cannot be read as a log of Inspect AI ({_line(error)}){hint}") from error
        return log

    def _ordered(self) -> list[tuple[str | int, int]]:
        """(id, epoch) of the samples that the log holds, by id in the data set's order, then epoch."""
        if self._whole:
            there = [(sample.id, sample.epoch) for sample in self.log.samples or ()]
        else:
            there = [(s.id, s.epoch) for s in self._call(_inspect_log().read_eval_log_sample_summaries, str(self.path))]
        if not there:
            raise InputError(f"{self.path} holds no samples (its status is {self.log.status}); a log is read once samples are done")
        rank: dict[str | int, int] = {}
        for ident in (*(self.log.eval.dataset.sample_ids or ()), *(ident for ident, _ in there)):
            rank.setdefault(ident, len(rank))
        return sorted(there, key=lambda place: (rank[place[0]], place[1]))

    def _samples(self, places: Sequence[tuple[str | int, int]]) -> Iterator[EvalSample]:
        if self._whole:
            by_place = {(sample.id, sample.epoch): sample for sample in self.log.samples or ()}
            yield from (by_place[place] for place in places)
            return
        read = _inspect_log().read_eval_log_samples_by_id
        for start in range(0, len(places), BATCH):
            yield from self._call(read, str(self.path), places[start : start + BATCH], exclude_fields=_UNREAD)

    def _call(self, read: Any, *given: Any, **options: Any) -> Any:
        try:
            return read(*given, **options)
        except (*_FAULTS, _inspect_faults()) as error:
            raise InputError(f"{self.path} is damaged ({_line(error)}); `inspect log recover` may mend it") from error

    def _scorers(self) -> list[str]:
        """Names of the scorers of the first sample that has some; the verdict's own first. Raises ``InputError`` for an unknown one."""
        there: list[str] = []
        for sample in self._samples(self._places[:BATCH]):
            there = list(sample.scores or {})
            if there:
                break
        wanted = self._asked.name
        if wanted is not None and wanted not in there and wanted.partition(".")[0] not in there:
            raise InputError(f"{self.path} has no scorer {wanted!r}; it has {', '.join(there) or 'none'}{nearest(wanted, there)}")
        return there

    # -- what it says -------------------------------------------------------------------------------------------------

    def pieces(self) -> Iterator[Piece]:
        """Yield (items, their rows as a table), in the data set's order."""
        self._usage = {}
        return pieces_of(self._entries())

    def origin(self) -> Origin:
        """Model, task and what else the manifest keeps."""
        spec = self.log.eval
        notes = [] if self.log.status == "success" else [f"the log's status is {self.log.status}: it may lack samples"]
        if len(self.scorers) > 1 and self._asked.name is None:
            others = ", ".join(self.scorers[1:])
            notes.append(f"graded by the log's scorer {self.scorers[0]}; it also has {others} (--map correct=NAME)")
        counts: dict[str, float] = {k: v if k == "cost" else int(v) for k, v in self._usage.items()}
        details = {"format": "inspect", "created": spec.created, "status": self.log.status, "packages": dict(spec.packages)}
        return Origin(spec.model, f"inspect:{spec.task}", tuple(notes), counts, details)

    def _entries(self) -> Iterator[Entry]:
        line = 0
        for _, same in groupby(self._samples(self._places), key=lambda sample: sample.id):
            rows: list[dict[str, Any]] = []
            item: Item | None = None
            for sample in same:
                line += 1
                try:
                    item = item or self._item(sample)
                    rows += [{**row, "line": line} for row in self._rows(sample)]
                except InputError as error:
                    self.bad.add(line, f"sample {sample.id!r}, epoch {sample.epoch}: {error}")
            if item is not None and rows:
                yield item, rows

    def _item(self, sample: EvalSample) -> Item:
        own = _own(sample.metadata)
        name = self.roles.get("question")
        question = sample.metadata.get(name) if name else own.get("question", _question(sample))
        cluster = sample.metadata.get(self.roles["cluster"]) if "cluster" in self.roles else own.get("cluster")
        metadata = {**sample.metadata, **({"choices": list(sample.choices)} if sample.choices else {})}
        metadata.pop(OWN, None)
        truth = own["truth"] if isinstance(own.get("truth"), dict) else {}
        return Item(
            id=as_text(sample.id),
            question=as_text("" if question is None else question),
            references=as_texts(sample.target),
            cluster=None if cluster is None else as_text(cluster),
            metadata=_json_safe(metadata),
            truth={as_text(k): v for k, given in truth.items() if (v := number(given)) is not None},
        )

    def _rows(self, sample: EvalSample) -> list[dict[str, Any]]:
        """The answers of one sample, and with the first epoch the confidence that was stated."""
        config = self.log.eval.model_generate_config.model_copy(update=_set(self.log.plan.config))
        self._count(sample)
        graded = self._graded(sample)
        greedy, law = self._law(sample, config)
        rows = []
        choices = sample.output.choices
        failed = _failure(sample)
        for k, choice in enumerate(choices or [None]):
            content = {"error": failed} if failed or choice is None else self._answer(choice, sample, graded, bool(config.stop_seqs))
            kind = "greedy" if greedy and k == 0 else "sample"
            draw = 0 if kind == "greedy" else (sample.epoch - 1) * max(1, len(choices)) + k
            rows.append({"kind": kind, "draw": draw, **law, **content, **(graded if k == 0 and not failed else {})})
        if sample.epoch == 1 and (confidence := self._confidence(sample, rows[0])) is not None:
            rows.append(confidence)
        return rows

    def _law(self, sample: EvalSample, config: Any) -> tuple[bool, dict[str, Any]]:
        """Whether the answer is a greedy one, and the sampling law of one that is not."""
        own = _own(sample.metadata).get("law")
        if isinstance(own, dict) and own.get("kind") in ("greedy", "sample"):  # a task of trueline says it itself
            drawn = {name: number(own.get(name)) for name in ("temperature", "top_p")}
            bounds = {"top_k": 2**31, "seed": 2**63}
            whole = {name: v for name, bound in bounds.items() if isinstance(v := own.get(name), int) and 0 <= v < bound}
            return (True, {}) if own["kind"] == "greedy" else (False, drawn | whole)
        cold = config.temperature == 0 or self.roles.get("kind") == "greedy"
        if cold and config.temperature:
            raise InputError(f"the log says temperature {config.temperature:g}, so its answers are no greedy ones (kind=greedy)")
        if cold and sample.epoch == 1:
            return True, {}
        return False, {"temperature": config.temperature, "top_p": config.top_p, "top_k": config.top_k}

    def _answer(self, choice: Any, sample: EvalSample, graded: Mapping[str, Any], stops: bool) -> dict[str, Any]:
        """Trace columns of one output."""
        usage = sample.output.usage
        try:
            made = generation_of(choice, stops=stops, n_prompt_tokens=usage.input_tokens if usage else None)
        except UnusableReply as error:
            raise InputError(str(error)) from error
        row = generation_row(separate(made, load_splitter("auto")), token_texts=True)
        if row["n_tokens"] is None and usage and len(sample.output.choices) == 1:
            row["n_tokens"] = usage.output_tokens
        if self.roles.get("text") == "answer" and graded.get("answer") and row["text"] is not None:
            row |= _taken_out(row, graded["answer"])
        return row

    def _graded(self, sample: EvalSample) -> dict[str, Any]:
        """The verdict on one sample, as columns of a row."""
        scores = sample.scores or {}
        name = self._asked.name or (self.scorers[0] if self.scorers else None)
        found, key = (scores.get(name), "") if name in scores else _part(scores, name)
        if found is None:
            return {"correct": None, "reason": f"no score of {name}"} if name else {}
        value = found.value
        if isinstance(value, Mapping):
            if not key and len(value) != 1:
                raise InputError(f"the score of {name} has the values {', '.join(map(str, value))}; choose one (--map correct={name}.KEY)")
            value = value.get(key) if key else next(iter(value.values()))
        graded = verdict(value, self._asked.bound)
        answer = None if found.answer is None else as_text(found.answer)
        told = None if found.explanation is None else as_text(found.explanation)[:2_000]
        reason = told if told and value != value else graded.get("reason") or told  # NaN: unscored, and the scorer said why
        own = _own(found.metadata)
        known = {name: v for name in ("probability", "score") if (v := number(own.get(name))) is not None and 0 <= v <= 1}
        withheld = own.get("refused") is True or any(choice.stop_reason == "content_filter" for choice in sample.output.choices[:1])
        return {**graded, **known, "answer": answer, "reason": reason, "refused": graded.get("refused", False) or withheld}

    def _confidence(self, sample: EvalSample, row: Mapping[str, Any]) -> dict[str, Any] | None:
        name = self.roles.get("confidence")
        if name is None:
            return None
        if name == "output":  # stated in the answer itself
            return {"kind": "verbalized_1s", "draw": 0, "text": row.get("text"), "error": row.get("error")}
        places: list[Any] = [s.metadata for s in (sample.scores or {}).values()] + [s.value for s in (sample.scores or {}).values()]
        value = next((p[name] for p in [*places, sample.metadata] if isinstance(p, Mapping) and name in p), None)
        if value is None:
            return None
        confidence = number(value)
        if confidence is None or not 0 <= confidence <= 1:
            raise InputError(f"{name} is {as_text(value)[:40]!r}; expected a confidence in [0, 1]")
        return stated(confidence)

    def _count(self, sample: EvalSample) -> None:
        used = sample.model_usage.get(self.log.eval.model) or sample.output.usage
        if used is not None:
            parts = {"prompt_tokens": used.input_tokens, "completion_tokens": used.output_tokens, "cost": used.total_cost}
            for name, value in parts.items():
                if value:
                    self._usage[name] = self._usage.get(name, 0) + value


def _inspect_log() -> Any:
    try:
        import inspect_ai.log
    except ImportError as error:
        raise MissingExtra("logs of Inspect AI are read by the package inspect_ai; pip install 'trueline[inspect]'") from error
    return inspect_ai.log


def _inspect_faults() -> type[Exception]:
    import ijson  # Inspect reads samples with it

    faults: type[Exception] = ijson.JSONError
    return faults


def _line(error: BaseException) -> str:
    """An error in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _set(config: Any) -> dict[str, Any]:
    return {name: value for name in ("temperature", "top_p", "top_k", "stop_seqs") if (value := getattr(config, name)) is not None}


def _own(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """What trueline's own tasks keep there."""
    found = (metadata or {}).get(OWN)
    return found if isinstance(found, dict) else {}


def _question(sample: EvalSample) -> str:
    """The input: its text, or the last turn of the user."""
    if isinstance(sample.input, str):
        return sample.input
    asked = [message for message in sample.input if message.role == "user"] or sample.input
    return asked[-1].text if asked else ""


def _failure(sample: EvalSample) -> str | None:
    """Why a sample has no answer that counts."""
    if sample.error is not None:
        return as_text(sample.error.message).strip()[:2_000] or "the sample failed"
    if sample.invalidation is not None:
        return "the sample was declared invalid"
    if not sample.output.choices:
        return as_text(sample.output.error or "the log holds no output")
    return None


def _part(scores: Mapping[str, Any], name: str | None) -> tuple[Any, str]:
    """The score and the key that ``NAME.KEY`` means."""
    scorer, _, key = (name or "").partition(".")
    return scores.get(scorer), key


def _taken_out(row: Mapping[str, Any], answer: str) -> dict[str, Any]:
    """The scorer's answer as the text; what the model wrote before it is its reasoning, whose tokens no longer count."""
    at = row["text"].rfind(answer)
    if at <= 0:
        return {"text": answer}
    before = "\n".join(part for part in (row["reasoning"], row["text"][:at].strip()) if part)
    start, texts = None, row["token_texts"]
    if texts is not None and "".join(texts).rfind(answer) >= 0:
        reach, place = 0, "".join(texts).rfind(answer)
        for k, text in enumerate(texts):
            reach += len(text)
            if reach > place:
                start = k
                break
    return {"text": answer, "reasoning": before, "reasoning_span": None, "answer_start": start}


def _json_safe(value: Any) -> Any:
    """Metadata as JSON can hold it."""
    if isinstance(value, Mapping):
        return {as_text(k): _json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(v) for v in value]
    return value if isinstance(value, bool | int | float | None) else as_text(value)
