from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

import trueline as tl
from trueline import importing
from trueline.errors import InputError, TruncatedAnswers
from trueline.tasks import Grade, generations
from trueline.traces.schema import SCHEMA

TRIVIA = Path(__file__).parent / "golden" / "data" / "semantic-and-sampling-baselines" / "triviaqa_llama13b_samples_300.jsonl"

BY_ITEM = [
    {"id": "a", "question": "?", "reference": "Rome", "samples": ["Rome", "Milan"], "sample_logprobs": [[-0.1, -0.2], [-3.0]], "level": 1},
    {
        "id": "b",
        "question": "?",
        "reference": "Oslo",
        "samples": ["Bergen", "", "Oslo"],
        "sample_logprobs": [[-1.0], [], [-0.5]],
        "cluster": "n",
    },
]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> tl.Run:
    return tl.import_generations(jsonl(tmp_path / "g.jsonl", rows), tmp_path / "run", **options)


def test_real_samples_reproduce_the_published_aurocs(tmp_path: Path) -> None:
    run = tl.import_generations(TRIVIA, tmp_path / "run", samples=10, grader="contains")
    run.score(
        [
            "deg_jaccard",
            "lexical_similarity",
            "self_consistency",
            "semantic_entropy_discrete",
            "num_semantic_sets",
            "eigv_jaccard",
            "ecc_jaccard",
        ]
    )
    document = run.validate(n_boot=20)
    assert document["answer"] == "sample 0"
    assert document["headline"]["accuracy"]["value"] == pytest.approx(158 / 300, abs=1e-12)
    found = {name: entry["metrics"]["auroc"]["value"] for name, entry in document["estimators"].items()}
    published = {
        "deg_jaccard": 0.83539847,
        "lexical_similarity": 0.82964878,
        "self_consistency": 0.82913621,
        "semantic_entropy_discrete": 0.82835621,
        "num_semantic_sets": 0.81730255,
        "eigv_jaccard": 0.8150517,
        "ecc_jaccard": 0.80290604,
    }
    assert found == {name: pytest.approx(value, abs=1e-6) for name, value in published.items()}


def test_labels_of_the_file_agree_with_containment(tmp_path: Path) -> None:
    given = tl.import_generations(TRIVIA, tmp_path / "given", samples=10)
    assert given.manifest["task"]["grader"] == "given"
    assert given.grades.height == 3000
    judged = tl.import_generations(TRIVIA, tmp_path / "judged", samples=10, grader="contains")
    first = given.grades.unique("item_id", keep="first", maintain_order=True)
    assert first["correct"].to_list() == judged.grades["correct"].to_list()
    with pytest.raises(InputError, match="name a grader to judge the answers again"):
        given.grade()
    assert given.grade("exact")["correct"].sum() < 158


def test_one_row_an_item(tmp_path: Path) -> None:
    run = load(tmp_path, BY_ITEM)
    table = run.trace().table
    assert table.schema.equals(SCHEMA)
    assert table["item_id"].to_pylist() == ["a", "a", "b", "b", "b"]
    assert table["draw"].to_pylist() == [0, 1, 0, 1, 2]
    assert table["text"].to_pylist() == ["Rome", "Milan", "Bergen", "", "Oslo"]
    assert table["token_logprobs"].to_pylist() == [[-0.1, -0.2], [-3.0], [-1.0], [], [-0.5]]
    assert table["n_tokens"].to_pylist() == [2, 1, 1, 0, 1]
    assert set(table["logprob_law"].to_pylist()) == {"model"}
    assert run.grades["correct"].to_list() == [True, False]
    assert run.items["cluster"].to_list() == [None, "n"]
    assert json.loads(run.items["metadata"][0]) == {"level": 1}
    manifest = run.manifest
    assert manifest["status"] == "imported"
    assert manifest["counts"] == {"items": 2, "generations": 5, "failed": 0, "truncated": 0}
    assert manifest["settings"]["samples"] == 3


