"""Tiny random checkpoints of other kinds: SPLADE, an inference-free one, ColBERT in its three trainers' layouts."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SparseEncoder
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertModel

from clir_core.model.checkpoint import Checkpoint, Kind


def _bert(directory: Path, tokens_of: Path, kind: type[BertModel | BertForMaskedLM]) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(tokens_of)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})  # which ColBERT's queries are filled up with
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def splade(directory: Path, tokens_of: Path) -> Path:
    """Saved by SparseEncoder."""
    model = SparseEncoder(str(_bert(directory / "mlm", tokens_of, BertForMaskedLM)), device="cpu")
    model.save_pretrained(str(directory / "splade"), create_model_card=False)
    return directory / "splade"


def inference_free(directory: Path, tokens_of: Path) -> Path:
    """A Router: a query is the weights of its tokens, a document goes through the model. Compared by cosine."""
    model = SparseEncoder(str(_bert(directory / "mlm2", tokens_of, BertForMaskedLM)), device="cpu")
    tokenizer = model.tokenizer
    weight = torch.rand(len(tokenizer), generator=torch.Generator().manual_seed(1))
    static = SparseStaticEmbedding(tokenizer, weight=weight, frozen=True)
    router = Router.for_query_document(query_modules=[static], document_modules=list(model))
    routed = SparseEncoder(modules=[router], device="cpu", similarity_fn_name="cosine")
    routed.save_pretrained(str(directory / "free"), create_model_card=False)
    return directory / "free"


def multi_vector(directory: Path, tokens_of: Path, similarity: str | None = None) -> Path:
    """Saved by MultiVectorEncoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = _bert(directory / "plain", tokens_of, BertModel)
        model = MultiVectorEncoder(str(plain), device="cpu", similarity_fn_name=similarity)
    made = directory / f"colbert-{similarity}"
    model.save_pretrained(str(made), create_model_card=False)
    return made


def pylate(directory: Path, tokens_of: Path) -> Path:
    """As PyLate saves one: prefixes and lengths beside the prompts, a Dense of its own name, no Normalize."""
    made = multi_vector(directory, tokens_of)
    types = [("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense")]
    modules = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(types)]
    (made / "modules.json").write_text(json.dumps(modules), "utf-8")
    config = {"model_type": "ColBERT", "prompts": {}, "similarity_fn_name": "MaxSim", "query_prefix": "[Q] "}
    config |= {"document_prefix": "[D] ", "query_length": 16, "document_length": 60}
    (made / "config_sentence_transformers.json").write_text(json.dumps(config), "utf-8")
    return made


def stanford(directory: Path, tokens_of: Path) -> Path:
    """As Stanford's code saves one: a projection beside the model, settings in artifact.metadata."""
    made = _bert(directory / "stanford", tokens_of, BertModel)
    config = json.loads((made / "config.json").read_text("utf-8"))
    (made / "config.json").write_text(json.dumps(config | {"architectures": ["HF_ColBERT"]}), "utf-8")
    (made / "artifact.metadata").write_text(json.dumps({"dim": 8, "doc_maxlen": 70, "query_maxlen": 24}), "utf-8")
    weights = {f"bert.{name}": value for name, value in load_file(made / "model.safetensors").items()}
    weights["linear.weight"] = torch.randn(8, 32, generator=torch.Generator().manual_seed(2))
    save_file(weights, made / "model.safetensors", {"format": "pt"})
    return made


def as_checkpoint(path: Path, kind: Kind, query_prompt: str = "", document_prompt: str = "") -> Checkpoint:
    """The directory as an audit reads it."""
    return Checkpoint(
        kind=kind,
        name=path.name,
        ref=str(path),
        path=path,
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        max_tokens=512,
        truncate_dim=None,
        dtype="float32",
        normalize=False,
        remote_code=False,
        digest=str(path),
        vectors=str(path),
    )
