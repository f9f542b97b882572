"""Models behind an OpenAI-compatible server: vLLM, llama.cpp, Ollama, OpenAI itself and the many that speak the same protocol."""

from __future__ import annotations

from trueline.models.server.calls import Call, Price, Reply, ServerOptions, Usage
from trueline.models.server.model import ServerModel, load

__all__ = ["Call", "Price", "Reply", "ServerModel", "ServerOptions", "Usage", "load"]