def test_both_layouts_and_all_formats_give_the_same_run(tmp_path: Path) -> None:
    flat = [
        {
            "item_id": row["id"],
            "question": "?",
            "reference": row["reference"],
            "cluster": row.get("cluster"),
            "text": text,
            "token_logprobs": lp,
        }
        for row in BY_ITEM
        for text, lp in zip(row["samples"], row["sample_logprobs"], strict=True)
    ]
    paths = {"items.jsonl": BY_ITEM, "flat.jsonl": flat}
    for name, rows in paths.items():
        jsonl(tmp_path / name, rows)
    pl.DataFrame(flat).write_parquet(tmp_path / "flat.parquet")
    pl.DataFrame([{**row, "token_logprobs": json.dumps(row["token_logprobs"])} for row in flat]).write_csv(tmp_path / "flat.csv")
    nested = [{**row, "samples": json.dumps(row["samples"]), "sample_logprobs": json.dumps(row["sample_logprobs"])} for row in BY_ITEM]
    pl.DataFrame(nested).write_csv(tmp_path / "items.csv")
    names = ["items.jsonl", "flat.jsonl", "flat.parquet", "items.csv", "flat.csv"]
    runs = [tl.import_generations(tmp_path / name, tmp_path / f"run-{name}") for name in names]
    for name, run in zip(names[1:], runs[1:], strict=True):
        if name == "flat.csv":  # CSV cannot tell an empty text from a missing one
            assert run.trace().table["text"].to_pylist() == ["Rome", "Milan", "Bergen", "", "Oslo"]
        assert run.trace().table.equals(runs[0].trace().table), name
        assert run.grades.equals(runs[0].grades), name
        assert run.items.drop("metadata").equals(runs[0].items.drop("metadata")), name


@pytest.mark.parametrize("shard_rows", [2, 3, 100])
def test_order_of_rows_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard_rows: int) -> None:
    monkeypatch.setattr(importing, "SHARD_ROWS", shard_rows)
    rows = [
        {"item_id": f"i{k}", "reference": "x", "kind": kind, "draw": draw, "text": f"{k}{kind}{draw}", "correct": (k + draw) % 2}
        for k in range(5)
        for kind, draws in (("greedy", [0]), ("sample", [4, 7, 2]))
        for draw in draws
    ]
    together = tl.import_generations(jsonl(tmp_path / "a.jsonl", rows), tmp_path / "a", samples=2)
    by_draw = sorted(rows, key=lambda row: (row["draw"], row["item_id"]))
    scattered = tl.import_generations(jsonl(tmp_path / "b.jsonl", by_draw), tmp_path / "b", samples=2)
    assert together.trace().table.equals(scattered.trace().table)
    assert together.grades.equals(scattered.grades)
    assert together.items.equals(scattered.items)
    assert together.trace().table["text"].to_pylist()[:3] == ["0greedy0", "0sample2", "0sample4"]
    assert together.trace().table["draw"].to_pylist()[:3] == [0, 0, 1]
    assert not list((tmp_path / "b").rglob(".tmp-*"))
    for folder in ("a", "b"):  # an item never straddles two shards
        seen = [set(pq.read_table(p)["item_id"].to_pylist()) for p in sorted((tmp_path / folder / "trace").glob("*.parquet"))]
        assert sum(map(len, seen)) == len(set().union(*seen)) == 5


def test_greedy_answers_and_law(tmp_path: Path) -> None:
    rows = [{"id": "a", "reference": "x", "greedy": "x", "greedy_logprobs": [-0.5], "samples": ["y"], "temperature": 0.7, "correct": 1}]
    run = load(tmp_path, rows)
    table = run.trace().table
    assert table["kind"].to_pylist() == ["greedy", "sample"]
    assert table["temperature"].to_pylist() == [None, 0.7]
    assert run.grades.select("kind", "correct").rows() == [("greedy", True)]
    assert run.manifest["settings"]["law"] == {"temperature": 0.7, "top_p": None, "top_k": None}
    assert run.score(["sequence_nll"])["sequence_nll"].to_list() == [0.5]


