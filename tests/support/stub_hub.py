"""A hub of models and data sets on this machine: enough of the protocol for the real clients to read repositories and to commit a file.

A folder holds ``models/OWNER/NAME/REVISION/...`` and ``datasets/...``; a branch is a folder, its commit a hash of its name.
Run alone: ``python tests/support/stub_hub.py FOLDER`` prints its port.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_RESOLVE = re.compile(r"/(?P<kind>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_API = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)(/(?P<verb>[a-z-]+)(/(?P<revision>[^/]+)(/(?P<path>.+))?)?)?")


class Hub:
    """The repositories. tokens: {token: repositories that it may write, None for any}. ``seen``: method, path and token of each request."""

    def __init__(self, root: Path, tokens: dict[str, set[str] | None]) -> None:
        self.root, self.tokens = root, tokens
        self.seen: list[tuple[str, str, str | None]] = []
        self.url = ""

    def branches(self, kind: str, repo: str) -> dict[str, Path]:
        """Folders by the name of the branch and by its commit."""
        place = self.root / kind / repo
        found = sorted(p for p in place.iterdir() if p.is_dir()) if place.is_dir() else []
        return {p.name: p for p in found} | {commit_of(kind, repo, p.name): p for p in found}


def commit_of(kind: str, repo: str, branch: str) -> str:
    """The commit that a branch is at."""
    return hashlib.sha1(f"{kind}/{repo}@{branch}".encode(), usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """A file, or what a repository holds."""
        self._note()
        path = unquote(urlsplit(self.path).path)
        if found := _RESOLVE.fullmatch(path):
            self._file("datasets" if found["kind"] else "models", found["repo"], found["revision"], found["path"])
        elif (found := _API.fullmatch(path)) and (folder := self._folder(found["kind"], found["repo"], found["revision"] or "main")):
            if found["verb"] == "tree":
                deep = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
                self._json(_tree(folder, found["path"] or "", deep))
            else:
                files = [{"rfilename": str(p.relative_to(folder))} for p in sorted(folder.rglob("*")) if p.is_file()]
                commit = commit_of(found["kind"], found["repo"], folder.name)
                self._json(
                    {
                        "id": found["repo"],
                        "_id": "1",
                        "sha": commit,
                        "private": False,
                        "tags": [],
                        "siblings": files,
                        "downloads": 0,
                        "likes": 0,
                    }
                )
        elif not found:
            self._json({"error": "no such route"}, 404)

    def do_POST(self) -> None:
        """Information on paths, checks of a card, and a commit."""
        self._note()
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = _API.fullmatch(unquote(urlsplit(self.path).path))
        if self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif not found or not (folder := self._folder(found["kind"], found["repo"], found["revision"] or "main")):
            if not found:
                self._json({"error": "no such route"}, 404)
        elif found["verb"] == "paths-info":
            asked = json.loads(raw)["paths"] if "json" in self.headers["Content-Type"] else parse_qs(raw.decode())["paths"]
            self._json([_entry(folder, folder / p) for p in asked if (folder / p).exists()])
        elif self._may_write(found["repo"]):
            self._write(found, folder, raw)

    def _may_write(self, repo: str) -> bool:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.hub.tokens:
            self._json({"error": "Invalid username or password."}, 401)
            return False
        allowed = self.hub.tokens[token]
        if allowed is not None and repo not in allowed:
            self._json({"error": f"Forbidden: you may not write to {repo}, not with this token: {token}"}, 403)
            return False
        return True

    def _write(self, found: re.Match[str], folder: Path, raw: bytes) -> None:
        if found["verb"] == "preupload":
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(raw)["files"]]
            self._json({"files": files})
            return
        for entry in map(json.loads, raw.splitlines()):
            if entry["key"] == "file":
                (folder / entry["value"]["path"]).write_bytes(base64.b64decode(entry["value"]["content"]))
        commit = commit_of(found["kind"], found["repo"], folder.name)
        self._json({"commitUrl": f"{self.hub.url}/{found['repo']}/commit/{commit}", "commitOid": commit, "success": True})

    def _folder(self, kind: str, repo: str, revision: str) -> Path | None:
        branches = self.hub.branches(kind, repo)
        if not branches:  # as the hub does, which hides what is private from those who may not see it
            self._json(
                {"error": "Repository not found"}, 404 if self.headers.get("Authorization") else 401, {"X-Error-Code": "RepoNotFound"}
            )
        elif revision not in branches:
            self._json({"error": f"Invalid rev id: {revision}"}, 404, {"X-Error-Code": "RevisionNotFound"})
        return branches.get(revision)

    def _file(self, kind: str, repo: str, revision: str, path: str) -> None:
        folder = self._folder(kind, repo, revision)
        if folder is None:
            return
        file = folder / path
        commit = {"X-Repo-Commit": commit_of(kind, repo, folder.name)}
        if not file.is_file():
            self._json({"error": "Entry not found"}, 404, {**commit, "X-Error-Code": "EntryNotFound"})
            return
        content = file.read_bytes()
        headers = {**commit, "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"', "Accept-Ranges": "bytes"}
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(span[1]), min(int(span[2] or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self._send(content[first : last + 1], 206, headers)
        else:
            self._send(content, 200, headers)

    def _note(self) -> None:
        self.hub.seen.append((self.command, self.path, (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None))

    def _json(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        extra = {"X-Error-Message": document["error"]} if isinstance(document, dict) and "error" in document else {}
        self._send(json.dumps(document).encode(), status, {"Content-Type": "application/json", **extra, **(headers or {})})

    def _send(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tree(folder: Path, below: str, deep: bool) -> list[dict[str, Any]]:
    place = folder / below
    return [_entry(folder, p) for p in sorted(place.rglob("*") if deep else place.iterdir())] if place.is_dir() else []


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    name = str(path.relative_to(folder))
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    if path.is_dir():
        return {"type": "directory", "oid": digest, "size": 0, "path": name}
    return {"type": "file", "oid": digest, "size": path.stat().st_size, "path": name}


@contextlib.contextmanager
def serve_hub(root: Path, tokens: dict[str, set[str] | None] | None = None) -> Iterator[Hub]:
    """A hub in a thread of this process; ends with the block."""
    hub = Hub(root, tokens or {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with serve_hub(Path(sys.argv[1])) as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
