"""Similarity: how much alike two texts are, in [0, 1]."""

from trueline.estimators.similarity.base import Compared, Similarity
from trueline.estimators.similarity.encoders import BERTScore, CrossEncoder, SentenceEncoder
from trueline.estimators.similarity.engine import SimilarityCache, compare_trace
from trueline.estimators.similarity.lexical import Char3

__all__ = ["BERTScore", "Char3", "Compared", "CrossEncoder", "SentenceEncoder", "Similarity", "SimilarityCache", "compare_trace"]
