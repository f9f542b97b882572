"""Questions with images in tasks of Inspect: the pictures reach a vision-language model as they do without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_known import inspect_runs, run_inspect
from vision_models import picture, vision_model

import trueline as tl
from trueline.interop.inspect_task import inspect_task
from trueline.models.local import LocalModel
from trueline.tasks.item import Item, Task
from trueline.tasks.pictures import Picture


@inspect_runs
def test_images_reach_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_tokenizer: Callable[..., Any]) -> None:
    network, processor = vision_model("llava", build_tokenizer())
    model = LocalModel(network, processor, uri="hf:llava")
    monkeypatch.setattr("trueline.interop.inspect_model.load_model", lambda name, **options: model)
    file = tmp_path / "seen.png"
    file.write_bytes(picture(5).read())
    shown = [
        Item("bytes", "what is this", images=(picture(1), picture(2))),
        Item("file", "what is this", images=(Picture(path=str(file)),)),
    ]
    task = Task("pictures", [*shown, Item("blind", "what is this")], max_new_tokens=8)
    log = run_inspect(inspect_task(task, samples=2), "trueline/hf:llava", tmp_path / "logs")
    theirs, ours = (
        tl.import_generations(log.location, tmp_path / "run"),
        tl.measure(model, task, ["sequence_nll", "predictive_entropy"], samples=2, out=tmp_path / "own", validate=False),
    )
    texts = [[row["text"] for row in run.trace().table.to_pylist()] for run in (theirs, ours)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 1