def test_mapping(tmp_path: Path) -> None:
    rows = [{"nr": 7, "gold": "x", "outs": ["x"], "lps": [[-1.0]]}]
    run = load(tmp_path, rows, mapping={"id": "nr", "answer": "gold", "samples": "outs", "sample_logprobs": "lps"})
    assert run.items["item_id"].to_list() == ["7"]
    assert run.grades["correct"].to_list() == [True]
    with pytest.raises(InputError, match=r"no column 'gould'.*did you mean gold"):
        tl.import_generations(tmp_path / "g.jsonl", tmp_path / "r2", mapping={"samples": "outs", "reference": "gould"})
    with pytest.raises(InputError, match="cannot map 'sample'"):
        tl.import_generations(tmp_path / "g.jsonl", tmp_path / "r2", mapping={"sample": "outs"})
    with pytest.raises(InputError, match=r"one row an item .*'text' plays no role"):
        tl.import_generations(tmp_path / "g.jsonl", tmp_path / "r2", mapping={"samples": "outs", "text": "gold"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"samples": ["x"], "sample_logprobs": [[float("nan")]]}, "line 2: token log-probs hold nan"),
        ({"samples": ["x"], "sample_logprobs": [[-1.0, 0.5]]}, "line 2: token log-probs hold 0.5, above 0"),
        ({"samples": ["x"], "sample_logprobs": [[float("-inf")]]}, "line 2: token log-probs hold -inf"),
        ({"samples": ["x"], "sample_logprobs": [[-1, None]]}, "line 2: token log-probs hold 'None'; expected numbers"),
        ({"samples": ["x"], "sample_logprobs": [[-1], [-2]]}, "line 2: sample_logprobs has 2 entries for 1 samples"),
        ({"samples": ["x"], "correct": [1, 0]}, "line 2: correct has 2 entries for 1 samples"),
        ({"samples": ["x"], "correct": "maybe"}, "line 2: correct is 'maybe'"),
        ({"samples": []}, "line 2: the item has no generation"),
        ({"samples": "x"}, "line 2: samples is not a JSON list"),
        ({"samples": 3}, "line 2: samples is '3'; expected a list"),
        ({"samples": ["x"], "temperature": "hot"}, "line 2: temperature is 'hot'"),
    ],
)
def test_bad_rows_are_named_or_counted(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    rows = [{"id": "a", "samples": ["x"]}, {"id": "b", **row}]
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        load(tmp_path, rows)
    run = tl.import_generations(tmp_path / "g.jsonl", tmp_path / "run", skip_bad=True)
    assert run.items["item_id"].to_list() == ["a"]
    assert "skipped 1 bad line" in run.manifest["notes"][0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, "no value in the id column"),
        ({"item_id": "b", "text": "x", "kind": "beam"}, "kind is 'beam'; expected greedy or sample"),
        ({"item_id": "b", "text": "x", "draw": -1}, "draw is -1"),
        ({"item_id": "b", "text": "x", "draw": 0.5}, "draw is 0.5"),
        ({"item_id": "b", "text": "x", "token_logprobs": [math.nan]}, "token log-probs hold nan"),
    ],
)
def test_bad_generations_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"line 2: {message}"):
        load(tmp_path, [{"item_id": "a", "text": "x", "kind": "sample"}, row])


def test_rounding_above_zero_becomes_zero(tmp_path: Path) -> None:
    run = load(tmp_path, [{"id": "a", "samples": ["x"], "sample_logprobs": [[1e-8, -1.0]]}])
    assert run.trace().table["token_logprobs"].to_pylist() == [[0.0, -1.0]]


def test_the_same_draw_twice_names_both_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="item 'a' has two samples with draw 1: lines 1 and 2"):
        load(tmp_path, [{"item_id": "a", "text": "x", "draw": 1}, {"item_id": "a", "text": "y", "draw": 1}])
    with pytest.raises(InputError, match="two greedy rows: lines 1 and 2"):
        load(tmp_path, [{"item_id": "a", "text": "x", "kind": "greedy"}, {"item_id": "a", "text": "y", "kind": "greedy"}])


