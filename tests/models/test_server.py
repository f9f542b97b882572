"""Replies are read strictly; what a server can do is found out by asking; places in flight follow its 429s."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub_server import serve

from trueline.errors import InputError, ModelError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Message, Prompt
from trueline.models.loading import load_model
from trueline.models.server import Call, Price, Reply, ServerModel, Usage
from trueline.models.server.calls import ServerOptions, read_key, shown_url
from trueline.models.server.limiter import Limiter
from trueline.models.server.model import read_options
from trueline.models.server.replies import read_reply, request_body
from trueline.models.server.transport import Refused, Transport

PROMPT = Prompt("Where was Kelby born, please?", (Message("user", "Where was Kelby born, please?"),))
CALL = Call(PROMPT, max_tokens=8, logprobs=True, top_logprobs=2)


def chat(message: dict[str, Any], logprobs: Any = None, finish: Any = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


def entry(token: str, logprob: Any, *top: tuple[str, Any]) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "top_logprobs": [{"token": t, "logprob": v} for t, v in top]}


def only(reply: Reply) -> Generation:
    assert reply.error is None
    assert len(reply.generations) == 1
    generation = reply.generations[0]
    assert isinstance(generation, Generation), generation
    return generation


def test_an_answer_with_its_logprobs() -> None:
    rows = [entry("Mar", -0.25, ("Kel", -2.0), ("Mar", -0.25)), entry("lo", -0.5, ("lo", -0.5), ("le", -1.0), ("li", -3.0))]
    reply = read_reply(chat({"content": "Marlo"}, {"content": rows}), CALL, "chat")
    made = only(reply)
    assert (made.text, made.finish_reason, made.n_prompt_tokens, made.token_texts) == ("Marlo", "eos", 7, ["Mar", "lo"])
    np.testing.assert_array_equal(made.token_logprobs, [-0.25, -0.5])
    np.testing.assert_array_equal(made.topk_logprobs, [[-0.25, -2.0], [-0.5, -1.0]])
    assert made.topk_texts == [["Mar", "Kel"], ["lo", "le"]]
    np.testing.assert_array_equal(made.stats["token_second_logp"], [-2.0, -1.0])
    assert reply.usage == Usage(7, 3, 1)


@pytest.mark.parametrize(
    ("message", "finish", "text", "expected"),
    [
        ({"content": None, "refusal": "I will not."}, "stop", "I will not.", "refusal"),
        ({"content": "Mar"}, "length", "Mar", "length"),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls", "", "tool_calls"),
        ({"content": ""}, "content_filter", "", "content_filter"),
        ({"content": [{"type": "text", "text": "Mar"}, {"type": "text", "text": "lo"}]}, "stop", "Marlo", "eos"),
        ({"content": "Marlo"}, None, "Marlo", None),
    ],
)
def test_what_is_no_plain_answer_is_recorded_as_what_it_is(message: dict[str, Any], finish: Any, text: str, expected: Any) -> None:
    made = only(read_reply(chat(message, finish=finish), CALL, "chat"))
    assert (made.text, made.finish_reason) == (text, expected)


def test_reasoning_is_kept_apart_and_its_tokens_are_not_the_answers() -> None:
    rows = [entry("Hm", -3.0), entry(".", -2.0), entry("Mar", -0.25), entry("lo", -0.5)]
    made = only(read_reply(chat({"content": "Marlo", "reasoning_content": "Hm."}, {"content": rows}), CALL, "chat"))
    assert made.reasoning == "Hm."
    np.testing.assert_array_equal(made.token_logprobs, [-0.25, -0.5])
    unmatched = only(read_reply(chat({"content": "Other", "reasoning": "Hm."}, {"content": rows}), CALL, "chat"))
    assert unmatched.token_logprobs is None  # no log-probs rather than those of other tokens


@pytest.mark.parametrize("bad", [0.5, float("nan"), "x", True, [1]])
def test_logprobs_that_cannot_be_reject_the_choice(bad: Any) -> None:
    reply = read_reply(chat({"content": "a"}, {"content": [entry("a", bad)]}), CALL, "chat")
    assert isinstance(reply.generations[0], str)
    assert reply.generations[0].startswith("rejected: a log-prob")


def test_null_logprobs_are_missing_and_rounding_is_forgiven() -> None:
    assert only(read_reply(chat({"content": "a"}, {"content": [entry("a", None)]}), CALL, "chat")).token_logprobs is None
    made = only(read_reply(chat({"content": "a"}, {"content": [entry("a", 5e-7)]}), CALL, "chat"))
    assert made.token_logprobs is not None
    assert made.token_logprobs[0] == 0.0
    assert only(read_reply(chat({"content": "a"}, None), CALL, "chat")).token_logprobs is None


def test_a_repeated_prompt_is_no_answer() -> None:
    reply = read_reply(chat({"content": "Where was Kelby born, please? In Marlo."}), CALL, "chat")
    assert reply.generations == ("rejected: the server repeats the prompt in its answer",)


@pytest.mark.parametrize("choices", [[], None, "none", {}])
def test_no_choices(choices: Any) -> None:
    assert read_reply({"choices": choices}, CALL, "chat").error == "the server returned no choices"


def test_choices_come_in_the_order_of_their_index_and_twice_counts_once() -> None:
    choices = [{"index": i, "message": {"content": str(i)}, "finish_reason": "stop"} for i in (2, 0, 1, 1)]
    reply = read_reply({"choices": choices}, dataclasses.replace(CALL, n=3), "chat")
    assert [g.text for g in reply.generations if isinstance(g, Generation)] == ["0", "1", "2"]


def test_completions() -> None:
    logprobs = {
        "tokens": [" Mar", "lo"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{" Mar": -0.1, " Kel": -3}, {"lo": -0.2, "x": -4}],
    }
    choice = {"index": 0, "text": " Marlo", "finish_reason": "length", "logprobs": logprobs}
    made = only(read_reply({"choices": [choice]}, CALL, "completions"))
    assert (made.text, made.finish_reason) == (" Marlo", "length")
    np.testing.assert_array_equal(made.topk_logprobs, [[-0.1, -3], [-0.2, -4]])
    choice["logprobs"] = {**logprobs, "token_logprobs": [-0.1]}
    assert isinstance(read_reply({"choices": [choice]}, CALL, "completions").generations[0], str)


@given(st.data(), st.sampled_from(["chat", "completions"]))
def test_no_document_breaks_the_reader(data: st.DataObject, route: str) -> None:
    """Any field of a good reply may be anything at all."""
    rows = [entry("Mar", -0.25, ("Kel", -2.0)), entry("lo", -0.5)]
    logprobs = {"content": rows, "tokens": ["Mar"], "token_logprobs": [-0.1], "top_logprobs": [{"Mar": -0.1}]}
    document: Any = chat({"content": "Marlo"}, logprobs)
    document["choices"][0]["text"] = "Marlo"
    junk = st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda s: st.lists(s, max_size=2) | st.dictionaries(st.text(max_size=2), s, max_size=2),
        max_leaves=4,
    )
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(junk)
            break
        place = inner
    reply = read_reply(document, CALL, route)
    assert reply.error is not None or len(reply.generations) == 1


def test_a_body_carries_only_what_is_not_neutral() -> None:
    assert request_body("m", "chat", Call(PROMPT, max_tokens=4)) == {
        "model": "m",
        "max_tokens": 4,
        "temperature": 0.0,
        "messages": [{"role": "user", "content": PROMPT.text}],
    }
    body = request_body("m", "completions", dataclasses.replace(CALL, n=3, seed=5, stop=("\n",), temperature=0.7, top_p=0.9, top_k=7))
    assert body["prompt"] == PROMPT.text
    assert body["logprobs"] == 2
    assert body["extra_body"] == {"top_k": 7}
    assert (body["n"], body["seed"], body["stop"], body["top_p"]) == (3, 5, ["\n"], 0.9)


def test_options_are_read_from_the_first_tokens_alternatives() -> None:
    made = Generation("A", topk_logprobs=np.array([[-0.2, -1.9, -4.0]]), topk_texts=[["A", " A", "C"]])
    scores = read_options(Reply((made,)), ("A", "B"))
    np.testing.assert_allclose(scores.logprobs, [np.logaddexp(-0.2, -1.9), -np.inf])
    assert read_options(Reply((made,)), ("X", "Y")).error is not None
    assert read_options(Reply(error="HTTP 500"), ("A", "B")).error == "HTTP 500"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ("chat", True, True, 20, True)),
        ({"n": False}, ("chat", False, True, 20, True)),
        ({"n": "refused"}, ("chat", False, True, 20, True)),
        ({"top_logprobs": 5}, ("chat", True, True, 5, True)),
        ({"seed": False}, ("chat", True, True, 20, False)),
        ({"logprobs": False}, ("chat", True, False, 0, True)),
        ({"chat": False}, ("completions", True, True, 20, True)),
        ({"length_field": "max_completion_tokens"}, ("chat", True, True, 20, True)),
    ],
)
def test_one_question_tells_what_a_server_can_do(config: dict[str, Any], expected: tuple[Any, ...]) -> None:
    with serve(**config) as stub:
        seen = load_model("openai:stub", base_url=stub.url).seen  # type: ignore[attr-defined]
    assert (seen.route, seen.several, seen.logprobs, seen.top_logprobs, seen.seed) == expected


ALL_OFF = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ALL_OFF),
        ({"refuses": {"top_k=0": "top_k must be -1 (disable), or at least 1, got 0."}}, {**ALL_OFF, "top_k": -1}),  # older vLLM
        ({"refuses": {"min_p": "Unrecognized request argument supplied: min_p"}}, {"top_k": 0, "repetition_penalty": 1.0}),
        ({"refuses": {name: f"Unexpected fields in the request: {{'{name}'}}" for name in ALL_OFF}}, {}),  # transformers serve
        ({"refuses": {"top_k": "bad request"}}, {}),  # a refusal that names nothing
        ({"refuses": {"n": "bad request"}}, ALL_OFF),  # left out on a wrong guess, and put back
    ],
)
def test_what_turns_a_servers_own_truncation_off_is_sent_where_it_is_taken(config: dict[str, Any], expected: dict[str, float]) -> None:
    with serve(**config) as stub:
        seen = load_model("openai:stub", base_url=stub.url).seen  # type: ignore[attr-defined]
    assert dict(seen.dialect.neutral) == expected
    assert (seen.logprobs, seen.top_logprobs, seen.several) == (True, 20, "n" not in config.get("refuses", {}))


ONLY_ONE = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported."
NONE_AT_ALL = "Unsupported parameter: 'temperature' is not supported with this model."


@pytest.mark.parametrize("refuses", [{"temperature=0.0": ONLY_ONE}, {"temperature": NONE_AT_ALL}])
def test_a_model_that_takes_no_temperature_has_samples_and_no_greedy_answer(refuses: dict[str, str]) -> None:
    with serve(refuses=refuses) as stub:
        model = load_model("openai:stub", base_url=stub.url)
        assert model.capabilities == {"samples", "chat", "logprobs", "topk", "score"}
        result = model.generate([GenerationRequest(PROMPT, greedy=False, sample_seeds=(1, 2, 3))], GenerationSettings(max_new_tokens=8))[0]
        assert result.error is None
        assert len(result.samples) == 3
        with pytest.raises(ModelError, match="does not take temperature 0"):
            model.generate([GenerationRequest(PROMPT)], GenerationSettings(max_new_tokens=8))


def test_logprobs_that_are_kept_back_are_a_capability_and_no_wrong_key() -> None:
    words = "You are not allowed to request logprobs from this model"
    with serve(refuses={"logprobs": words}, refusal_status=403) as stub:
        seen = load_model("openai:stub", base_url=stub.url).seen  # type: ignore[attr-defined]
    assert (seen.logprobs, seen.several) == (False, True)


def test_a_limit_of_logprobs_lowers_the_alternatives_and_keeps_the_logprobs() -> None:
    words = "Requested sample logprobs of 20, which is greater than max allowed: 5 (parameter=logprobs, value=20)"
    with serve(refuses={"top_logprobs=20": words}) as stub:
        seen = load_model("openai:stub", base_url=stub.url).seen  # type: ignore[attr-defined]
    assert (seen.logprobs, seen.top_logprobs) == (True, 5)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_logprobs_in_the_form_of_the_other_route(api: str) -> None:
    with serve(swapped=True) as swapped, serve() as plain:
        found = []
        for stub in (swapped, plain):
            model = load_model("openai:stub", base_url=stub.url, api=api)
            columns = frozenset({"topk", "topk_texts"})
            made = model.generate([GenerationRequest(PROMPT)], GenerationSettings(max_new_tokens=8, greedy_columns=columns))[0].greedy
            assert made is not None
            assert made.token_logprobs is not None
            found.append((made.token_texts, made.token_logprobs.tolist(), made.topk_texts))
    assert found[0] == found[1]


def test_logprobs_that_come_only_with_alternatives() -> None:
    with serve(needs_top=True) as stub:
        model = load_model("openai:stub", base_url=stub.url)
        assert model.seen.least == 1  # type: ignore[attr-defined]
        result = model.generate([GenerationRequest(PROMPT, sample_seeds=(1,))], GenerationSettings(max_new_tokens=8))[0]
    assert result.samples[0].token_logprobs is not None


@pytest.mark.parametrize("config", [{"most_n": 4}, {"n": False}, {"n": "refused"}, {}])
def test_samples_come_in_as_many_calls_as_the_server_needs(config: dict[str, Any]) -> None:
    with serve(**config) as stub:
        model = load_model("openai:stub", base_url=stub.url)
        results = model.generate([GenerationRequest(PROMPT, sample_seeds=tuple(range(7)))] * 3, GenerationSettings(max_new_tokens=8))
        asked = stub.stats()["distinct"]
    assert [(r.error, len(r.samples)) for r in results] == [(None, 7)] * 3
    if config == {"most_n": 4}:
        assert asked == 2 + 1 + 3  # the first questions, one for the limit, and greedy beside 4 + 3 samples


def test_a_server_that_ignores_the_temperature_is_told_in_the_plan() -> None:
    with serve(frozen=True) as stub, serve() as other:
        assert "all the same" in load_model("openai:stub", base_url=stub.url).decoding  # type: ignore[attr-defined]
        assert load_model("openai:stub", base_url=other.url).decoding is None  # type: ignore[attr-defined]


def test_completions_are_tried_where_chat_fails_in_any_way() -> None:
    words = "As of transformers v4.44, default chat template is no longer allowed"
    with serve(refuses={"messages": words}) as stub:
        assert load_model("openai:stub", base_url=stub.url).seen.route == "completions"  # type: ignore[attr-defined]
        with pytest.raises(ModelError, match="default chat template"):
            _ = load_model("openai:stub", base_url=stub.url, api="chat").seen  # type: ignore[attr-defined]


def test_space_before_the_body_is_no_matter() -> None:
    with serve(lead="\n\n  \n") as stub:
        made = load_model("openai:stub", base_url=stub.url).generate([GenerationRequest(PROMPT)], GenerationSettings(max_new_tokens=8))
    assert made[0].greedy is not None


def test_characters_that_span_tokens_are_read_from_their_bytes() -> None:
    text = "né"
    rows = [{**entry("n\\xc3", -0.1), "bytes": [110, 0xC3]}, {**entry("\\xa9", -0.2), "bytes": [0xA9]}, {**entry("", -0.3), "bytes": []}]
    made = only(
        read_reply(chat({"content": text, "reasoning": "Hm."}, {"content": [entry("Hm.", -1.0) | {"bytes": [72]}, *rows]}), CALL, "chat")
    )
    assert made.token_texts == ["n", "é", ""]
    np.testing.assert_array_equal(made.token_logprobs, [-0.1, -0.2, -0.3])  # the token that ends the answer is one of its own


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (402, {"error": {"message": "Insufficient Balance"}}, ModelError, "no credit left"),
        (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, ModelError, "no credit left"),
        (200, {"error": {"message": "Insufficient credits", "code": 402}}, ModelError, "no credit left"),
        (403, {"error": {"message": "Country not supported"}}, ModelError, "refuses the key"),
        (403, {"error": {"message": "Your input was flagged", "code": 403}}, Refused, "flagged"),
        (400, {"error": {"message": "Filtered", "code": "content_filter"}}, Refused, "content_filter"),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Refused, "given up.*529: Overloaded"),
        (200, {"error": {"message": "Provider returned error", "code": 502}}, Refused, "given up.*502: Provider returned error"),
        (200, {"error": "model is loading"}, Refused, "given up.*model is loading"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "extra"}]}, Refused, "body.*n"),
    ],
)
def test_what_vendors_say_when_they_do_not_answer(status: int, body: Any, error: type[Exception], said: str) -> None:
    async def ask(url: str) -> None:
        transport = Transport(ServerOptions(url, "none", retries=1, backoff=0.01))
        try:
            await transport.post("chat", {"model": "stub", "messages": []})
        finally:
            await transport.close()

    with serve(status=status, body=json.dumps(body)) as stub, pytest.raises(error, match=said):
        asyncio.run(ask(stub.url))


@pytest.mark.parametrize(
    ("config", "name", "said"),
    [
        ({"key": "right"}, "stub", "refuses the key"),
        ({}, "other", "no such model"),
        ({"body": "<html>hello</html>", "type": "text/html"}, "stub", "HTML, not JSON"),
        ({"body": "{"}, "stub", "not valid JSON"),
        ({"body": "[1]"}, "stub", "no object"),
        ({"body": '{"choices": []}'}, "stub", "no choices"),
        ({"body": '{"a": "\xff"}'}, "stub", "not UTF-8"),
        ({"size": 2_000_000}, "stub", "larger than"),
    ],
)
def test_a_server_that_is_none_is_named_in_one_line(config: dict[str, Any], name: str, said: str) -> None:
    with serve(**config) as stub:
        options = ServerOptions(stub.url, "sk-planted-key", retries=1, backoff=0.01, max_body=1_000_000)
        with pytest.raises(ModelError, match=said) as caught:
            _ = ServerModel(name, options).capabilities
    assert "sk-planted-key" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_body_of_an_error_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 104857600\r\n\r\n")
        sent.append(0)
        try:
            for _ in range(100):
                writer.write(b"no" * 2**19)
                await writer.drain()
                sent[-1] += 1
        except OSError:
            pass  # hung up on, as it should be
        writer.close()

    async def ask() -> str:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        transport = Transport(ServerOptions(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "none"))
        try:
            with pytest.raises(Refused, match="HTTP 400: no") as caught:
                await transport.post("chat", {"model": "m", "messages": []})
        finally:
            await transport.close()
            server.close()
        return str(caught.value)

    assert len(asyncio.run(ask())) < 400
    assert sent[0] < 50  # of 100 MB, less what lies in the buffers of the connection


def test_nobody_listening() -> None:
    options = ServerOptions("http://127.0.0.1:9/v1", "none", retries=1, backoff=0.01)
    with pytest.raises(ModelError, match="no connection to"):
        _ = ServerModel("m", options).capabilities


def test_a_certificate_that_is_not_trusted_ends_at_once(tmp_path: Any) -> None:
    import http.server
    import ssl
    import subprocess
    import threading

    pair = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x", *pair], check=True, capture_output=True
    )
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        options = ServerOptions(f"https://127.0.0.1:{server.server_port}/v1", "none", retries=3, backoff=0.01)
        with pytest.raises(ModelError, match=r"certificate of https://127.0.0.1:[0-9]+/v1 is not trusted"):
            _ = ServerModel("m", options).capabilities
    finally:
        server.shutdown()
        server.server_close()


def test_generate_and_score_as_any_model() -> None:
    with serve() as stub:
        model = load_model("openai:stub", base_url=stub.url)
        assert model.capabilities == {"greedy", "samples", "chat", "logprobs", "topk", "score"}
        results = model.generate([GenerationRequest(PROMPT, sample_seeds=(1, 2, 3))] * 2, GenerationSettings(max_new_tokens=8))
        scores = model.score([Prompt("(A) True (B) False")], [("A", "B")])
    assert [len(r.samples) for r in results] == [3, 3]
    assert results[0].greedy is not None
    assert [s.text for s in results[0].samples] == [s.text for s in results[1].samples]
    assert scores[0].error is None
    assert scores[0].logprobs[0] > scores[0].logprobs[1]


def test_keys_come_from_the_environment_or_a_private_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert read_key(None) == "none"
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        load_model("openai:gpt-4o-mini")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    model = load_model("openai:gpt-4o-mini")
    assert "sk-from" not in repr(model) + repr(model.options) + json.dumps(dict(model.fingerprint()))  # type: ignore[attr-defined]
    file = tmp_path / "key"
    file.write_text("sk-from-file\n")
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        read_key(file)
    file.chmod(0o600)
    assert read_key(file) == "sk-from-file"
    file.write_text("two words")
    with pytest.raises(InputError, match="nothing else"):
        read_key(file)


def test_settings_that_cannot_be() -> None:
    for options in (
        {"base_url": "localhost:8000"},
        {"api": "grpc"},
        {"concurrency": 0},
        {"timeout": float("inf")},
        {"price_prompt": -1.0},
        {"flux": 1},
    ):
        with pytest.raises(InputError):
            load_model("openai:m", **{"base_url": "http://localhost:1/v1", **options})
    assert shown_url("https://user:secret@host:8/v1?key=x#y") == "https://host:8/v1"
    assert Price(2.0, 8.0).of(Usage(500_000, 250_000, 1)) == 3.0


def test_places_halve_at_a_429_and_come_back() -> None:
    limiter = Limiter(16)

    async def story() -> None:
        for _ in range(16):
            await limiter.acquire()
        waiter = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        assert not waiter.done()
        limiter.refused(0.05)
        assert limiter.allowed == 8
        for _ in range(8):
            limiter.release()
        await asyncio.sleep(0)
        assert not waiter.done()  # eight are in flight, as many as are allowed
        limiter.release()
        started = time.monotonic()
        await waiter
        assert time.monotonic() - started >= 0.03  # the pause that the server asked for
        for _ in range(200):
            limiter.succeeded()
        assert limiter.allowed == 16

    asyncio.run(story())


def test_a_waiter_that_is_cancelled_takes_no_place_with_it() -> None:
    async def story() -> None:
        limiter = Limiter(1)
        await limiter.acquire()
        lost = asyncio.create_task(limiter.acquire())
        kept = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        lost.cancel()
        limiter.release()
        await asyncio.wait_for(kept, 1)
        assert limiter.in_flight == 1

    asyncio.run(story())


def test_nothing_is_over_the_limit_in_flight() -> None:
    with serve(delay=0.01) as stub:
        model = load_model("openai:stub", base_url=stub.url, concurrency=5)
        model.generate([GenerationRequest(PROMPT)] * 60, GenerationSettings(max_new_tokens=8))
        assert 2 <= stub.stats()["most_in_flight"] <= 5
