"""Models: things one can ask, by URI."""

from trueline.models.base import (
    TOKEN_STATS,
    Generation,
    GenerationRequest,
    GenerationSettings,
    Message,
    Model,
    OptionScores,
    Prompt,
    RequestResult,
    SamplingLaw,
)
from trueline.models.loading import load_model

__all__ = [
    "TOKEN_STATS",
    "Generation",
    "GenerationRequest",
    "GenerationSettings",
    "Message",
    "Model",
    "OptionScores",
    "Prompt",
    "RequestResult",
    "SamplingLaw",
    "load_model",
]
