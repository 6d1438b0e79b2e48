"""A client of OpenAI's `/v1/embeddings`, whoever serves it: every answer is checked, tokens are counted.

The key comes from the environment alone, and stands in no error, log or result.
"""

import os
from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from urllib.parse import urlsplit

import numpy as np
import openai

from clir_core.errors import ModelError, VectorsError, first_line
from clir_core.model.given import check_lengths, unit, unusable

KEY, OPENAI_KEY, OPENAI_HOST = "CLIR_EMBEDDINGS_KEY", "OPENAI_API_KEY", "api.openai.com"
RETRIES = 8  # with back-off: about 40 s, or as long as the server's Retry-After says, up to 2 minutes each
PATIENCE = 120.0  # seconds for one answer
SHOWN = 60
_HERE = ("localhost", "127.0.0.1", "::1")
# what a server says to a text that is too long, and to a batch that is too large
_TOO_MUCH = (400, 413, 422)


class EmbeddingsClient:
    """One model of one server. `dimensions` are asked for where given; vectors get length 1 where `normalize`.

    Safe to use from several threads. `tokens` and `requests` are counted, as the server tells them.
    """

    def __init__(self, endpoint: str, model: str, dimensions: int | None, normalize: bool) -> None:
        self._name, self._model = f"{endpoint}#{model}", model
        self._dimensions, self._normalize = dimensions, normalize
        self.tokens = self.requests = 0
        self._lock = Lock()
        host = urlsplit(endpoint).hostname or ""
        self._key = key_for(endpoint)
        # a proxy is for others: a server of this machine is asked itself
        http = openai.DefaultHttpxClient(trust_env=host not in _HERE)
        self._client = openai.OpenAI(
            base_url=endpoint,
            api_key=self._key or "none",  # the client will not do without
            max_retries=RETRIES,
            timeout=PATIENCE,
            http_client=http,
        )
        if host != OPENAI_HOST:
            self._client.organization = self._client.project = None  # the environment's, and OpenAI's alone

    def __enter__(self) -> "EmbeddingsClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of a batch of texts, float32 [texts, dim]. ModelError that says what the server said, and of which.

        A batch that the server finds too large is halved.
        """
        try:
            return self._asked(texts)
        except openai.APIStatusError as error:
            if error.status_code not in _TOO_MUCH or len(texts) == 1:
                which = f", of the text {texts[0][:SHOWN]!r}" if len(texts) == 1 else ""
                said, way_out = self._without_key(_message(error)), _way_out(error.status_code)
                raise ModelError(
                    f"{self._name}: the server answers {error.status_code} ({said}){which}; {way_out}"
                ) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            said = self._without_key(f"{type(cause).__name__}: {first_line(cause)}")
            raise ModelError(f"{self._name}: cannot be reached ({said}); does the server run?") from None
        except (openai.OpenAIError, ValueError) as error:
            said = self._without_key(f"{type(error).__name__}: {first_line(error)}")
            raise ModelError(f"{self._name}: its answer is none of OpenAI's embeddings ({said})") from None
        half = len(texts) // 2
        return np.concatenate([self.embed(texts[:half]), self.embed(texts[half:])])

    def _asked(self, texts: Sequence[str]) -> np.ndarray:
        asked = self._dimensions or openai.omit
        answer = self._client.embeddings.create(model=self._model, input=list(texts), dimensions=asked)
        with self._lock:
            self.requests += 1
            self.tokens += (answer.usage and answer.usage.total_tokens) or 0
        rows = {one.index: one.embedding for one in answer.data}
        if len(answer.data) != len(texts) or rows.keys() != set(range(len(texts))):
            raise ModelError(
                f"{self._name}: {len(answer.data)} vectors of the indices {sorted(rows)[:SHOWN]} came for {len(texts)} "
                "texts; it must answer each by its index"
            )
        return self._checked(texts, [rows[at] for at in range(len(texts))])

    def _checked(self, texts: Sequence[str], rows: list[list[float]]) -> np.ndarray:
        shown = [repr(text[:SHOWN]) for text in texts]
        try:
            check_lengths(self._name, shown, [len(row) for row in rows])
        except VectorsError as error:
            raise ModelError(str(error)) from None
        vectors_NH = np.asarray(rows, np.float32)
        if self._dimensions and vectors_NH.shape[1] != self._dimensions:
            raise ModelError(
                f"{self._name}: gives {vectors_NH.shape[1]} dimensions where {self._dimensions} were asked for; leave "
                "truncate_dim out, or serve a model that knows `dimensions`"
            )
        for wrong, those in unusable(shown, vectors_NH, self._normalize).items():
            raise ModelError(f"{self._name}: {wrong} in the vectors of {len(those)} texts, the first {those[0]}")
        return unit(vectors_NH) if self._normalize else vectors_NH

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def key_for(endpoint: str) -> str:
    """The key to send: CLIR_EMBEDDINGS_KEY; to OpenAI itself, OPENAI_API_KEY too, which is nobody else's business."""
    url = urlsplit(endpoint)
    own = os.environ.get(KEY, "").strip()
    is_openai = (url.scheme, url.hostname) == ("https", OPENAI_HOST)
    return own or (os.environ.get(OPENAI_KEY, "").strip() if is_openai else "")


def _message(error: openai.APIStatusError) -> str:
    """The server's own words: OpenAI's form, FastAPI's, or the body as it is."""
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or body.get("detail") or body
    return " ".join(str(body or error.message).split())[:500]


def _way_out(status: int) -> str:
    if status in (401, 403):
        return f"put its key into {KEY}"
    if status == 404:
        return "check the address, which usually ends in /v1, and the model's name"
    if status == 429:
        return "wait for its limit to pass and run again: what is encoded is kept"
    if status in _TOO_MUCH:
        return "shorten it, or have the server cut what is too long"
    return "mend the server and run again: what is encoded is kept"
