from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from trueline.errors import InputError, StorageError
from trueline.estimators.equivalence import PairCache, Verdicts


def verdicts(n: int, seed: int = 0) -> Verdicts:
    rng = np.random.default_rng(seed)
    return Verdicts(rng.dirichlet([1, 1, 1], size=n), rng.random(n) < 0.5)


PAIRS = [("a", "b"), ("b", "a"), ("ab", ""), ("a", "b\x00"), ("שלום", "\ud800")]


def test_round_trip_is_exact_and_ordered(tmp_path) -> None:
    given = verdicts(len(PAIRS))
    with PairCache(tmp_path / "c.sqlite") as cache:
        cache.put("j", PAIRS, given)
    with PairCache(tmp_path / "c.sqlite") as cache:
        found = cache.get("j", [*PAIRS, ("b", "b")])
        assert len(cache) == len(PAIRS)
    assert list(found) == PAIRS
    assert [v[:3] for v in found.values()] == [tuple(p) for p in given.probs.tolist()]
    assert [v[3] for v in found.values()] == given.truncated.tolist()


def test_another_judge_shares_nothing() -> None:
    with PairCache() as cache:
        cache.put("j", PAIRS, verdicts(len(PAIRS)))
        assert cache.get("k", PAIRS) == {}
        cache.put("j", PAIRS[:1], verdicts(1, seed=9))
        assert cache.get("j", PAIRS[:1])[PAIRS[0]][:3] == tuple(verdicts(len(PAIRS)).probs[0])


def test_file_that_is_no_cache_is_refused_and_left_alone(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as one " * 20)
    with pytest.raises(InputError, match=r"notes\.txt"):
        PairCache(path)
    assert path.read_text().startswith("not a database")


def test_folder_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        PairCache(tmp_path / "nowhere" / "c.sqlite")


def test_full_disk_is_said_and_loses_nothing(tmp_path) -> None:
    with PairCache(tmp_path / "c.sqlite") as cache:
        cache.put("j", PAIRS, verdicts(len(PAIRS)))
        cache._db.execute("pragma max_page_count = 1")  # no page may be added: what a full disk does
        many = [(str(k), "") for k in range(5000)]
        with pytest.raises(StorageError, match="full"):
            cache.put("j", many, verdicts(len(many)))
        assert len(cache) == len(PAIRS)


WRITER = textwrap.dedent(
    """
    import sys
    import numpy as np
    from trueline.estimators.equivalence import PairCache, Verdicts

    with PairCache(sys.argv[1]) as cache:
        k = 0
        while True:
            pairs = [(str(k), str(j)) for j in range(200)]
            cache.put("j", pairs, Verdicts(np.full((200, 3), 1 / 3), np.zeros(200, dtype=bool)))
            k += 1
            print(k, flush=True)
    """
)


def test_killed_while_writing_keeps_every_finished_batch(tmp_path) -> None:
    path = tmp_path / "c.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        finished = int(process.stdout.readline())
    time.sleep(0.002)  # into the middle of the next batch
    os.kill(process.pid, signal.SIGKILL)
    finished += len(process.stdout.read().split())
    process.stdout.close()
    process.wait()
    with PairCache(path) as cache:
        assert len(cache) % 200 == 0
        assert len(cache) >= finished * 200
        cache.put("j", PAIRS, verdicts(len(PAIRS)))
        assert len(cache.get("j", [(str(k), str(j)) for k in range(finished) for j in range(200)])) == finished * 200
