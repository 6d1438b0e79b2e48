"""The client of `/v1/embeddings` against a real server process: right vectors, patience, and errors that help."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embeddings_server import Server

from clir_core.errors import ModelError
from clir_core.model import embeddings_api
from clir_core.model.embeddings_api import EmbeddingsClient, key_for

TEXTS = ["Bees dance.", "Die Flut kommt.", "query: how?", "x" * 300, "a"]
KEY = "sk-not-to-be-written-down"


def client(server: Server, dimensions: int | None = None, normalize: bool = True) -> EmbeddingsClient:
    return EmbeddingsClient(server.url, "tiny", dimensions, normalize)


@pytest.fixture
def few_retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Two retries, and none of them waits; returns the seconds that they would have waited."""
    waited: list[float] = []
    monkeypatch.setattr(embeddings_api, "RETRIES", 2)
    monkeypatch.setattr("openai._base_client.time.sleep", waited.append)
    return waited


@pytest.mark.parametrize("base64", [True, False])
def test_vectors_are_those_of_the_served_model(embeddings_server: Server, tiny_model: Path, base64: bool) -> None:
    from sentence_transformers import SentenceTransformer

    embeddings_server.behave(base64=base64)
    with client(embeddings_server) as asked:
        found = asked.embed(TEXTS)
        assert (asked.requests, asked.tokens) == (1, sum(map(len, TEXTS)))
    model = SentenceTransformer(str(tiny_model), device="cpu")
    right = model.encode(TEXTS, prompt="", batch_size=len(TEXTS))
    np.testing.assert_allclose(found, right, atol=1e-6)
    assert found.dtype == np.float32


def test_vectors_get_length_1_unless_dot_products_are_asked_for(embeddings_server: Server) -> None:
    embeddings_server.behave(unit=False, shift=1.0)
    with client(embeddings_server) as asked:
        np.testing.assert_allclose(np.linalg.norm(asked.embed(TEXTS), axis=1), 1, atol=1e-5)
    with client(embeddings_server, normalize=False) as asked:
        assert np.linalg.norm(asked.embed(TEXTS), axis=1).min() > 1.5


def test_dimensions_are_asked_for_where_wanted(embeddings_server: Server) -> None:
    with client(embeddings_server, dimensions=8) as asked:
        assert asked.embed(TEXTS).shape == (5, 8)
    embeddings_server.behave(deaf=True)
    with (
        client(embeddings_server, dimensions=8) as asked,
        pytest.raises(ModelError, match="gives 32 dimensions where 8 were asked for; leave truncate_dim out"),
    ):
        asked.embed(TEXTS)


def test_it_waits_as_long_as_the_server_says(embeddings_server: Server, few_retries: list[float]) -> None:
    embeddings_server.behave(fails=[429, 429], retry_after=7.5)
    with client(embeddings_server) as asked:
        assert asked.embed(TEXTS).shape == (5, 32)
    assert few_retries == [7.5, 7.5]


def test_it_backs_off_where_the_server_breaks(embeddings_server: Server, few_retries: list[float]) -> None:
    embeddings_server.behave(fails=[500, 503])
    with client(embeddings_server) as asked:
        assert asked.embed(TEXTS).shape == (5, 32)
    assert 0 < few_retries[0] <= 0.5 < few_retries[1] <= 1


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        (429, "wait for its limit to pass and run again: what is encoded is kept"),
        (500, "mend the server and run again: what is encoded is kept"),
        (401, "put its key into CLIR_EMBEDDINGS_KEY"),
        (404, "check the address, which usually ends in /v1, and the model's name"),
    ],
)
def test_what_the_server_says_is_passed_on_without_the_key(
    embeddings_server: Server, few_retries: list[float], status: int, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIR_EMBEDDINGS_KEY", KEY)
    embeddings_server.behave(fails=[status] * 3)
    with client(embeddings_server) as asked, pytest.raises(ModelError) as error:
        asked.embed(TEXTS)
    # this server says the key aloud
    assert str(error.value) == (
        f"{embeddings_server.url}#tiny: the server answers {status} (not now, Bearer ***); {way_out}"
    )


def test_a_text_that_is_too_long_is_named(embeddings_server: Server) -> None:
    embeddings_server.behave(longest=200)
    with (
        client(embeddings_server) as asked,
        pytest.raises(ModelError, match=r"answers 400 \(input must have less than 200 characters\), of the text 'xxx"),
    ):
        asked.embed(TEXTS)


def test_a_batch_that_is_too_large_is_halved(embeddings_server: Server) -> None:
    with client(embeddings_server) as asked:
        whole = asked.embed(TEXTS)
        embeddings_server.behave(most=2)
        np.testing.assert_allclose(asked.embed(TEXTS), whole, atol=1e-6)
    assert embeddings_server.told()["sizes"] == [2, 1, 2]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("missing", r"4 vectors of the indices \[1, 2, 3, 4\] came for 5 texts"),
        ("short", r"most vectors have 32 dimensions, but not 'a' \(31\)"),
        ("nan", "NaN or infinity in the vectors of 1 texts, the first 'a'"),
        ("html", "its answer is none of OpenAI's embeddings"),
    ],
)
def test_an_answer_that_is_wrong_is_refused(embeddings_server: Server, spoil: str, message: str) -> None:
    embeddings_server.behave(spoil=spoil)
    with client(embeddings_server) as asked, pytest.raises(ModelError, match=message):
        asked.embed(TEXTS)


def test_a_server_that_is_not_there_is_said_to_be_so(few_retries: list[float], free_port: int) -> None:
    there = EmbeddingsClient(f"http://127.0.0.1:{free_port}/v1", "tiny", None, True)
    with there as asked, pytest.raises(ModelError, match=r"cannot be reached \(.*refused\); does the server run"):
        asked.embed(TEXTS)


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_proxy_is_not_asked_for_this_machine(
    embeddings_server: Server, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    with client(embeddings_server) as asked:
        assert asked.embed(TEXTS).shape == (5, 32)


@pytest.mark.parametrize(
    ("environment", "endpoint", "key"),
    [
        ({}, "http://127.0.0.1/v1", ""),
        ({"CLIR_EMBEDDINGS_KEY": "mine"}, "http://127.0.0.1/v1", "mine"),
        ({"CLIR_EMBEDDINGS_KEY": "mine", "OPENAI_API_KEY": "openai's"}, "https://api.openai.com/v1", "mine"),
        ({"OPENAI_API_KEY": "openai's\n"}, "https://api.openai.com/v1", "openai's"),
        ({"OPENAI_API_KEY": "openai's"}, "https://api.openai.com.evil.example/v1", ""),
        ({"OPENAI_API_KEY": "openai's"}, "http://api.openai.com/v1", ""),
    ],
)
def test_openai_alone_gets_openais_key(
    environment: dict[str, str], endpoint: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLIR_EMBEDDINGS_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert key_for(endpoint) == key


def test_the_key_is_sent_and_nothing_else_of_the_environment(
    embeddings_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, Any] = {"CLIR_EMBEDDINGS_KEY": KEY, "OPENAI_API_KEY": "other", "OPENAI_ORG_ID": "us"}
    for name, value in sent.items():
        monkeypatch.setenv(name, value)
    with client(embeddings_server) as asked:
        asked.embed(TEXTS)
    told = embeddings_server.told()
    assert told["keys"] == [f"Bearer {KEY}"]
    assert not {"openai-organization", "openai-project"} & {*told["headers"]}
