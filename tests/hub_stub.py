"""A Hugging Face hub of one's own: what the hub's client asks for of models, over HTTP, on this machine alone."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

Files = Mapping[str, bytes]


class Missing(Exception):  # noqa: N818
    """What the hub does not have; its code is what the client tells errors by."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Repository:
    """Commits, and the branches and tags that name them."""

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> str:
        """The commit of a branch, a tag or itself."""
        commit = self.branches.get(revision) or self.tags.get(revision) or revision
        if commit not in self.commits:
            raise Missing("RevisionNotFound")
        return commit


class Hub:
    """Its repositories, and what was asked of it so far, as 'GET /path'."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []

    def push(self, repository: str, files: Files, branch: str = "main", tag: str | None = None) -> str:
        """A commit of these files, at the head of a branch, with a tag if wanted. Returns its 40 digits."""
        repo = self.repositories.setdefault(repository, Repository())
        commit = hashlib.sha1(f"{repository} {len(repo.commits)}".encode()).hexdigest()
        repo.commits[commit] = dict(files)
        repo.branches[branch] = commit
        if tag:
            repo.tags[tag] = commit
        return commit

    def answer(self, path: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers of what lies at a path; Missing where nothing does."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            name, (kind, *rest) = "/".join(parts[2:4]), parts[4:] or ["revision", "main"]
            return json.dumps(self._told(name, kind, "/".join(rest))).encode(), {"Content-Type": "application/json"}
        name, revision, file = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        repo = self._repository(name)
        commit = repo.find(revision)
        if file not in repo.commits[commit]:
            raise Missing("EntryNotFound")
        data = repo.commits[commit][file]
        return data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}

    def _told(self, name: str, kind: str, revision: str) -> object:
        repo = self._repository(name)
        if kind == "refs":
            return {"branches": _refs("heads", repo.branches), "tags": _refs("tags", repo.tags), "converts": []}
        files = repo.commits[commit := repo.find(revision)]
        if kind == "tree":
            return [
                {"type": "file", "path": path, "size": len(data), "oid": _oid(data)} for path, data in files.items()
            ]
        return {"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in files]}

    def _repository(self, name: str) -> Repository:
        if name not in self.repositories:
            raise Missing("RepoNotFound")
        return self.repositories[name]


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            status, body, headers = 200, b"", {}
            try:
                body, headers = hub.answer(urlsplit(self.path).path)
            except Missing as error:
                status, headers = 404, {"X-Error-Code": error.code}
            except (LookupError, ValueError):
                status = 400
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def files_of(directory: Path) -> dict[str, bytes]:
    """A directory's files, to be pushed."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def _refs(kind: str, named: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit} for name, commit in named.items()]


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
