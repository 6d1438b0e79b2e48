"""An embedding server of one's own: OpenAI's `/v1/embeddings` over a real checkpoint, in a process of its own.

Run as a program it prints its port once it listens. A POST to /behave changes how it answers, a GET of /told says what
it was asked. As a module: `serving` starts it.
"""

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock
from typing import Any


@dataclass
class Server:
    """A running one. `url` is what an OpenAI client takes for its base."""

    url: str

    def behave(self, **how: Any) -> None:
        """From now on, and forget what was asked: see `_Served`."""
        self._call("/behave", json.dumps(how).encode())

    def told(self) -> dict[str, Any]:
        """Texts that were encoded, keys that came, every request's size, requests at most at once, and stalled ones."""
        return self._call("/told")

    def _call(self, path: str, data: bytes | None = None) -> Any:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + path, data, timeout=30) as answer:
            return json.loads(answer.read())


@contextmanager
def serving(checkpoint: Path) -> Iterator[Server]:
    """A server on a free port of this machine alone, for as long as the block lasts."""
    process = subprocess.Popen([sys.executable, __file__, str(checkpoint)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        port = process.stdout.readline().strip()  # written once it listens
        assert port, "the server did not start"
        yield Server(f"http://127.0.0.1:{port}/v1")
    finally:
        process.kill()
        process.wait()


class _Served:
    """How it answers, beside encoding: `fails`, statuses of the next requests; `retry_after`, with them; `shift`, added
    to every vector, which makes it another model; `noise`; `stalls_after` so many texts; `longest` text in characters;
    `most` texts a request; `spoil`, how an answer is broken; `base64: false`; `unit: false`."""

    def __init__(self, checkpoint: str) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(checkpoint, device="cpu")
        self.model.default_prompt_name = None
        self.lock, self.counting = Lock(), Lock()
        self.how: dict[str, Any] = {}
        self.forget()

    def forget(self) -> None:
        self.texts: list[str] = []
        self.keys: set[str] = set()
        self.headers: set[str] = set()
        self.sizes: list[int] = []
        self.at_once = self.most_at_once = self.stalled = 0

    def answer(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        texts, how = asked["input"], self.how
        if how.get("fails"):
            return how["fails"].pop(0), {"error": {"message": f"not now, {max(self.keys)}"}}
        if len(texts) > how.get("most", 10_000):
            return 422, {"error": f"batch size {len(texts)} > maximum allowed batch size {how['most']}"}
        if any(len(text) > how.get("longest", 10_000) for text in texts):
            return 400, {"error": {"message": f"input must have less than {how['longest']} characters"}}
        if len(self.texts) >= how.get("stalls_after", 10_000):
            with self.counting:
                self.stalled += 1
            Event().wait()
        with self.lock:
            vectors = self.model.encode(texts, normalize_embeddings=how.get("unit", True), batch_size=len(texts))
            self.texts += texts
            self.sizes.append(len(texts))
        vectors = vectors + how.get("shift", 0.0)
        if how.get("noise"):
            import numpy as np

            vectors = vectors + np.random.default_rng(len(self.texts)).normal(0, how["noise"], vectors.shape)
        if asked.get("dimensions") and not how.get("deaf"):
            vectors = vectors[:, : asked["dimensions"]]
        return 200, self._body(asked, vectors.astype("float32"), how.get("spoil", ""))

    def _body(self, asked: dict[str, Any], vectors: Any, spoil: str) -> dict[str, Any]:
        if spoil == "nan":
            vectors[-1] = float("nan")
        in_base64 = asked.get("encoding_format") == "base64" and self.how.get("base64", True)
        shown = [base64.b64encode(row.tobytes()).decode() if in_base64 else row.tolist() for row in vectors]
        data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(shown)]
        data.reverse()  # their order is none
        if spoil == "missing":
            data.pop()
        if spoil == "short":
            data[0]["embedding"] = vectors[0][:-1].tolist()
        if spoil == "html":
            return {"hello": "world"}
        tokens = sum(map(len, asked["input"]))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": asked["model"], "data": data, "usage": usage}


def _handler(served: _Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = ("texts", "sizes", "most_at_once", "stalled")
            told = {name: getattr(served, name) for name in names}
            self._send(200, {**told, "keys": sorted(served.keys), "headers": sorted(served.headers)})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/behave":
                served.how = asked
                served.forget()
                return self._send(200, {})
            if self.path != "/v1/embeddings":
                return self._send(404, {"detail": "Not Found"})
            with served.counting:
                served.keys.add(self.headers.get("Authorization", ""))
                served.headers |= {name.lower() for name in self.headers}
                served.at_once += 1
                served.most_at_once = max(served.most_at_once, served.at_once)
            try:
                self._send(*served.answer(asked))
            finally:
                with served.counting:
                    served.at_once -= 1

        def _send(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            if status >= 400 and "retry_after" in served.how:
                self.send_header("Retry-After", str(served.how["retry_after"]))
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(_Served(sys.argv[1]))) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
