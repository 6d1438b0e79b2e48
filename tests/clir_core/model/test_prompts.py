"""Whose prompts count: the request's, the checkpoint's, its base model's, or, said aloud, a guess from the name."""

from pathlib import Path

import pytest
from checkpoint_files import LAYERS, as_json, write

from clir_core.model.prompts import Prompts, own_prompts, prompts_of

CARD = b"---\nlibrary_name: sentence-transformers\nbase_model: intfloat/multilingual-e5-small\n---\n# A model\n"


def found(path: Path, query: str | None = None, document: str | None = None) -> Prompts:
    return prompts_of(path, path.name, query, document)


def test_the_same_files_are_read_alike_whatever_their_directory_is_called(tmp_path: Path) -> None:
    step = found(write(tmp_path / "checkpoint-500", {**LAYERS, "README.md": CARD}))
    named = found(write(tmp_path / "multilingual-e5-small-ft", {**LAYERS, "README.md": CARD}))
    assert step == named == Prompts("query: ", "passage: ", "its base model intfloat/multilingual-e5-small")


def test_a_base_model_may_stand_in_a_list_or_in_the_configuration(tmp_path: Path) -> None:
    listed = CARD.replace(b"base_model: ", b"base_model:\n- ")
    assert found(write(tmp_path / "a", {**LAYERS, "README.md": listed})).query == "query: "
    config = as_json({"model_type": "bert", "_name_or_path": "intfloat/e5-base"})
    assert found(write(tmp_path / "b", {**LAYERS, "config.json": config})).document == "passage: "
    broken = b"---\nbase_model: [\n---\n"
    date = b"---\ndate: 2024-99-99\n---\n"
    assert found(write(tmp_path / "e", {**LAYERS, "README.md": date})) == Prompts("", "", "none")
    other = b"---\nbase_model: {name: intfloat/e5-base}\n---\n"
    assert found(write(tmp_path / "d", {**LAYERS, "README.md": other})) == Prompts("", "", "none")
    assert found(write(tmp_path / "c", {**LAYERS, "README.md": broken})) == Prompts("", "", "none")


def test_a_guess_from_the_name_is_said(tmp_path: Path) -> None:
    guess = found(write(tmp_path / "my-e5", LAYERS))
    assert (guess.query, guess.document, guess.origin) == ("query: ", "passage: ", "a guess from the name my-e5")
    assert "guessed from the name 'my-e5'" in guess.notes[0]
    # with both set there is nothing left to doubt
    assert found(tmp_path / "my-e5", "", "") == Prompts("", "", "the request")
    half = found(tmp_path / "my-e5", "ask: ")
    assert (half.query, half.document, half.origin) == (
        "ask: ",
        "passage: ",
        "the request and a guess from the name my-e5",
    )
    assert half.notes == guess.notes


def test_empty_prompts_of_the_checkpoints_own_are_kept_and_a_base_that_has_some_is_named(tmp_path: Path) -> None:
    own = {"config_sentence_transformers.json": as_json({"prompts": {"query": "", "document": None}})}
    assert found(write(tmp_path / "e5-small", {**LAYERS, **own})) == Prompts("", "", "the checkpoint")
    said = found(write(tmp_path / "tuned", {**LAYERS, **own, "README.md": CARD}))
    assert (said.query, said.document, said.origin) == ("", "", "the checkpoint")
    assert "its base model intfloat/multilingual-e5-small is used with 'query: ' and 'passage: '" in said.notes[0]


@pytest.mark.parametrize(
    ("prompts", "default", "query", "document", "note"),
    [
        ({"query": "q: ", "document": "d: "}, None, "q: ", "d: ", ""),
        ({"query": "q: ", "document": "d: ", "STS": "s: "}, "STS", "q: ", "d: ", ""),
        ({"query": "q: ", "document": ""}, None, "q: ", "", ""),
        ({"query": "q: ", "document": "", "passage": "p: "}, None, "q: ", "", "its prompt 'passage' is 'p: '"),
        ({"query": "q: ", "passage": "p: "}, None, "q: ", "p: ", "encode_document would put nothing before them"),
        ({"query": "q: ", "corpus": "c: "}, None, "q: ", "c: ", "documents get its prompt 'corpus'"),
        ({"s2p_query": "a: ", "s2s_query": "b: "}, None, "", "", "s2p_query, s2s_query are neither"),
        ({"query": "", "document": "", "s2p_query": "a: "}, None, "", "", "s2p_query are neither"),
        ({"s2p_query": "a: "}, "s2p_query", "a: ", "a: ", "its default prompt 's2p_query' goes"),
        ({"query": None, "document": None}, None, "", "", ""),
    ],
)  # fmt: skip
def test_a_checkpoints_own_prompts_are_found_by_their_names(
    prompts: dict, default: str | None, query: str, document: str, note: str
) -> None:
    own = own_prompts(prompts, default)
    assert (own.query, own.document, own.origin) == (query, document, "the checkpoint")
    assert note in "".join(own.notes) and bool(note) == bool(own.notes)


@pytest.mark.parametrize(("query", "document"), [("", ""), ("query: ", "passage: "), ("ask: ", "")])
def test_they_are_those_of_encode_query_and_encode_document(
    query: str, document: str, tiny_model: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), device="cpu", prompts={"query": query, "document": document})
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    own = found(tmp_path / "saved")
    for text, ours, kind in (("Wo?", own.query, model.encode_query), ("Da.", own.document, model.encode_document)):
        assert (kind(text) == model.encode(ours + text, prompt="")).all()