def test_duplicate_ids(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="id 'a' occurs on lines 1 and 2"):
        load(tmp_path, [{"id": "a", "samples": ["x"]}, {"id": "a", "samples": ["y"]}])


def test_failed_and_missing_generations_are_counted(tmp_path: Path) -> None:
    run = load(tmp_path, [{"id": "a", "reference": "x", "samples": [None, "x"]}, {"id": "b", "samples": ["x"]}])
    assert run.manifest["counts"]["failed"] == 1
    assert run.failures.rows() == [("a", "sample", 0, "no text in the imported file")]
    assert run.grades["reason"].to_list() == ["no answer: the generation failed", "no reference answer"]


def test_hostile_text_survives(tmp_path: Path) -> None:
    texts = ["\x00\x1b[31m", "مرحبا \u202e", "<script>alert(1)</script>", "y" * 1_000_000, "lone \ud800"]
    run = load(tmp_path, [{"id": "a", "reference": "x", "samples": texts}])
    assert run.trace().table["text"].to_pylist() == [*texts[:4], "lone \ufffd"]


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    load(tmp_path, BY_ITEM)
    with pytest.raises(InputError, match="holds a run already"):
        load(tmp_path, BY_ITEM)


def test_a_failed_import_leaves_no_run_and_can_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2"):
        load(tmp_path, [{"id": "a", "samples": ["x"]}, {"id": "b", "samples": []}])
    with pytest.raises(InputError, match=r"has no run.json"):
        tl.open_run(tmp_path / "run")
    assert load(tmp_path, BY_ITEM).manifest["counts"]["items"] == 2


