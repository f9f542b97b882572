"""Every kind of task runs as a task of Inspect, and the imported log holds what `measure` finds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from inspect_known import inspect_runs, run_inspect
from vision_models import picture

import trueline as tl
from trueline.errors import InputError
from trueline.interop.inspect_messages import messages_of, prompt_of
from trueline.interop.inspect_task import inspect_task
from trueline.models.base import Message, Prompt
from trueline.tasks.item import Item, Task
from trueline.tasks.pictures import Picture


def lines(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "task.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def turns(folder: Path) -> Task | str:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where was Foverev born?"}]
    return lines(
        folder, [{"id": "a", "question": "Where?", "messages": talk, "answer": "Kelby"}, {"id": "b", "question": "Who?", "answer": "x"}]
    )


def with_system(folder: Path) -> Task | str:
    return dataclasses.replace(tl.load_task("world:facts", limit=4), system="Answer with a name.")


def wordings(folder: Path) -> Task | str:
    return "world:facts?wordings=case,space"


def code(folder: Path) -> Task | str:
    row = {
        "task_id": "t/0",
        "prompt": "def one():\n",
        "entry_point": "one",
        "test": "def check(f):\n    assert f() == 1\n",
        "canonical_solution": "    return 1\n",
    }
    return "code:" + lines(folder, [row, {**row, "task_id": "t/1"}])


def table(folder: Path) -> Task | str:
    from trueline.knownworld.planted_table import planted_table

    return f"table:{planted_table(60, 1).write(folder)}"


@inspect_runs
@pytest.mark.parametrize("kind", [turns, with_system, wordings, code, table], ids=lambda kind: kind.__name__)
def test_a_kind_of_task(kind: Callable[[Path], Task | str], tmp_path: Path) -> None:
    task = kind(tmp_path)
    model, samples = ("world:planted-risk", 0) if kind is table else ("world:chat", 2)
    log = run_inspect(
        inspect_task(task, samples=samples, limit=4, allow_exec=True, max_new_tokens=16), f"trueline/{model}", tmp_path / "logs"
    )
    ours = tl.measure(
        model,
        task,
        ["sequence_nll", *["predictive_entropy"][: samples // 2]],
        samples=samples,
        limit=4,
        out=tmp_path / "own",
        allow_exec=True,
        max_new_tokens=16,
    )
    theirs = tl.import_generations(log.location, tmp_path / "imported")
    both = [pl.from_arrow(run.trace().table).select("item_id", "kind", "draw", "text", "error") for run in (theirs, ours)]  # type: ignore[union-attr]
    assert both[0].equals(both[1])
    assert theirs.items.select("item_id", "question", "cluster").equals(ours.items.select("item_id", "question", "cluster"))
    verdicts = [run.grades.filter(pl.col("kind") == "greedy")["correct"].to_list() for run in (theirs, ours)]
    assert verdicts[0] == verdicts[1]
    theirs.score("sequence_nll")
    headlines = [run.validate(n_boot=20)["headline"]["accuracy"] for run in (theirs, ours)]
    assert headlines[0]["value"] == headlines[1]["value"]


@inspect_runs
def test_an_item_that_fails_is_kept_with_its_error_unless_all_do(tmp_path: Path) -> None:
    long, short = Item("long", "Where? " * 200, references=("x",)), Item("short", "Where was Foverev born?", references=("Kelby",))
    task = Task("mixed", [long, short], max_new_tokens=8)
    log = run_inspect(inspect_task(task), "trueline/world:chat", tmp_path / "logs")
    run = tl.import_generations(log.location, tmp_path / "run")
    own = tl.measure("world:chat", task, ["sequence_nll"], out=tmp_path / "own", validate=False)
    texts = [run.trace().table.to_pylist() for run in (run, own)]
    assert [row["text"] for row in texts[0]] == [row["text"] for row in texts[1]]
    assert "passes the model's context" in texts[0][0]["error"]
    with pytest.raises(AssertionError, match="passes the model's context"):
        run_inspect(inspect_task(dataclasses.replace(task, items=[long])), "trueline/world:chat", tmp_path / "logs")


def test_prompts_come_back_as_they_went() -> None:
    talk = (Message("system", "Be brief."), Message("user", "One?"), Message("assistant", "Two."), Message("user", "Three?"))
    images = (picture(1), Picture(path="here.png"))
    for prompt in (
        Prompt("Text:", talk),
        Prompt("Text:", talk, images),
        Prompt("Go on:", (Message("user", "One?"), Message("assistant", "I think"))),
    ):
        assert prompt_of(messages_of(prompt)) == prompt
    assert prompt_of(messages_of(Prompt("alone"))) == Prompt("alone", (Message("user", "alone"),))
    with pytest.raises(InputError, match="no turns of the role 'tool'"):
        messages_of(Prompt("x", (Message("tool", "x"),)))


@pytest.mark.parametrize("image", ["https://example.org/x.png", "data:image/png,abc", "data:image/png;base64,*"])
def test_images_from_elsewhere_are_not_fetched(image: str) -> None:
    from inspect_ai.model import ChatMessageUser, ContentImage

    with pytest.raises(InputError, match=r"nothing is fetched|cannot be read"):
        prompt_of([ChatMessageUser(content=[ContentImage(image=image)])])
