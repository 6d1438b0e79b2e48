"""A proxy on the loopback address that writes down what it is asked for, and does nothing for anybody."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Proxy:
    """Its address, and each request line that came, with its headers."""

    url: str
    asked: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """A user's, who has set it for everything and forgotten NO_PROXY."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        return dict.fromkeys(names, self.url) | {"NO_PROXY": "", "no_proxy": ""}


@contextmanager
def proxy() -> Iterator[Proxy]:
    """One on a free port, for as long as the block lasts."""

    class Recording(BaseHTTPRequestHandler):
        def answer(self) -> None:
            told.asked.append(f"{self.requestline}\n{self.headers}")
            self.send_error(502, "this proxy reaches nothing")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_CONNECT = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Recording) as server:
        told = Proxy(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()
