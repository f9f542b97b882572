"""What a user sees when a server is not what it should be: one line, an exit code, never a traceback and never the key."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from server_runs import questions
from stub_server import Served, serve
from typer.testing import CliRunner, Result

import trueline as tl
from trueline.cli.app import app

KEY = "sk-planted-5a1d3"
NAN = '{"choices": [{"index": 0, "message": {"content": "a"}, "logprobs": {"content": [{"token": "a", "logprob": NaN}]}}]}'
POSITIVE = {"choice": {"logprobs": {"content": [{"token": "a", "logprob": 0.7}]}}}
#: Servers by the name of their model: what they answer, and what the user is told.
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "html": ({"body": "<html>hi</html>", "type": "text/html"}, "HTML, not JSON: is the base URL right"),
    "huge": ({"size": 100_000_000}, "larger than 67,108,864 bytes"),
    "huge-error": ({"size": 100_000_000, "status": 400}, "HTTP 400"),
    "positive": (POSITIVE, "a log-prob above 0: 0.7"),
    "nan": ({"body": NAN}, "a log-prob that is no number: NaN"),
    "bytes": ({"body": '{"a": "\xff"}'}, "not UTF-8"),
    "empty": ({"body": '{"choices": []}'}, "no choices"),
    "moved": ({"body": "\x1b[2J\n\nTraceback", "status": 418, "type": "text/plain"}, "HTTP 418"),
}
#: The same in the middle of a run, to one question of three.
LATE: dict[str, tuple[dict[str, Any], str]] = {
    "late-huge": ({"size": 100_000_000}, "the reply is larger than 67,108,864 bytes"),
    "late-positive": (POSITIVE, "rejected: a log-prob above 0: 0.7"),
    "late-nan": ({"body": NAN}, "rejected: a log-prob that is no number: NaN"),
    "late-echo": (
        {"choice": {"message": {"content": "Where was person number 1 born? In Kelby."}}},
        "rejected: the server repeats the prompt",
    ),
    "late-bytes": ({"body": '{"a": "\xff"}'}, "the reply is not UTF-8 text"),
}


@pytest.fixture(scope="module")
def stub() -> Iterator[Served]:
    named = {name: config for name, (config, _) in BROKEN.items()}
    named |= {name: config | {"about": "number 1 born"} for name, (config, _) in LATE.items()}
    with serve(key=KEY, named=named) as server:
        yield server


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    task = questions(tmp_path, 3)

    def run(name: str, url: str, *extra: str) -> Result:
        command = ["measure", f"openai:{name}", task, "--base-url", url, "--estimators", "sequence_nll", "--out", "run", *extra]
        return CliRunner().invoke(app, command)

    return run


def refused(done: Result) -> str:
    """The one line of a command that ended with a usage or input error."""
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr.replace("\\x1b[2J Traceback", "")
    assert KEY not in done.output
    return done.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_a_server_that_cannot_be_used_ends_in_one_line(name: str, stub: Served, measure: Callable[..., Result]) -> None:
    said = refused(measure(name, stub.url))
    assert BROKEN[name][1] in said
    assert "\x1b" not in said
    assert len(said) < 600
    assert not Path("run").exists()


@pytest.mark.parametrize("name", LATE)
def test_a_bad_reply_costs_its_item_and_the_user_is_told_why(name: str, stub: Served, measure: Callable[..., Result]) -> None:
    done = measure(name, stub.url, "-O", "retries=0")
    assert done.exit_code == 3, done.output
    assert (
        f"1 of 3 items failed: {LATE[name][1]}" in done.stderr or f"1 of 3 items failed: given up after 0 s: {LATE[name][1]}" in done.stderr
    )
    run = tl.open_run("run")
    assert run.failures["item_id"].to_list() == ["q1"]
    assert run.scores["sequence_nll"].is_nan().to_list() == [False, True, False]
    assert run.manifest["status"] == "complete"


def test_keys_and_names_that_the_server_does_not_know(
    stub: Served, measure: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such model" in refused(measure("other", stub.url))
    assert "no such model or route" in refused(measure("stub", stub.root))  # /v1 forgotten
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-wrong")
    said = refused(measure("stub", stub.url))
    assert "refuses the key (HTTP 401)" in said
    assert "sk-planted-wrong" not in said
    file = tmp_path / "key.txt"
    file.write_text(KEY)
    file.chmod(0o640)
    assert "chmod 600" in refused(measure("stub", stub.url, "-O", f"key_file={file}"))
    assert stub.stats()["statuses"].get("401", 0) >= 1
    file.chmod(0o600)
    assert measure("stub", stub.url, "-O", f"key_file={file}").exit_code == 0
    for part in Path("run").rglob("*"):
        assert not part.is_file() or KEY.encode() not in part.read_bytes(), part


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/v1", "no connection to http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:99999/v1", "Port out of range"),
        ("http://[::1/v1", "Invalid IPv6 URL"),
        ("http:///v1", "with a host behind it"),
        ("127.0.0.1:8000", "http:// or https://"),
        (f"http://me:{KEY}@127.0.0.1:9/v1", "must hold no user and no password"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, said: str, measure: Callable[..., Result]) -> None:
    assert said in refused(measure("stub", url))


@pytest.mark.parametrize("option", ["concurrency=many", "timeout=true", "retries=1.5", "key_file=5", "price_prompt=null", "flux=1"])
def test_options_of_the_wrong_kind(option: str, measure: Callable[..., Result]) -> None:
    assert option.partition("=")[0] in refused(measure("stub", "http://127.0.0.1:9/v1", "-O", option))


def test_certificates(tmp_path: Path, measure: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, stub: Served) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    with serve(tls=[str(cert), str(key)]) as server:
        assert server.url.startswith("https://127.0.0.1:")
        said = refused(measure("stub", server.url))
        assert "is not trusted: self-signed certificate; if you trust it, name the file of its authority in SSL_CERT_FILE" in said
        assert "reached by https://" in refused(measure("stub", server.url.replace("https:", "http:")))
        assert "does not speak TLS" in refused(measure("stub", stub.url.replace("http:", "https:")))
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert measure("stub", server.url).exit_code == 0
        assert "Hostname mismatch" in refused(measure("stub", server.url.replace("127.0.0.1", "localhost")))
        for unusable in (tmp_path / "none.pem", tmp_path / "questions.jsonl"):
            monkeypatch.setenv("SSL_CERT_FILE", str(unusable))
            assert f"cannot be read (SSL_CERT_FILE={unusable}" in refused(measure("stub", server.url))
