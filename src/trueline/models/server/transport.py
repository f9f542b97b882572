"""One request to a server, by the official client: bounded in flight, retried where that can help, given up where it cannot."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from trueline.errors import InputError, MissingExtra, ModelError
from trueline.models.server.calls import MAX_ERROR_BODY, ServerOptions, shown_url
from trueline.models.server.limiter import Limiter

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_RETRY = frozenset({408, 409, 425, 429})
_LONGEST_WAIT = 60.0
#: Further tries of the first questions, as who waits for the plan shall soon hear of it: where nothing that speaks the protocol was met
#: (the address is wrong more often than busy), and where the server is ill.
_STRANGER_RETRIES, _PROBE_RETRIES = 2, 3
#: A 403 that is about what was asked and not about who asks: log-probs that a model keeps to itself, moderation, a prompt too long.
_OF_THIS_REQUEST = re.compile(r"logprobs|moderation|flagged|content.?polic|max_tokens|context.?length", re.IGNORECASE)


class Refused(Exception):
    """This request cannot be answered, others may be: ``status`` and the server's own words. ``stranger``: as in ``_Again``."""

    def __init__(self, message: str, status: int | None = None, *, stranger: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.stranger = stranger


class NotFound(ModelError):
    """The server knows no such model or route."""


class _Again(Exception):
    """Another try may help. ``wait``: seconds the server asked for. ``busy``: a 429. ``stranger``: no server of this protocol spoke."""

    def __init__(self, message: str, wait: float | None = None, *, busy: bool = False, stranger: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.busy = busy
        self.stranger = stranger


class Transport:
    """Sends request bodies and returns JSON documents. Belongs to one event loop; ``close`` it.

    probing: nothing is known of the server yet, so that an address where no such server answers is soon given up.
    """

    def __init__(self, options: ServerOptions, *, probing: bool = False) -> None:
        self.options = options
        self.probing = probing
        self.where = shown_url(options.base_url)
        self.limiter = Limiter(options.concurrency, start=min(options.concurrency, 16))
        self.tries = 0
        self._client = _client(options)
        self._routes: dict[str, Any] = {"chat": self._client.chat.completions, "completions": self._client.completions}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def post(self, route: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The JSON document that answers ``body`` on ``route`` (``chat`` or ``completions``), parsed and as it came.

        Raises ``Refused`` when this request is given up and ``ModelError`` when no request can succeed (wrong key, unknown model, no
        trust in the server's certificate).
        """
        started, failures, delay = time.monotonic(), 0, self.options.backoff
        while True:
            await self.limiter.acquire()
            try:
                return await self._once(route, body)
            except _Again as again:
                waited = time.monotonic() - started
                failures += not again.busy
                retries = self.options.retries
                if self.probing:
                    retries = min(retries, _STRANGER_RETRIES if again.stranger else _PROBE_RETRIES)
                if failures > retries or (again.busy and waited > self.options.patience):
                    raise Refused(f"given up after {waited:.0f} s: {again}", stranger=again.stranger) from again
                wait = again.wait if again.wait is not None else delay * (0.5 + random.random())
                if again.busy:
                    self.limiter.refused(wait)
            finally:
                self.limiter.release()
            delay = min(delay * 2, _LONGEST_WAIT)
            await asyncio.sleep(wait)

    async def _once(self, route: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        import openai

        self.tries += 1
        try:
            async with self._routes[route].with_streaming_response.create(**body) as response:
                content = await self._read(response)
                kind = response.headers.get("content-type", "")
        except openai.APIStatusError as error:
            raise self._judge(error) from None
        except openai.APIConnectionError as error:
            raise _broken(error, self.options, self.probing) from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise _Again(f"the connection broke ({type(error).__name__})") from None
        except Exception as error:
            if not type(error).__module__.startswith(("httpx", "aiohttp", "anyio", "httpcore")):
                raise
            raise _Again(f"the connection broke ({type(error).__name__})") from None
        document = _parse(content, kind)
        if (trouble := _trouble(document)) is not None:
            raise self._meaning(*trouble, None)
        self.limiter.succeeded()
        return document, content

    async def _read(self, response: Any) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.iter_bytes():
            size += len(part)
            if size > self.options.max_body:
                raise Refused(f"the reply is larger than {self.options.max_body:,} bytes and was not read to its end")
            parts.append(part)
        return b"".join(parts)

    def _judge(self, error: Any) -> Exception:
        """What an error status means for this request and for the run."""
        said = _message(error.body if error.body else error.response.reason_phrase or "no reason given")
        return self._meaning(int(error.status_code), said, _retry_after(error.response.headers))

    def _meaning(self, status: int, said: str, wait: float | None) -> Exception:
        where, key = self.where, self.options.api_key
        said = _short(said.replace(key, "***") if len(key) > 4 and key != "none" else said)
        if status == 402 or "insufficient_quota" in said:
            return ModelError(f"{where} says that there is no credit left (HTTP {status}): {said}")
        if status == 401 or (status == 403 and not _OF_THIS_REQUEST.search(said)):
            return ModelError(f"{where} refuses the key (HTTP {status}); set OPENAI_API_KEY or give another key file")
        if status == 404:
            return NotFound(f"{where} knows no such model or route (HTTP 404): {said}")
        if status in _RETRY or status >= 500:
            return _Again(f"HTTP {status}: {said}", wait, busy=status == 429)
        return Refused(f"HTTP {status}: {said}", status)


def _client(options: ServerOptions) -> AsyncOpenAI:
    try:
        import openai
    except ImportError as error:
        raise MissingExtra("models behind a server need the openai client: pip install 'trueline[openai]'") from error
    try:
        http = openai.DefaultAioHttpClient(timeout=options.timeout)
    except (RuntimeError, ImportError) as error:
        raise MissingExtra("models behind a server need aiohttp: pip install 'trueline[openai]'") from error
    except OSError as error:  # the TLS context; it names no file
        named = " ".join(f"{name}={os.environ[name]}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name))
        raise InputError(f"the certificates to trust cannot be read ({named or 'those of the system'}): {_short(str(error))}") from error
    http.event_hooks = {"response": [_cap_error]}
    return openai.AsyncOpenAI(api_key=options.api_key, base_url=options.base_url, timeout=options.timeout, max_retries=0, http_client=http)


async def _cap_error(response: Any) -> None:
    """The client reads the body of an error to its end; let that end come early."""
    if response.status_code < 400:
        return
    whole = response.stream
    http = importlib.import_module(type(response).__module__.partition(".")[0])  # httpx, or httpx2 in newer clients

    class Capped(http.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = MAX_ERROR_BODY
            async for part in whole:
                yield part[:left]
                left -= len(part)
                if left <= 0:
                    return

        async def aclose(self) -> None:
            await whole.aclose()

    response.stream = Capped()


def _parse(content: bytes, kind: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except UnicodeDecodeError:
        raise _Again("the reply is not UTF-8 text", stranger=True) from None
    except (ValueError, RecursionError):
        if "html" in kind or content.lstrip()[:1] == b"<":
            raise _Again("the server answered HTML, not JSON: is the base URL right, and does it end in /v1?", stranger=True) from None
        raise _Again(f"the reply is not valid JSON ({len(content):,} bytes)", stranger=True) from None
    if not isinstance(document, dict):
        raise _Again("the reply is JSON, but no object", stranger=True)
    return document


def _broken(error: Any, options: ServerOptions, probing: bool) -> Exception:
    """What a failed connection means. A certificate that is not trusted will not be trusted next time either."""
    import openai

    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    where = shown_url(options.base_url)
    for link in chain:
        if "certificate" in type(link).__name__.lower() or "CERTIFICATE_VERIFY_FAILED" in str(link):
            return ModelError(f"the certificate of {where} is not trusted: {_distrust(str(link))}")
        if "WRONG_VERSION_NUMBER" in str(link):
            return ModelError(f"{where} does not speak TLS; if it is the right server, its address begins with http://")
    if any("Disconnected" in type(link).__name__ for link in chain):
        hint = "; a server that speaks TLS is reached by https://" if probing and where.startswith("http:") else ""
        return _Again(f"{where} closed the connection without an answer{hint}", stranger=True)
    if any(isinstance(link, socket.gaierror) for link in chain):
        return _Again(f"no connection to {where}: no host of that name is known", stranger=True)
    refused = next((link for link in chain if isinstance(link, ConnectionError)), None)
    if refused is None and isinstance(error, openai.APITimeoutError):
        # the client also calls a connection that could not be made a timeout
        if any("Connector" in type(link).__name__ for link in chain):
            return _Again(f"no connection to {where}", stranger=True)
        return _Again(f"no answer from {where} within {options.timeout:g} s")
    return _Again(f"no connection to {where} ({type(refused or chain[-1]).__name__})", stranger=refused is not None)


def _distrust(said: str) -> str:
    """Why a certificate is not trusted, and what helps where it is not known."""
    found = re.search(r"certificate verify failed: (.+?)\.? *\(_ssl", said)
    reason = found[1] if found else _short(said)
    unknown = "self-signed" in reason or "issuer" in reason
    return reason + ("; if you trust it, name the file of its authority in SSL_CERT_FILE" if unknown else "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, 300.0)
    return None


def _trouble(document: Mapping[str, Any]) -> tuple[int, str] | None:
    """An error in the body of a reply whose status says success, as routers send it when a provider behind them failed: (status, words).

    It may stand in the place of the choices, or in one of them.
    """
    choices = document.get("choices")
    found = document.get("error") if not choices else None
    if isinstance(choices, list):
        found = next((c["error"] for c in choices if isinstance(c, dict) and c.get("error")), found)
    if not found:
        return None
    code = found.get("code") if isinstance(found, dict) else None
    known = isinstance(code, int | str) and re.fullmatch(r"[45]\d\d", str(code))
    return (int(str(code)) if known else 500), _message({"error": found})


def _message(body: object) -> str:
    """The server's own words."""
    if not isinstance(body, dict):
        return str(body)
    inner = body.get("error", body)
    said = inner.get("message") if isinstance(inner, dict) else inner
    code = inner.get("code") if isinstance(inner, dict) else None
    return f"{said or body}" + (f" ({code})" if isinstance(code, str) else "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."
