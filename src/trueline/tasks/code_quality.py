"""How good a program is: 0 unless it parses, else half a point and half the share of the assertions that pass.

Source: Huang et al., arXiv 2307.10236.
"""

from __future__ import annotations

from trueline.errors import InputError


def code_quality_rule(parses: bool, n_passed: int, n_assertions: int) -> float:
    """Quality in [0, 1] of a program. Raises ``InputError`` without assertions or for impossible counts.

    >>> code_quality_rule(True, 2, 4), code_quality_rule(False, 0, 4)
    (0.75, 0.0)
    """
    if not 0 <= n_passed <= n_assertions or n_assertions < 1:
        raise InputError(f"{n_passed} of {n_assertions} assertions passed; expected 1 or more, and no more passed than there are")
    return 0.5 + 0.5 * n_passed / n_assertions if parses else 0.0
