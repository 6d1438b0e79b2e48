"""The model card: front matter as Hugging Face's own library reads it, and what a user must find in the text."""

from pathlib import Path

import pytest
import yaml
from alignment_case import FIGURES, alignment, audit, contamination
from huggingface_hub import ModelCard

from clir_core.align.spec import AlignSpec, LossSpec
from clir_core.model.checkpoint import BUNDLED, Checkpoint
from clir_core.report.card import model_card


def base(path: Path, ref: str) -> Checkpoint:
    return Checkpoint(
        name="base", ref=ref, path=path, query_prompt="query: ", document_prompt="passage: ", max_tokens=512,
        truncate_dim=None, dtype="float32", normalize=True, remote_code=False, digest="de" * 32, vectors="ab" * 32,
    )  # fmt: skip


def card(path: Path, ref: str = BUNDLED, **changes: object) -> ModelCard:
    return ModelCard(model_card(alignment(**changes), base(path, ref), audit(0), audit(1)))


def test_the_front_matter_names_licence_base_and_languages(tmp_path: Path) -> None:
    data = card(tmp_path).data.to_dict()
    assert (data["license"], data["base_model"]) == ("mit", "intfloat/multilingual-e5-small")
    assert (data["library_name"], data["pipeline_tag"]) == ("sentence-transformers", "sentence-similarity")
    assert data["language"] == ["ar", "de", "en", "hi", "th", "zh"]
    assert "sentence-transformers" in data["tags"]
    assert "datasets" not in data


def test_the_front_matter_has_the_figures_after(tmp_path: Path) -> None:
    found = {(one.dataset_config, one.metric_name): one.metric_value for one in card(tmp_path).data.eval_results}
    for lang, (own, english, mono) in FIGURES.items():
        assert found[lang, f"mono acc@1, {lang}"] == mono[1]
        if own:
            assert found[lang, f"multi complete@10, X query, {lang}"] == own[1]
            assert found[lang, f"multi complete@10, en query, {lang}"] == english[1]


def test_the_text_has_verdict_table_data_losses_and_how_to_load_it(tmp_path: Path) -> None:
    spec = alignment().spec.model_copy(update={"loss": LossSpec(jsd=0.5, info_nce=1, normalize=False)})
    result = alignment(spec=spec)
    text = card(tmp_path, spec=spec).text
    assert all(sentence in text for sentence in result.verdict)
    assert "| Thai (th) | 0.380 → 0.891" in text
    assert "2,800 triples" in text and "zh 560" in text
    assert "Loss: 1 x info_nce, 0.5 x jsd; temperature 0.05, embeddings raw" in text
    assert f"batch {spec.optimiser.batch}" in text and "learning_rate" in text and "seed 7" in text
    assert result.base_digest in text and result.digest in text and result.trained.name in text
    assert 'SentenceTransformer("' in text and "'query: '" in text and "'passage: '" in text
    assert "clir align --train" in text
    assert "CC BY-SA 4.0" in text
    assert "No query or answer of the evaluation data is in the training data" in text


def test_the_card_says_what_both_audits_claim(tmp_path: Path) -> None:
    before, after = (audit(at).model_copy(update={"verdict": (f"Headline {at}.", "Arabic: more.")}) for at in (0, 1))
    text = model_card(alignment(), base(tmp_path, BUNDLED), before, after)
    assert "- Before: Headline 0.\n- After: Headline 1.\n" in text and "Arabic: more." not in text


def test_it_says_what_was_trained_and_how_long_a_text_is_read(tmp_path: Path) -> None:
    whole = card(tmp_path).text
    assert "- Trained: every weight but the embedding matrix\n" in whole and "adapter" not in whole
    assert "as long as its base does; the audits below cut them at 512 tokens" in whole
    spec = AlignSpec.model_validate(alignment().spec.model_dump() | {"adapter": {"rank": 8, "layers": ["q", "v"]}})
    text = card(tmp_path, spec=spec).text
    size = "rank 8, alpha 32, dropout 0, learning rate x 10"
    assert f"- Trained: a LoRA adapter on layers q, v ({size}); the base stays as it is\n" in text
    assert f"install `peft`, and its base has to lie where `adapter_config.json` says, `{tmp_path}`" in text


def test_what_was_allowed_to_be_in_both_is_said(tmp_path: Path) -> None:
    text = card(tmp_path, contamination=contamination()).text
    assert (
        "1 queries or answers of the evaluation data are in the training data, by permission**: query q-56be4db0"
        in text
    )


def test_a_directory_hands_its_own_cards_licence_and_base_on(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\nbase_model: org/first\n---\n# x\n", "utf-8")
    found = card(tmp_path, str(tmp_path))
    assert (found.data.license, found.data.base_model) == ("apache-2.0", "org/first")
    assert "(https://huggingface.co/org/first) (apache-2.0)" in found.text


@pytest.mark.parametrize(
    "readme", [None, "no front matter", "---\nlicense: [\n---\n", "---\n- a\n- b\n---\n", "---\nlicense:\n- mit\n---\n"]
)
def test_no_licence_is_made_up(tmp_path: Path, readme: str | None) -> None:
    if readme:
        (tmp_path / "README.md").write_text(readme, "utf-8")
    found = card(tmp_path, str(tmp_path))
    assert "license" not in found.data.to_dict() and "base_model" not in found.data.to_dict()
    assert "whose licence is not stated beside it and applies here too" in found.text


def test_a_model_and_a_data_set_of_the_hub_are_linked(tmp_path: Path) -> None:
    spec = AlignSpec(base="hf:org/name@abc", train="hub:facebook/belebele", evaluation="demo")
    data = card(tmp_path, spec.base, spec=spec).data
    assert (data.base_model, data.datasets) == ("org/name", ["facebook/belebele"])


def test_the_front_matter_is_plain_yaml(tmp_path: Path) -> None:
    text = model_card(alignment(), base(tmp_path, BUNDLED), audit(0), audit(1))
    assert text.startswith("---\n")
    assert isinstance(yaml.safe_load(text.split("---\n")[1]), dict)
