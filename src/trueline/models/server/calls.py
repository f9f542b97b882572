"""The records of a conversation with a server: what one request asks, what came back, how to reach the server."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from trueline.errors import InputError
from trueline.models.base import Generation, Prompt

#: The largest reply that is read, bytes.
MAX_BODY = 64 * 2**20
#: Of a reply with an error status, only so many bytes are read: its first words say why.
MAX_ERROR_BODY = 64 * 2**10


@dataclass(frozen=True)
class Call:
    """One request: ``n`` generations for one prompt under one law. ``top_logprobs``: alternatives a token, 0 for none."""

    prompt: Prompt
    max_tokens: int
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0


@dataclass(frozen=True)
class Dialect:
    """How a server wants its requests put, where servers differ.

    length_field: its name for the limit of tokens. temperature: it takes one; without, only temperature 1 can be asked for, by leaving
    it out. top_p: it takes one. neutral: settings beyond the protocol with the value that turns them off (``top_k``, ``min_p``,
    ``repetition_penalty``). Many servers truncate by defaults of their own, or of the checkpoint, unless each is named.
    """

    length_field: str = "max_tokens"
    temperature: bool = True
    top_p: bool = True
    neutral: tuple[tuple[str, float], ...] = ()


#: The protocol as it is written down.
PLAIN = Dialect()


@dataclass(frozen=True)
class Usage:
    """Tokens that were paid for."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.requests + other.requests,
        )


@dataclass(frozen=True)
class Reply:
    """What a request brought: generations (a str in place of one that cannot be used: why), or ``error`` for the whole request.

    ``body``: the JSON document as it came, for the journal; None when there was none.
    """

    generations: tuple[Generation | str, ...] = ()
    usage: Usage = Usage()
    error: str | None = None
    body: bytes | None = None


@dataclass(frozen=True)
class Price:
    """Price of a million tokens, in any one currency."""

    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.prompt < float("inf") and 0 <= self.completion < float("inf")):
            raise InputError(f"prices must be finite and not negative, got {self.prompt} and {self.completion}")

    def of(self, usage: Usage) -> float:
        """Cost of ``usage``."""
        return (self.prompt * usage.prompt_tokens + self.completion * usage.completion_tokens) / 1e6


@dataclass(frozen=True)
class ServerOptions:
    """How to reach a server.

    Attributes
    ----------
    base_url: such as ``http://localhost:8000/v1``. api_key: kept out of every representation.
    api: ``chat``, ``completions``, or ``auto`` (chat where the server has it).
    concurrency: most requests in flight; fewer after the server says 429. timeout: seconds for one request.
    retries: further tries of a request after 408, 409, 5xx, a broken connection or a broken reply. patience: seconds after which a
    request that only ever met 429 is given up.
    """

    base_url: str
    api_key: str = field(repr=False)
    api: str = "auto"
    concurrency: int = 32
    timeout: float = 120.0
    retries: int = 6
    patience: float = 900.0
    max_body: int = MAX_BODY
    backoff: float = 0.5

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        if self.api not in ("auto", "chat", "completions"):
            raise InputError(f"api must be auto, chat or completions, got {self.api!r}")
        if self.concurrency < 1:
            raise InputError(f"concurrency must be at least 1, got {self.concurrency}")
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"timeout must be above 0 and finite, got {self.timeout}")
        if self.retries < 0 or self.patience < 0 or self.backoff < 0:
            raise InputError("retries, patience and backoff must not be negative")


def _check_url(url: str) -> None:
    """Raise ``InputError`` for what is no address of a server, and for one that holds a secret."""
    try:
        parts = urlsplit(url)
        host, shown = parts.hostname, shown_url(url)
    except ValueError as error:  # of its port, or of the brackets of IPv6
        raise InputError(f"the base URL cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"the base URL must be http:// or https:// with a host behind it, got {shown!r}")
    if parts.username is not None or parts.password is not None:
        raise InputError(f"the base URL {shown} must hold no user and no password; a key stands in OPENAI_API_KEY or in a key file")


def shown_url(url: str) -> str:
    """A URL without user, password, query and fragment: fit for manifests and messages."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def read_key(path: str | os.PathLike[str] | None) -> str:
    """The key from ``path``, else from ``OPENAI_API_KEY``; ``"none"`` when there is none, as local servers want no key.

    Raises ``InputError`` when others may read the file, or when it holds no single line.
    """
    if path is None:
        return os.environ.get("OPENAI_API_KEY", "").strip() or "none"
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the key file {file}: {type(error).__name__}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"others can read the key file {file}; run chmod 600 {file}")
    if not text or len(text.split()) != 1:
        raise InputError(f"the key file {file} must hold the key and nothing else")
    return text
