"""Images of items: what is read, and one clear line for what is not."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trueline.errors import InputError
from trueline.items import items_table, task_hash
from trueline.tasks import pictures
from trueline.tasks.files import load_file, load_hf_dataset
from trueline.tasks.pictures import Picture, pictures_of


def png(color: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (8, 6), kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, color).save(held, kind)
    return held.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "red.png").write_bytes(png())
    (tmp_path / "blue.jpg").write_bytes(png((20, 20, 220), kind="JPEG"))
    return tmp_path


def table(folder: Path, *cells: Any) -> Path:
    rows = [{"id": f"q{i}", "question": "What is it?", "image": cell} for i, cell in enumerate(cells)]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "q.jsonl"


def test_paths_lists_data_uris_and_bytes(folder: Path) -> None:
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    task = load_file(table(folder, "red.png", ["red.png", "blue.jpg"], str(folder / "blue.jpg"), uri, None, ""))
    assert [len(item.images) for item in task.items] == [1, 2, 1, 1, 0, 0]
    assert task.items[0].images[0].open().getpixel((0, 0)) == (200, 30, 30)
    assert task.items[3].images[0].digest() == task.items[0].images[0].digest()
    assert "image" not in task.items[0].metadata
    (folder / "q.csv").write_text('question,images\nWhat?,"[""red.png"", ""blue.jpg""]"\nWho?,red.png\n')
    assert [len(item.images) for item in load_file(folder / "q.csv").items] == [2, 1]
    cells = pa.array([{"bytes": png(), "path": "gone.png"}, {"bytes": None, "path": "red.png"}])
    pq.write_table(pa.table({"question": ["a", "b"], "image": cells, "raw": [png(), png()]}), folder / "q.parquet")
    assert load_file(folder / "q.parquet").items[1].images[0].path == str(folder / "red.png")
    mapped = load_file(folder / "q.parquet", mapping={"image": "raw"})
    assert mapped.items[0].images[0].open().size == (8, 6)


def test_images_are_part_of_what_a_run_is(folder: Path) -> None:
    before = load_file(table(folder, "red.png", ""))
    names = items_table(before.items)["images"].to_pylist()
    assert names == [[str(folder / "red.png")], []]
    first = task_hash(before)
    assert task_hash(load_file(table(folder, "red.png", ""))) == first
    (folder / "red.png").write_bytes(png((1, 2, 3)))
    assert task_hash(before) != first
    assert "images" not in items_table(load_file(table(folder, "")).items).column_names


def test_a_data_set_of_hugging_face_keeps_its_images_as_bytes(folder: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"question": ["What?", "Which?"], "image": [str(folder / "red.png")] * 2, "images": [[str(folder / "red.png")] * 2] * 2}
    kind = {"question": datasets.Value("string"), "image": datasets.Image(), "images": datasets.List(datasets.Image())}
    datasets.Dataset.from_dict(rows, features=datasets.Features(kind)).save_to_disk(folder / "saved")
    assert [len(item.images) for item in load_hf_dataset(str(folder / "saved")).items] == [2, 2]
    one = load_hf_dataset(str(folder / "saved"), mapping={"image": "image"})
    assert one.items[0].images[0].open().size == (8, 6)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("gone.png", r"there is no image .*gone\.png"),
        (".", "no regular file"),
        ("https://example.org/cat.png", "never fetched; save it"),
        ("file:///etc/hostname", "never fetched"),
        ("data:image/png;base64,@@@", "base64"),
        ("[not json", "not valid JSON"),
        (3.5, "a local path or bytes, got float"),
        ([["red.png"]], "a local path or bytes, got list"),
        ("red.png\x00", "there is no image"),
        ("x" * 5000, "there is no image"),
        (["red.png"] * 65, "at most 64"),
    ],
)
def test_what_is_no_local_image_names_its_line(folder: Path, cell: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"line 2: .*{message}"):
        load_file(table(folder, "red.png", cell))


def test_nothing_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for address in ("http://127.0.0.1:1/x.png", "s3://bucket/x.png", "ftp://h/x.png", "//host/x.png"):
        with pytest.raises(InputError, match="image"):
            pictures_of(address, folder)


def test_broken_files_are_one_line(folder: Path) -> None:
    whole = png(size=(200, 200))
    for name, data in (
        ("empty", b""),
        ("text", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("cut", whole[: len(whole) // 2]),
        ("flipped", whole[:60] + bytes([whole[60] ^ 255]) + whole[61:]),
        ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ):
        with pytest.raises(InputError, match=r"no image that can be read|is broken") as caught:
            Picture(data=data).open()
        assert "\n" not in str(caught.value), name


def test_sizes_are_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 40)
    with pytest.raises(InputError, match="48 pixels; at most 40"):
        Picture(path=str(folder / "red.png")).open()
    monkeypatch.setattr(pictures, "MAX_BYTES", 20)
    for cell in ("red.png", png(), {"bytes": png()}):
        with pytest.raises(InputError, match="at most 20 are read"):
            pictures_of(cell, folder)


@pytest.mark.parametrize("side", [10_000, 20_000, 100_000])
def test_a_huge_picture_in_a_small_file_is_refused_before_it_is_decoded(side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(InputError, match=r"pixels; at most 50,000,000|is broken"):
        Picture(data=bomb).open()


def test_pipes_are_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(InputError, match="no regular file"):
        pictures_of("pipe.png", folder)


def test_a_file_that_goes_away_is_named(folder: Path) -> None:
    [picture] = pictures_of("red.png", folder)
    (folder / "red.png").unlink()
    with pytest.raises(InputError, match="there is no image"):
        picture.open()


def test_greyscale_palettes_and_transparency_become_rgb() -> None:
    for mode in ("L", "P", "RGBA", "1", "I;16", "CMYK"):
        held = io.BytesIO()
        Image.new(mode, (4, 4)).save(held, "TIFF" if mode == "CMYK" else "PNG")
        assert Picture(data=held.getvalue()).open().mode == "RGB"
