"""An OpenAI-compatible server that answers by rule and fails by plan: the other side of the tests and benchmarks of `openai:`.

Run alone: ``python tests/support/stub_server.py '{"fail": {"429": 0.1}}'`` prints its port. Answers depend on prompt, seed and temperature
alone, so that a disturbed run can be compared with an undisturbed one. ``GET /stats`` tells what was asked.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

from aiohttp import web

WORDS = ("Kelby", "Marlo", "Tansy", "Orrin", "Vesper", "Quill")


class Stub:
    """``config`` keys: key, models, n (bool), seed (bool), top_logprobs (most), logprobs (bool), chat (bool), reasoning (bool), delay (s),
    fail {kind: rate}, refuses {field: words} (400; ``top_k=0``: only that value), most_n, needs_top
    (no log-probs without alternatives), frozen (one answer whatever the temperature), swapped (log-probs in the form of the other route),
    lead (text before every body), refusal_status, size (bytes of every answer), body (fixed bytes as text with its content type: the answer
    to everything), status (of the two before), choice (fields laid over each choice), named {model: keys that hold for it alone}, about
    (a text: size, body and choice hold only for prompts with it), tls [certificate, key]."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = {"n": True, "seed": True, "top_logprobs": 20, "logprobs": True, "chat": True, "models": ["stub"], **config}
        self.tries: collections.Counter[str] = collections.Counter()
        self.statuses: collections.Counter[str] = collections.Counter()
        self.answered: collections.Counter[str] = collections.Counter()
        self.in_flight = self.most_in_flight = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/completions", self.completions)
        app.router.add_get("/stats", self.stats)
        return app

    async def stats(self, request: web.Request) -> web.Response:
        answered = self.answered
        return web.json_response(
            {
                "statuses": self.statuses,
                "answered": sum(answered.values()),
                "distinct": len(answered),
                "repeated": sum(count - 1 for count in answered.values()),
                "most_in_flight": self.most_in_flight,
            }
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, chat=True)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, chat=False)

    async def _serve(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request, chat=chat)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        config, raw = self.config, await request.read()
        body = json.loads(raw)
        if config.get("key") and request.headers.get("Authorization") != f"Bearer {config['key']}":
            return self._error(401, "Incorrect API key provided: " + request.headers.get("Authorization", "")[7:])
        if chat and not config["chat"]:
            return self._error(404, "no such route")
        if body["model"] not in (*config["models"], *config.get("named", ())):
            return self._error(404, f"The model `{body['model']}` does not exist", code="model_not_found")
        config = config | config.get("named", {}).get(body["model"], {})
        if config.get("about", "") not in str(body.get("messages") or body.get("prompt")):
            config = {key: value for key, value in config.items() if key not in ("size", "body", "choice", "status")}
        if refusal := self._unsupported(body):
            return self._error(config.get("refusal_status", 400), refusal)
        status = config.get("status", 200)
        if "body" in config:
            return web.Response(
                body=config["body"].encode("latin-1"), headers={"Content-Type": config.get("type", "application/json")}, status=status
            )
        if "size" in config:
            return web.Response(body=b'"' + b"x" * config["size"] + b'"', content_type="application/json", status=status)
        if config.get("delay"):
            await asyncio.sleep(config["delay"])
        name = hashlib.blake2b(raw, digest_size=8).hexdigest()
        self.tries[name] += 1
        reply = json.dumps(reply_to(body, chat, config)).encode()
        if kind := self._fault(name):
            return await self._fail(kind, request, reply)
        self.statuses["200"] += 1
        self.answered[name] += 1
        return web.Response(body=config.get("lead", "").encode() + reply, content_type="application/json")

    def _unsupported(self, body: dict[str, Any]) -> str | None:
        config = self.config
        top = body.get("top_logprobs", body.get("logprobs") if not isinstance(body.get("logprobs"), bool) else 0) or 0
        if body.get("n", 1) > 1 and config["n"] == "refused":
            return "'n' must be 1"
        if top > config["top_logprobs"]:
            return f"top_logprobs must be at most {config['top_logprobs']}"
        if body.get("n", 1) > config.get("most_n", 128):
            return f"Field 'n': Value must be between 1 <= value <= {config['most_n']}, but got {body['n']}"
        for field, words in config.get("refuses", {}).items():
            name, _, value = field.partition("=")
            if name in body and value in ("", str(body[name])):
                return str(words)
        if "seed" in body and not config["seed"]:
            return "unknown parameter: 'seed'"
        if config.get("length_field") and "max_tokens" in body:
            return f"Unsupported parameter: 'max_tokens'. Use '{config['length_field']}' instead."
        return None

    def _fault(self, name: str) -> str | None:
        """Each try of each request draws its own fate."""
        draw = int.from_bytes(hashlib.blake2b(f"{name}/{self.tries[name]}".encode(), digest_size=4).digest(), "little") / 2**32
        for kind, rate in self.config.get("fail", {}).items():
            if draw < rate:
                return str(kind)
            draw -= rate
        return None

    async def _fail(self, kind: str, request: web.Request, reply: bytes) -> web.StreamResponse:
        self.statuses[kind] += 1
        if kind.isdigit():
            headers = {"Retry-After": str(self.config.get("retry_after", 0.01))} if kind in ("429", "503") else {}
            return self._error(int(kind), "planned failure", headers=headers, count=False)
        if kind == "truncated":
            return web.Response(body=reply[: len(reply) // 2], content_type="application/json")
        if kind == "provider":  # a router's way to say that the server behind it failed
            return web.json_response({"id": "1", "error": {"message": "Provider returned error", "code": 502}})
        if kind == "broken_choice":
            broken = {"index": 0, "message": {"content": "Kel"}, "finish_reason": "error", "error": {"code": 502, "message": "cut"}}
            return web.json_response({"choices": [broken]})
        if kind == "html":
            return web.Response(body=b"<html>busy</html>", content_type="text/html")
        if kind == "bytes":
            return web.Response(body=reply[:-1] + b"\xff\xfe}", content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(reply))})
        await response.prepare(request)
        await response.write(reply[: len(reply) // 2])
        if kind == "slow":
            await asyncio.sleep(self.config.get("slow", 0.2))
            await response.write(reply[len(reply) // 2 :])
            self.answered[hashlib.blake2b(await request.read(), digest_size=8).hexdigest()] += 1
            return response
        assert request.transport is not None  # "reset": the connection breaks in the middle of the body
        request.transport.abort()
        return response

    def _error(
        self, status: int, message: str, *, code: str | None = None, headers: dict[str, str] | None = None, count: bool = True
    ) -> web.Response:
        if count:
            self.statuses[str(status)] += 1
        return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


def reply_to(body: dict[str, Any], chat: bool, config: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request, from its prompt, seed and temperature alone."""
    prompt = body["messages"][-1]["content"] if chat else body["prompt"]
    n = body.get("n", 1) if config["n"] else 1
    choices = [_choice(body, chat, config, prompt, k) for k in range(n)]
    usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": 3 * n}
    return {"id": "stub", "object": "chat.completion", "model": body["model"], "choices": choices, "usage": usage}


def _choice(body: dict[str, Any], chat: bool, config: dict[str, Any], prompt: str, k: int) -> dict[str, Any]:
    seed = prompt if config.get("frozen") else f"{prompt}/{body.get('seed')}/{body.get('temperature')}/{k}"
    draw = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    word = "A" if "(A) True" in prompt else WORDS[draw[0] % len(WORDS)]
    text = "Probability: 80%" if "probability" in prompt.lower() else word
    tokens = [text[:2], text[2:], "."] if len(text) > 1 else [text]
    top = body.get("top_logprobs") or (body.get("logprobs") if not chat else 0) or 0
    entries = [
        {
            "token": t,
            "logprob": -(draw[i + 1] % 100) / 100,
            "bytes": None,
            "top_logprobs": [_alternative(t, draw[i + 1], j) for j in range(top)],
        }
        for i, t in enumerate(tokens)
    ]
    wanted = config["logprobs"] and body.get("logprobs") and (top or not config.get("needs_top"))
    rows = {
        "tokens": tokens,
        "token_logprobs": [e["logprob"] for e in entries],
        "top_logprobs": [{a["token"]: a["logprob"] for a in e["top_logprobs"]} for e in entries],
    }
    logprobs = ({"content": entries} if chat is not bool(config.get("swapped")) else rows) if wanted else None
    if chat:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(tokens), "refusal": None}
        if config.get("reasoning"):
            message["reasoning_content"] = "I recall it."
        choice = {"index": k, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    else:
        choice = {"index": k, "text": "".join(tokens), "finish_reason": "stop", "logprobs": logprobs}
    return {**choice, **config.get("choice", {})}


def _alternative(token: str, byte: int, rank: int) -> dict[str, Any]:
    options = ("A", "B") if token in ("A", "B") else (token, f"{token}~{rank}")
    text = options[rank] if len(options) > rank and token in ("A", "B") else (token if rank == 0 else f"{token}~{rank}")
    return {"token": text, "logprob": -(byte % 100) / 100 - rank, "bytes": None}


@contextlib.contextmanager
def serve(**config: Any) -> Iterator[Served]:
    """A stub in a process of its own; ends with the block."""
    process = subprocess.Popen([sys.executable, __file__, json.dumps(config)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Served(f"http{'s' if 'tls' in config else ''}://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.communicate()


class Served:
    """A running stub: ``url`` is its base URL."""

    def __init__(self, root: str, process: subprocess.Popen[str]) -> None:
        self.root, self.url, self.process = root, f"{root}/v1", process

    def stats(self) -> dict[str, Any]:
        """What was asked until now."""
        with urllib.request.urlopen(f"{self.root}/stats") as reply:
            return json.loads(reply.read())


async def _main(config: dict[str, Any]) -> None:
    runner = web.AppRunner(Stub(config).app(), access_log=None)
    await runner.setup()
    secured = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if "tls" in config else None
    if secured is not None:
        secured.load_cert_chain(*config["tls"])
    site = web.TCPSite(runner, "127.0.0.1", config.get("port", 0), ssl_context=secured)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
