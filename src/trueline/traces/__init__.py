"""Traces: everything one pass of a model over a task captured, and the run directory that keeps it."""

from trueline.traces.judgements import ItemJudgement, Judgements
from trueline.traces.ragged import Ragged
from trueline.traces.rundir import RunDirectory
from trueline.traces.schema import COLUMNS, KINDS, SCHEMA
from trueline.traces.trace import Generations, Trace, make_trace

__all__ = ["COLUMNS", "KINDS", "SCHEMA", "Generations", "ItemJudgement", "Judgements", "Ragged", "RunDirectory", "Trace", "make_trace"]
