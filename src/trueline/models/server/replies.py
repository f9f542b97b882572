"""Read a server's reply: strictly where numbers are concerned, and as what it is where it is no plain answer."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.models.base import Generation, Prompt
from trueline.models.server.calls import PLAIN, Call, Dialect, Reply, Usage

#: How far above 0 a log-prob may lie by rounding.
_ROUNDING = 1e-6


def request_body(model: str, route: str, call: Call, dialect: Dialect = PLAIN) -> dict[str, Any]:
    """The request of ``call`` in the protocol's words and the server's dialect.

    The whole sampling law is spelt out, neutral settings too: what is left out, many servers fill in with a truncation of their own.
    Raises ``InputError`` for a prompt with images, which servers are not asked with.
    """
    if call.prompt.images:
        raise InputError("the prompt holds images, and a server is asked with text alone; load a vision-language model with hf:")
    body: dict[str, Any] = {"model": model, dialect.length_field: call.max_tokens}
    if dialect.temperature:
        body["temperature"] = call.temperature
    if route == "chat":
        body["messages"] = messages_of(call.prompt)
        if call.logprobs:
            body["logprobs"] = True
            if call.top_logprobs:
                body["top_logprobs"] = call.top_logprobs
    else:
        body["prompt"] = call.prompt.text if call.prompt.text is not None else "\n".join(m.content for m in call.prompt.messages)
        if call.logprobs:
            body["logprobs"] = max(call.top_logprobs, 1)
    optional = {"n": (call.n, 1), "stop": (list(call.stop), []), "seed": (call.seed, None)}
    body |= {name: value for name, (value, neutral) in optional.items() if value != neutral}
    if call.temperature and (dialect.top_p or call.top_p != 1.0):
        body["top_p"] = call.top_p
    extra = dict(dialect.neutral) | ({"top_k": call.top_k} if call.top_k else {})
    if extra:
        body["extra_body"] = extra
    return body


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """Chat turns of a prompt; a plain text is one user turn."""
    turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
    return turns or [{"role": "user", "content": prompt.text or ""}]


def read_reply(document: Mapping[str, Any], call: Call, route: str, body: bytes | None = None) -> Reply:
    """The generations of a reply. A choice whose numbers cannot be true is rejected by itself, with the reason in its place."""
    choices = document.get("choices")
    usage = usage_of(document)
    if not isinstance(choices, list) or not choices:
        return Reply(usage=usage, error="the server returned no choices", body=body)
    read = [_choice(choice, call, route, usage.prompt_tokens or None) for choice in _in_order(choices)[: call.n]]
    return Reply(tuple(read), usage, body=body)


def _in_order(choices: Sequence[Any]) -> list[Any]:
    """Choices by their index; a repeated index counts once."""
    indexed = {c["index"]: c for c in reversed(choices) if isinstance(c, dict) and isinstance(c.get("index"), int)}
    return [indexed[i] for i in sorted(indexed)] if indexed else list(choices)


def usage_of(document: Mapping[str, Any]) -> Usage:
    """Tokens that a reply was charged for; 0 where the server does not say."""
    usage = document.get("usage")

    def count(name: str) -> int:
        value = usage.get(name) if isinstance(usage, dict) else None
        return value if isinstance(value, int) and value >= 0 else 0

    return Usage(count("prompt_tokens"), count("completion_tokens"), 1)


def _choice(choice: Any, call: Call, route: str, n_prompt_tokens: int | None) -> Generation | str:
    try:
        made = _chat(choice, call) if route == "chat" else _completion(choice, call)
    except UnusableReply as reason:
        return f"rejected: {reason}"
    made.n_prompt_tokens = n_prompt_tokens
    return made


class UnusableReply(Exception):
    """Why a choice cannot be used."""


def _chat(choice: Any, call: Call) -> Generation:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise UnusableReply("the choice holds no message")
    text, finish = _content(message.get("content")), _finish(choice.get("finish_reason"), call)
    refusal = message.get("refusal")
    if refusal and not text:
        text, finish = str(refusal), "refusal"
    elif message.get("tool_calls") or message.get("function_call"):
        finish = "tool_calls"
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    made = Generation(text=text, finish_reason=finish, reasoning=reasoning if isinstance(reasoning, str) else None)
    _repeats(text, call)
    return with_logprobs(made, logprob_entries(choice))


def _completion(choice: Any, call: Call) -> Generation:
    if not isinstance(choice, dict) or not isinstance(choice.get("text"), str):
        raise UnusableReply("the choice holds no text")
    made = Generation(text=choice["text"], finish_reason=_finish(choice.get("finish_reason"), call))
    _repeats(made.text, call)
    return with_logprobs(made, logprob_entries(choice))


Entry = tuple[str, Any, list[tuple[str, Any]]]


def logprob_entries(choice: Mapping[str, Any]) -> list[Entry]:
    """(token, log-prob, alternatives) of each token of a choice, as the server says it; empty when it says nothing.

    Either form may come on either route: llama.cpp answers completions in the form of chat, Together chat in that of completions.
    """
    logprobs = _object(choice.get("logprobs"))
    rows = _objects(logprobs.get("content"))
    if rows:
        texts = _texts(rows)
        return [(t, row.get("logprob"), _alternatives(row.get("top_logprobs"))) for t, row in zip(texts, rows, strict=True)]
    tokens, values, tops = (_list(logprobs.get(name)) for name in ("tokens", "token_logprobs", "top_logprobs"))
    if len(tokens) != len(values):
        raise UnusableReply(f"{len(tokens)} tokens, but {len(values)} log-probs")
    tops = tops if len(tops) == len(tokens) else [{}] * len(tokens)
    return [(str(t), v, _alternatives(top)) for t, v, top in zip(tokens, values, tops, strict=True)]


def _alternatives(top: Any) -> list[tuple[str, Any]]:
    """Alternatives in the form of completions, a mapping, or of chat, a list of tokens."""
    if isinstance(top, dict):
        return list(top.items())
    return [(_token(row), row.get("logprob")) for row in _objects(top)]


def _texts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tokens as text. Where the server gives their bytes, a character that spans tokens stands at the last of them."""
    given = [row.get("bytes") for row in rows]
    if not all(isinstance(part, list) for part in given):
        return [_token(row) for row in rows]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        return [decoder.decode(bytes(part)) for part in given]  # type: ignore[arg-type]
    except (TypeError, ValueError):  # numbers that are no bytes
        return [_token(row) for row in rows]


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnusableReply(f"log-probs of type {type(value).__name__}")
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnusableReply(f"log-probs of type {type(value).__name__}")
    return value


