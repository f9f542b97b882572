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
]