@pytest.mark.parametrize("content", ["", "\n"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "g.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"is empty|no column for text"):
        tl.import_generations(tmp_path / "g.jsonl", tmp_path / "run")


def test_no_column_of_generations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column for text .*columns found: 'id', 'sample'; did you mean sample"):
        load(tmp_path, [{"id": "a", "sample": ["x"]}])


def test_own_grader_and_samples_limit(tmp_path: Path) -> None:
    run = load(tmp_path, BY_ITEM, grader=lambda item, text: Grade(text == "Bergen", score=0.5), samples=1)
    assert run.grades["correct"].to_list() == [False, True]
    assert run.manifest["counts"]["generations"] == 2
    with pytest.raises(InputError, match="samples must be at least 1"):
        load(tmp_path, BY_ITEM, samples=0)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("ids", [str, int])
def test_whole_columns_and_single_rows_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ids: type) -> None:
    monkeypatch.setattr(importing, "SHARD_ROWS", 7)
    monkeypatch.setattr(generations, "CHUNK_ROWS", 5)
    rows: list[dict[str, Any]] = []
    for item in range(9):
        shared = {"item_id": ids(item), "question": f"q{item}", "reference": ["x", "y"], "cluster": item // 2}
        rows.append(
            {
                **shared,
                "kind": "greedy",
                "text": "x",
                "token_logprobs": [-0.25],
                "temperature": 0.5,
                "finish_reason": "eos",
                "correct": item % 2,
            }
        )
        for k in range(item % 4):
            text = None if (item, k) == (3, 1) else f"é{k}"
            rows.append(
                {**shared, "kind": "sample", "text": text, "token_logprobs": [-0.5, -k], "temperature": 0.7, "seed": k, "finish_reason": ""}
            )
    if kind == "jsonl":
        jsonl(tmp_path / "g.jsonl", rows)
    else:
        pl.DataFrame(rows, infer_schema_length=None, strict=False).write_parquet(tmp_path / "g.parquet")
    fast = tl.import_generations(tmp_path / f"g.{kind}", tmp_path / "fast")
    used: list[bool] = []
    real = generations.generations_table

    def watched(*arguments: Any) -> Any:
        found = real(*arguments)
        used.append(found is not None)
        return found

    monkeypatch.setattr(generations, "generations_table", watched)
    tl.import_generations(tmp_path / f"g.{kind}", tmp_path / "watched")
    assert used
    assert all(used), "clean chunks are read as columns"
    monkeypatch.setattr(generations, "generations_table", lambda *_: None)
    slow = tl.import_generations(tmp_path / f"g.{kind}", tmp_path / "slow")
    assert fast.trace().table.equals(slow.trace().table)
    assert fast.grades.equals(slow.grades)
    assert fast.items.equals(slow.items)
    assert fast.manifest["counts"] == slow.manifest["counts"]


def test_a_bad_line_among_clean_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "CHUNK_ROWS", 4)
    rows: list[dict[str, Any]] = [{"item_id": f"i{k // 3}", "text": "x", "token_logprobs": [-1.0]} for k in range(12)]
    rows[6]["token_logprobs"] = [float("nan")]
    with pytest.raises(InputError, match="line 7: token log-probs hold nan"):
        load(tmp_path, rows)
    run = tl.import_generations(tmp_path / "g.jsonl", tmp_path / "run", skip_bad=True)
    assert run.trace().table["draw"].to_pylist() == [0, 1, 2, 0, 1, 2, 0, 1, 0, 1, 2]
    assert run.items["item_id"].to_list() == ["i0", "i1", "i2", "i3"]


# -- reasoning --------------------------------------------------------------------------------------------------------------

THOUGHTS = [("Ann works at Axo. Axo is in Kelby.", "Kelby"), ("Ann works at Bix. Bix is in Kelby.", "Kelby"), ("Axo is in Rodo.", "Rodo")]


def thinking_rows(column: str = "reasoning") -> list[dict[str, Any]]:
    return [
        {"item_id": item, "kind": "sample" if k else "greedy", column: thought, "text": answer, "reference": "Kelby"}
        for item in ("a", "b")
        for k, (thought, answer) in enumerate(THOUGHTS)
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_reasoning_has_a_column_of_its_own(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"g.{suffix}"
    rows = thinking_rows("thought")
    {
        "jsonl": lambda: jsonl(path, rows),
        "csv": lambda: pl.DataFrame(rows).write_csv(path),
        "parquet": lambda: pl.DataFrame(rows).write_parquet(path),
    }[suffix]()
    run = tl.import_generations(path, tmp_path / "run", mapping={"reasoning": "thought"})
    assert run.trace().table["reasoning"].to_pylist() == [t for t, _ in THOUGHTS] * 2
    assert run.trace().table["text"].to_pylist() == [a for _, a in THOUGHTS] * 2
    assert run.grades["correct"].to_list() == [True, True]
    run.score(["race", "race_aa"])
    assert run.scores["race"].is_finite().all()
    with pytest.raises(InputError, match="no column 'thougt'"):
        tl.import_generations(path, tmp_path / "other", mapping={"reasoning": "thougt"})


def test_log_probs_of_reasoning_and_answer(tmp_path: Path) -> None:
    rows = [{**row, "token_logprobs": [-0.5, -0.25], "reasoning_logprobs": [-1.0, -2.0, -3.0]} for row in thinking_rows()]
    rows[1] = {k: v for k, v in rows[1].items() if k != "reasoning_logprobs"}
    run = load(tmp_path, rows)
    table = run.trace().table
    assert table["reasoning_span"].to_pylist()[:2] == [[0, 3], None]
    assert table["answer_start"].to_pylist()[:2] == [3, 0]
    run.score(["sequence_nll", "sequence_nll(span=reasoning)", "drm"])
    assert run.scores["sequence_nll"].to_list() == [0.75, 0.75]
    assert run.scores["sequence_nll(span=reasoning)"].to_list() == [6.0, 6.0]
    assert run.scores["drm"].is_finite().all()


def test_reasoning_of_samples_in_one_row_an_item(tmp_path: Path) -> None:
    row = {"id": "a", "question": "?", "reference": "Kelby", "samples": ["Kelby", "Rodo"], "sample_reasoning": ["x is y.", None]}
    run = load(
        tmp_path, [{**row, "greedy": "Kelby", "greedy_reasoning": "so.", "greedy_logprobs": [-1.0], "greedy_reasoning_logprobs": [-2.0]}]
    )
    table = run.trace().table
    assert table["reasoning"].to_pylist() == ["so.", "x is y.", None]
    assert table["token_logprobs"].to_pylist()[0] == [-2.0, -1.0]
    assert table["answer_start"].to_pylist() == [1, None, None]


def test_reasoning_inside_the_text_is_taken_out_when_asked(tmp_path: Path) -> None:
    texts = ["<think>so</think> Rome", "Rome", "<think>and so on", None]
    rows = [{"item_id": f"i{k}", "text": text, "reference": "Rome", "token_logprobs": [-1.0]} for k, text in enumerate(texts)]
    path = jsonl(tmp_path / "g.jsonl", rows)
    plain = tl.import_generations(path, tmp_path / "plain").trace().table
    assert plain["text"].to_pylist() == texts
    run = tl.import_generations(path, tmp_path / "run", reasoning="auto", grader="normalised")
    table = run.trace().table
    assert table["text"].to_pylist() == ["Rome", "Rome", None, None]
    assert table["reasoning"].to_pylist() == ["so", None, "<think>and so on", None]
    assert table["error"].to_pylist()[2] == "no answer: its reasoning never ends"
    assert run.grades["correct"].to_list() == [True, True, None, None]
    assert run.manifest["counts"]["failed"] == 2
    with pytest.raises(InputError, match="thnik"):
        tl.import_generations(path, tmp_path / "none", reasoning="thnik")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"reasoning": "x", "reasoning_logprobs": [-1.0]}, "none of the answer"),
        ({"reasoning_logprobs": [-1.0], "token_logprobs": [-1.0]}, "no reasoning"),
        ({"reasoning": "x", "reasoning_logprobs": [0.5], "token_logprobs": [-1.0]}, "above 0"),
    ],
)
def test_bad_reasoning_is_named_with_its_line(tmp_path: Path, extra: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"line 1: .*{message}"):
        load(tmp_path, [{"item_id": "a", "text": "b", **extra}])