def _objects(value: Any) -> list[dict[str, Any]]:
    return [_object(entry) for entry in _list(value)]


def _content(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts, as some servers send them
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    raise UnusableReply(f"content of type {type(content).__name__}")


def _finish(reason: Any, call: Call) -> str | None:
    if reason == "stop":
        return "stop" if call.stop else "eos"
    return reason if isinstance(reason, str) else None


def _repeats(text: str, call: Call) -> None:
    """A server that sends the prompt back has not answered."""
    asked = call.prompt.messages[-1].content if call.prompt.messages else call.prompt.text or ""
    for prompt in {asked, call.prompt.text or ""}:
        if len(prompt) >= 12 and text.lstrip().startswith(prompt):
            raise UnusableReply("the server repeats the prompt in its answer")


def _token(row: Mapping[str, Any]) -> str:
    token = row.get("token")
    return token if isinstance(token, str) else ""


def with_logprobs(made: Generation, entries: list[Entry]) -> Generation:
    """Add the log-probs of the answer's own tokens; those of a reasoning part in front of it are left out.

    entries: (token, log-prob, alternatives) a token. Raises ``UnusableReply`` for a log-prob that is positive or no number.
    """
    entries = _of_answer(made.text, entries, made.reasoning is not None)
    if not entries or any(value is None for _, value, _ in entries):
        return made
    made.token_texts = [token for token, _, _ in entries]
    made.token_logprobs = np.array([_number(value) for _, value, _ in entries])
    alternatives = [sorted((_number(value) for _, value in top), reverse=True) for _, _, top in entries]
    k = min(len(row) for row in alternatives)
    if k:
        made.topk_logprobs = np.array([row[:k] for row in alternatives])
        if k > 1:
            made.stats = {"token_max_logp": made.topk_logprobs[:, 0].copy(), "token_second_logp": made.topk_logprobs[:, 1].copy()}
        made.topk_texts = [[t for t, _ in sorted(top, key=lambda pair: -pair[1])[:k]] for _, _, top in entries]
    return made


def _of_answer(text: str, entries: list[Entry], reasoned: bool) -> list[Entry]:
    """The entries of the answer alone. The token that ends it, which many servers list, is one of them."""
    if not reasoned:
        return entries
    answer = text.strip()
    for end in (len(entries), len(entries) - 1):
        tail = ""
        for start in range(end - 1, -1, -1):
            tail = entries[start][0] + tail
            if tail.strip() == answer and answer:
                return entries[start:]
            if len(tail.strip()) > len(answer):
                break
    return []  # tokens and text cannot be matched: no log-probs rather than wrong ones


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise UnusableReply(f"a log-prob that is no number: {json.dumps(value)[:40]}")
    if value > _ROUNDING:
        raise UnusableReply(f"a log-prob above 0: {value:g}")
    return min(float(value), 0.0)
