"""The hub through its real clients, against a hub on this machine: models, data sets and cards, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stub_hub import Hub, serve_hub

import trueline.knownworld
from trueline.run import open_run

TOKEN, READER = "hf_plantedgood0123456789", "hf_plantedreader01234567"
SMALL = Path(trueline.knownworld.__file__).parent / "checkpoints" / "small"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    for name in ("tiny", "pickled", "code"):
        shutil.copytree(SMALL, root / "models" / "org" / name / "main")
    models = root / "models" / "org"
    (models / "pickled" / "main" / "model.safetensors").rename(models / "pickled" / "main" / "pytorch_model.bin")
    shutil.copytree(SMALL, models / "tiny" / "old")
    (models / "tiny" / "old" / "model.safetensors").write_bytes(b"cut")
    config = models / "code" / "main" / "config.json"
    maps = {"AutoConfig": "homemade.HomemadeConfig", "AutoModelForCausalLM": "homemade.Homemade"}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "homemade", "auto_map": maps}))
    (config.parent / "homemade.py").write_text(f"open({str(root / 'ran')!r}, 'w').close()\n")
    data = root / "datasets" / "org" / "towns" / "main" / "data"
    data.mkdir(parents=True)
    table = pa.table({"question": ["Where was Ann born?", "Where was Bob born?"], "answer": ["Kelby", "Marlo"]})
    pq.write_table(table, data / "test-00000-of-00001.parquet")
    with serve_hub(root, {TOKEN: {"org/tiny"}, READER: set()}) as running:
        yield running


def trueline_at(hub: Hub, folder: Path, *arguments: str, token: str = TOKEN, code: int = 0) -> str:
    """What the program says in a process of its own, whose clients know no other hub; the token is nowhere."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_TOKEN": token, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "trueline", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "hf_planted" not in said
    for file in folder.rglob("*"):
        assert not file.is_file() or b"hf_planted" not in file.read_bytes(), file
    return said


@pytest.mark.slow
def test_a_model_a_data_set_and_a_card(hub: Hub, tmp_path: Path) -> None:
    command = ["measure", "hf:org/tiny", "hf-dataset:org/towns@test", "--estimators", "sequence_nll", "--out", "run"]
    trueline_at(hub, tmp_path, *command)
    run = open_run(tmp_path / "run")
    assert run.items["question"].to_list() == ["Where was Ann born?", "Where was Bob born?"]
    assert run.manifest["task"]["name"] == "hf-dataset:org/towns@test"
    assert run.scores["sequence_nll"].is_finite().all()
    fetched = [path for method, path, _ in hub.seen if method == "GET"]
    assert any("/org/tiny/resolve/" in path and path.endswith("model.safetensors") for path in fetched)
    assert any("/datasets/org/towns/resolve/" in path for path in fetched)
    said = trueline_at(hub, tmp_path, "report", "run", "--model-card", "card.md", "--push", "org/tiny")
    assert "pushed: http://127.0.0.1" in said
    pushed = hub.root / "models" / "org" / "tiny" / "main" / "README.md"
    assert pushed.read_text() == (tmp_path / "card.md").read_text()
    assert "type: accuracy" in pushed.read_text()
    refused = [
        (TOKEN, "org/none", "no such repository"),
        (READER, "org/tiny", "may not write"),
        ("hf_plantedwrong", "org/tiny", "not known"),
    ]
    for token, repo, why in refused:
        said = trueline_at(hub, tmp_path, "report", "run", "--model-card", "card.md", "--push", repo, token=token, code=2)
        assert why in said


@pytest.mark.parametrize(
    ("model", "revision", "said"),
    [
        ("pickled", "main", "no usable safetensors weights, and pickles are never loaded"),
        ("code", "main", "runs code of its own"),
        pytest.param("tiny", "gone", "no such revision", marks=pytest.mark.slow),
        pytest.param("tiny", "old", "cannot be read: SafetensorError", marks=pytest.mark.slow),
        pytest.param("none", "main", "the hub did not give it", marks=pytest.mark.slow),
    ],
)
def test_what_is_not_loaded(model: str, revision: str, said: str, hub: Hub, tmp_path: Path) -> None:
    command = ["measure", f"hf:org/{model}", "world:facts", "--limit", "2", "--out", "run", "-O", f"revision={revision}"]
    told = trueline_at(hub, tmp_path, *command, code=2)
    assert said in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert not (hub.root / "ran").exists()
    assert not any("pytorch_model.bin" in path for method, path, _ in hub.seen if method == "GET")