def test_thoughts_without_an_end_have_no_answer(tmp_path: Path) -> None:
    rows = [
        {"item_id": "a", "text": "", "reasoning": "on and on", "finish_reason": "length"},
        {"item_id": "b", "text": "x", "reasoning": "y"},
    ]
    run = load(tmp_path, rows)
    assert run.trace().table["text"].to_pylist() == [None, "x"]
    assert run.manifest["counts"]["failed"] == 1


def test_cut_answers_of_a_file(tmp_path: Path) -> None:
    rows = [
        {"item_id": f"i{k}", "kind": "greedy", "text": "Rome", "reference": "Rome" if k % 2 else "Oslo", "token_logprobs": [-0.1 * k - 0.1],
         "finish_reason": "length" if k == 3 else "stop"}
        for k in range(20)
    ]  # fmt: skip
    run = load(tmp_path, rows)
    run.score(["sequence_nll", "mean_nll"])
    warned = run.validate(n_boot=20)["warnings"]
    assert any("5% of the answers" in w and "sequence_nll (--truncated nan)" in w for w in warned)
    run.score(["sequence_nll"], truncated="nan")
    assert run.scores["sequence_nll"].is_nan().to_list() == [k == 3 for k in range(20)]
    assert "cut at the token limit" in next(iter(run.score_info["sequence_nll"]["reasons"]))
    assert not any("--truncated" in w for w in run.validate(n_boot=20)["warnings"])
    with pytest.raises(TruncatedAnswers, match="'i3' is the first"):
        run.score(["sequence_nll"], truncated="refuse")
    run.score("all", truncated="refuse")
    assert "cut at the token limit" in run.score_info["sequence_nll"]["left_out"]
    assert "mean_nll" in run.scores.columns
