"""The few exceptions that trueline raises on purpose; every message says what came, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class TruelineError(Exception):
    """Base of every error that trueline raises on purpose."""


class InputError(TruelineError, ValueError):
    """The caller's data or settings cannot be used as given."""


class MissingTraceField(InputError):
    """An estimator needs a trace field that was not captured."""


class NotFitted(InputError):
    """A trained estimator was asked for scores before it was fitted."""


class EmptySequenceError(InputError):
    """A generation without a single token was given where at least one is needed."""


class LawError(InputError):
    """The generations were drawn under another sampling law than the estimator assumes."""


class TruncatedAnswers(InputError):
    """An estimator reads the probability of whole answers, some were cut at the limit of tokens, and it was asked to refuse those."""


class SettingsMismatch(InputError):
    """A run directory holds results of other settings than those asked for now."""


class RunLocked(TruelineError):
    """Another process is writing to the run directory."""


class StorageError(TruelineError):
    """A file of a run could not be written (disk full, no permission)."""


class ModelError(TruelineError):
    """A model could not be loaded or could not answer."""


class PromptTooLong(ModelError, ValueError):
    """A prompt does not fit into the model's context together with the answer asked for."""


class BudgetReached(TruelineError):
    """A limit on cost ended a capture; everything paid for is kept and the run can go on."""


class MissingExtra(TruelineError, ImportError):
    """An optional dependency is needed; the message is the one line to install it."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> str:
    """Return ``"; did you mean a, b?"`` for the names closest to ``name``, or an empty string."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=n, cutoff=0.5)
    return f"; did you mean {', '.join(close)}?" if close else ""
