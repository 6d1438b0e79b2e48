"""References of servers, and how a server's model is known by its answers, against a real server process."""

from pathlib import Path
from typing import Any

import pytest
from embeddings_server import Server
from pydantic import ValidationError

from clir_core.audit.spec import AuditSpec
from clir_core.errors import ModelError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, check_unchanged, resolve
from clir_core.model.served import ServedRef, parse

SECRETS = [
    "http://me:hunter2@host/v1#m",
    "https://hunter2@host/v1#m",
    "http://host/v1?key=hunter2#m",
    "http://host/v1?api_key=hunter2#m",
    "http://host/v1?access-token=hunter2#m",
    "vectors:s3://me:hunter2@bucket/x?table=t",
]


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("http://127.0.0.1:8000/v1#BAAI/bge-m3", ("http://127.0.0.1:8000/v1", "BAAI/bge-m3", True)),
        ("http://h:11434/v1/#nomic-embed-text:latest", ("http://h:11434/v1", "nomic-embed-text:latest", True)),
        ("https://h/v1/embeddings#m", ("https://h/v1", "m", True)),
        ("https://h/v1?similarity=dot#m", ("https://h/v1", "m", False)),
    ],
)
def test_a_reference_is_an_address_and_a_model(ref: str, found: tuple[str, str, bool]) -> None:
    assert parse(ref) == ServedRef(*found)
    assert parse(str(parse(ref))) == parse(ref)


@pytest.mark.parametrize("ref", ["http://h/v1", "http:///v1#m", "http://h/v1?similarity=l2#m", "http://h/v1?x=1#m"])
def test_what_is_no_reference_is_refused(ref: str) -> None:
    with pytest.raises(ModelError, match="a served model is written http://HOST:PORT/v1#MODEL"):
        parse(ref)


@pytest.mark.parametrize("ref", SECRETS)
def test_a_secret_is_refused_and_not_repeated(ref: str) -> None:
    with pytest.raises(ValidationError) as error:
        AuditSpec(model=ref)
    (told,) = error.value.errors()
    assert "a server's key as CLIR_EMBEDDINGS_KEY" in told["msg"] and "hunter2" not in told["msg"]
    with pytest.raises(ModelError) as refused:
        resolve(ref, EncodingSpec(), Path("nowhere"), "float32")
    assert "hunter2" not in str(refused.value)


def resolved(server: Server, cache: Path, **encoding: Any) -> Checkpoint:
    return resolve(f"{server.url}#tiny", EncodingSpec(**encoding), cache, "bfloat16")


def test_a_server_is_known_by_its_answers(embeddings_server: Server, tmp_path: Path) -> None:
    first = resolved(embeddings_server, tmp_path)
    assert (first.kind, first.name, first.dtype) == ("served", "tiny", "float32")
    assert first.notes == (
        "how many tokens the server reads, and what it puts before a text, is not known",
        "no prompt is put before queries and documents; encoding.query_prompt and encoding.document_prompt set them",
    )
    assert resolved(embeddings_server, tmp_path) == first
    assert embeddings_server.told()["sizes"] == [5, 1, 1, 1, 1, 1, 5]
    check_unchanged(first, tmp_path)
    embeddings_server.behave(shift=0.01)
    with pytest.raises(ModelError, match="answers the same texts otherwise than before, so its model changed"):
        check_unchanged(first, tmp_path)
    other = resolved(embeddings_server, tmp_path)
    assert other.digest != first.digest and other.vectors != first.vectors
    embeddings_server.behave()
    assert resolved(embeddings_server, tmp_path) == first, "both are kept"


def test_noise_in_the_last_bits_is_no_other_model(embeddings_server: Server, tmp_path: Path) -> None:
    """As of a server that computes in 16 bits, whose answers depend on what else it is asked."""
    embeddings_server.behave(noise=1e-3)
    first = resolved(embeddings_server, tmp_path)
    assert "the server's answers to one text differ by up to" in first.notes[-1]
    for _ in range(5):
        assert resolved(embeddings_server, tmp_path).digest == first.digest
    embeddings_server.behave(shift=0.05)
    assert resolved(embeddings_server, tmp_path).digest != first.digest


def test_a_server_that_answers_anything_is_refused(embeddings_server: Server, tmp_path: Path) -> None:
    embeddings_server.behave(noise=0.1)
    with pytest.raises(ModelError, match=r"so no audit of it could be repeated; do several models answer"):
        resolved(embeddings_server, tmp_path)


def test_prompts_and_dimensions_are_part_of_its_vectors(embeddings_server: Server, tmp_path: Path) -> None:
    bare = resolved(embeddings_server, tmp_path)
    prompted = resolved(embeddings_server, tmp_path, query_prompt="query: ")
    short = resolved(embeddings_server, tmp_path, truncate_dim=8)
    assert prompted.digest == bare.digest != short.digest
    assert prompted.prompt("query") == "query: " and len(prompted.notes) == 1
    assert len({bare.vectors, prompted.vectors, short.vectors}) == 3
