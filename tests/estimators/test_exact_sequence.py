from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.exact_sequence import beam_nll, exact_sequence_measures

TABLE = {(): [0.1, 0.5, 0.4], (1,): [0.2, 0.4, 0.4], (2,): [0.9, 0.05, 0.05]}


def law(prefix):
    return TABLE.get(prefix, [1.0, 0.0, 0.0])


def test_by_hand() -> None:
    exact = exact_sequence_measures(law, max_len=3, eos=0)
    assert exact.n_sequences == 7
    assert exact.mode == (2, 0)
    assert exact.min_entropy == pytest.approx(-np.log(0.36))
    assert exact.greedy == (1, 1, 0), "ties go to the lowest token"
    assert exact.g_nll == pytest.approx(-np.log(0.2))
    p = np.array([0.1, 0.1, 0.2, 0.2, 0.36, 0.02, 0.02])
    assert exact.entropy == pytest.approx(-(p * np.log(p)).sum())
    assert beam_nll(law, 3, 0, 2) == (pytest.approx(-np.log(0.36)), (2, 0))


def test_sequences_end_at_the_length_limit_without_the_end_token() -> None:
    exact = exact_sequence_measures(lambda _: [0.0, 0.25, 0.75], max_len=2, eos=0)
    assert exact.n_sequences == 4
    assert exact.mode == (2, 2)
    assert exact.min_entropy == pytest.approx(-2 * np.log(0.75))


def test_certain_law_is_zero() -> None:
    exact = exact_sequence_measures(lambda _: [1.0, 0.0], max_len=3, eos=0)
    assert [str(x) for x in (exact.entropy, exact.min_entropy, exact.g_nll)] == ["0.0"] * 3


@pytest.mark.parametrize("bad", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [[1.0]]])
def test_refuses_what_is_no_law(bad) -> None:
    with pytest.raises(InputError, match="next-token law"):
        exact_sequence_measures(lambda _: bad, max_len=2, eos=0)


def test_refuses_settings_out_of_range() -> None:
    with pytest.raises(InputError, match="max_len"):
        exact_sequence_measures(law, max_len=0, eos=0)
    with pytest.raises(InputError, match="width"):
        beam_nll(law, 3, 0, 0)
