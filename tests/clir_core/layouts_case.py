"""Tiny checkpoints of random weights in the layouts that people have, made by the libraries that save them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

H = 32
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
SIZES = {"hidden_size": H, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
PROMPTS = {"query": "query: ", "document": "passage: "}


def raw_tokenizer(frame: bool = True) -> Tokenizer:
    """Any text as bytes, with a mark before and behind it, or behind it alone."""
    words = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    single = "<s> $A </s>" if frame else "$A </s>"
    tokenizer.post_processor = processors.TemplateProcessing(single, special_tokens=[("<s>", 2), ("</s>", 3)])
    return tokenizer


WORDS = raw_tokenizer().get_vocab_size()
TOKENS = {"vocab_size": WORDS, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "initializer_range": 0.4}


def transformer(
    folder: Path, model: PreTrainedModel, frame: bool = True, length: int = 512, **options: object
) -> Transformer:
    """A transformer of that model in a folder of its own, beside what is made of it."""
    chat = {name: options.pop(name) for name in ("padding_side", "chat_template") if name in options}
    marks = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>"}
    folder.mkdir(parents=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw_tokenizer(frame), model_max_length=length, **marks, **chat)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return Transformer(str(folder), **options)


def bert(folder: Path, **options: object) -> Transformer:
    config = BertConfig(**TOKENS, **SIZES, max_position_embeddings=512)
    return transformer(folder, BertModel(config, add_pooling_layer=False), **options)


def xlmr(folder: Path, length: int = 512) -> Transformer:
    config = XLMRobertaConfig(**TOKENS, **SIZES, type_vocab_size=1, max_position_embeddings=length + 2)
    return transformer(folder, XLMRobertaModel(config, add_pooling_layer=False), length=length)


def qwen3(folder: Path, **options: object) -> Transformer:
    config = Qwen3Config(**TOKENS, **SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512)
    return transformer(folder, Qwen3Model(config), frame=False, padding_side="left", **options)


def gemma(folder: Path) -> Transformer:
    heads = {"num_key_value_heads": 1, "head_dim": 8, "query_pre_attn_scalar": 8, "use_bidirectional_attention": True}
    config = Gemma3TextConfig(**TOKENS, **SIZES, **heads, max_position_embeddings=512, sliding_window=32)
    return transformer(folder, Gemma3TextModel(config))


def modernbert(folder: Path) -> Transformer:
    marks = {"cls_token_id": 2, "sep_token_id": 3}
    config = ModernBertConfig(**TOKENS, **SIZES, **marks, max_position_embeddings=512, local_attention=32)
    return transformer(folder, ModernBertModel(config))


def t5(folder: Path) -> Transformer:
    sizes = {"d_model": H, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    config = T5Config(**sizes, vocab_size=WORDS, pad_token_id=0, eos_token_id=3, decoder_start_token_id=0)
    return transformer(folder, T5EncoderModel(config), max_seq_length=256)


def linear(width: int, out: int) -> Dense:
    return Dense(width, out, bias=False, activation_function=nn.Identity())


def static() -> StaticEmbedding:
    weights = np.random.default_rng(0).standard_normal((WORDS, H)).astype(np.float32)
    return StaticEmbedding(raw_tokenizer(), embedding_weights=weights)


CHAT = "{% for m in messages %}<s>{{m['role']}}\n{{m['content']}}</s>\n{% endfor %}"
Build = Callable[[Path], tuple[list[nn.Module], dict[str, object]]]
LAYOUTS: dict[str, Build] = {
    "bert": lambda at: ([bert(at), Pooling(H, "mean"), Normalize()], {"prompts": PROMPTS}),
    "xlmr 8k": lambda at: (
        [xlmr(at, 8192), Pooling(H, "cls"), Normalize()],
        {"prompts": {"query": "q: ", "corpus": "c: "}},
    ),
    "default prompt": lambda at: (
        [bert(at), Pooling(H, "mean")],
        {"prompts": {**PROMPTS, "STS": "same: "}, "default_prompt_name": "STS", "similarity_fn_name": "dot"},
    ),
    "prompt not pooled": lambda at: ([bert(at), Pooling(H, "mean", include_prompt=False)], {"prompts": PROMPTS}),
    "qwen3, left": lambda at: ([qwen3(at), Pooling(H, "lasttoken"), Normalize()], {"prompts": {"query": "Q: "}}),
    "qwen3, chat": lambda at: (
        [qwen3(at, chat_template=CHAT), Pooling(H, "lasttoken"), Normalize()],
        {"prompts": {"query": "Instruct: x"}},
    ),
    "gemma, three more layers": lambda at: (
        [gemma(at), Pooling(H, "mean"), linear(H, 64), linear(64, H), Normalize()],
        {"prompts": PROMPTS},
    ),
    "modernbert": lambda at: ([modernbert(at), Pooling(H, "cls")], {}),
    "t5": lambda at: ([t5(at), Pooling(H, "mean"), linear(H, 24), Normalize()], {}),
    "normalised before the end": lambda at: ([bert(at), Pooling(H, "mean"), Normalize(), Dense(H, 24)], {}),
    "matryoshka": lambda at: ([xlmr(at), Pooling(H, "mean"), Normalize()], {"prompts": PROMPTS, "truncate_dim": 12}),
    "shorter queries": lambda at: ([bert(at, query_length=12, document_length=40), Pooling(H, "mean")], {}),
    "lower case": lambda at: ([bert(at, do_lower_case=True), Pooling(H, "mean")], {}),
    "router": lambda at: (
        [
            Router.for_query_document(
                [bert(at / "q", length=64), Pooling(H, "mean")], [bert(at / "d", length=96), Pooling(H, "mean")]
            ),
            Normalize(),
        ],
        {"prompts": PROMPTS},
    ),
    "router, static queries": lambda at: (
        [Router.for_query_document([static()], [bert(at), Pooling(H, "mean")]), Normalize()],
        {},
    ),
    "static": lambda at: ([static(), Normalize()], {"prompts": PROMPTS}),
}


def made(name: str, folder: Path) -> Path:
    """One of LAYOUTS, saved by sentence-transformers, always of the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts, options = LAYOUTS[name](folder / "parts")
        model = SentenceTransformer(modules=parts, device="cpu", **options)  # type: ignore[arg-type]
        model.save_pretrained(str(folder / "base"), create_model_card=False)
    return folder / "base"


def qwen2(folder: Path) -> Transformer:
    config = Qwen2Config(**TOKENS, **SIZES, num_key_value_heads=2, max_position_embeddings=512)
    return transformer(folder, Qwen2Model(config), frame=False, padding_side="left")


def distilbert(folder: Path) -> Transformer:
    sizes = {"dim": H, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    config = DistilBertConfig(vocab_size=WORDS, pad_token_id=0, initializer_range=0.4, **sizes)
    return transformer(folder, DistilBertModel(config))


def mpnet(folder: Path) -> Transformer:
    config = MPNetConfig(**TOKENS, **SIZES, max_position_embeddings=514)
    return transformer(folder, MPNetModel(config, add_pooling_layer=False))


def plain(folder: Path) -> Path:
    """What transformers alone saves."""
    bert(folder / "plain")
    return folder / "plain"


def causal(folder: Path) -> Path:
    config = Qwen3Config(**TOKENS, **SIZES, num_key_value_heads=2, head_dim=8, max_position_embeddings=512)
    transformer(folder / "plain", Qwen3ForCausalLM(config), frame=False, padding_side="left")
    return folder / "plain"


def wrapped(folder: Path, *parts: nn.Module, **options: object) -> Path:
    """Modules, saved by sentence-transformers."""
    model = SentenceTransformer(modules=list(parts), device="cpu", **options)  # type: ignore[arg-type]
    model.save_pretrained(str(folder / "base"), create_model_card=False)
    return folder / "base"


def stored_as(dtype: torch.dtype) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        part = bert(folder / "parts")
        part.auto_model.to(dtype)
        return wrapped(folder, part, Pooling(H, "mean"))

    return make


def sharded(folder: Path) -> Path:
    part = bert(folder / "parts")
    path = wrapped(folder, part, Pooling(H, "mean"))
    (path / "model.safetensors").unlink()
    part.auto_model.save_pretrained(path, max_shard_size="20KB")
    return path


def first_layout(folder: Path) -> Path:
    """As sentence-transformers 2 saved it: the transformer in a folder, pooling in flags."""
    path = wrapped(folder, bert(folder / "parts"), Pooling(H, "mean"))
    (path / "0_Transformer").mkdir()
    for file in [file for file in path.iterdir() if file.is_file()]:
        file.rename(path / "0_Transformer" / file.name)
    old = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "0_Transformer", "type": f"{old}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{old}.Pooling"},
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    flags = {"word_embedding_dimension": H, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    short = {"max_seq_length": 24, "do_lower_case": True}
    (path / "0_Transformer" / "sentence_bert_config.json").write_text(json.dumps(short))
    return path


def trainers_step(folder: Path) -> Path:
    """With the states of an optimiser and of DeepSpeed, which are pickles."""
    path = folder / "checkpoint-500"
    shutil.copytree(wrapped(folder, bert(folder / "parts"), Pooling(H, "mean")), path)
    (path / "global_step500").mkdir()
    for name in ("optimizer.pt", "rng_state.pth", "training_args.bin", "global_step500/mp_rank_00_model_states.pt"):
        torch.save({"a": torch.ones(2)}, path / name)
    return path


def linked(folder: Path) -> Path:
    """A folder of a module lies elsewhere, as in a cache made of links."""
    dense = Dense(H, H, activation_function=nn.Tanh())
    path = wrapped(folder, bert(folder / "parts"), Pooling(H, "cls"), dense, Normalize())
    shutil.move(path / "2_Dense", folder / "elsewhere")
    (path / "2_Dense").symlink_to(folder / "elsewhere")
    return path


def lora(folder: Path) -> Path:
    from peft import LoraConfig

    base = wrapped(folder / "of", bert(folder / "parts"), Pooling(H, "mean"), Normalize(), prompts=PROMPTS)
    model = SentenceTransformer(str(base), device="cpu")
    model.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"], init_lora_weights=False))
    model.save_pretrained(str(folder / "adapter"), create_model_card=False)
    return folder / "adapter"


def vocabulary(folder: Path) -> Path:
    """WordPiece as a list of words, and no tokenizer.json."""
    path = plain(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (path / name).unlink(missing_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(i) for i in range(97, 123))]
    words += [f"##{chr(i)}" for i in range(97, 123)]
    (path / "vocab.txt").write_text("\n".join(words))
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 128}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


def sentencepiece(folder: Path) -> Path:
    """A sentencepiece model, and no tokenizer.json."""
    import sentencepiece as pieces

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "texts").write_text("Where do bees live? Some live alone, in the ground. Bees make honey.\n" * 20)
    options = {"vocab_size": 60, "hard_vocab_limit": False, "minloglevel": 2}
    pieces.SentencePieceTrainer.train(input=str(folder / "texts"), model_prefix=str(folder / "sp"), **options)
    size = pieces.SentencePieceProcessor(str(folder / "sp.model")).get_piece_size() + 2
    config = XLMRobertaConfig(
        **{**TOKENS, "vocab_size": size, "pad_token_id": 1}, **SIZES, type_vocab_size=1, max_position_embeddings=66
    )
    path = folder / "plain"
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(path)
    shutil.copy(folder / "sp.model", path / "sentencepiece.bpe.model")
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 64}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


# what a directory is, beside those of LAYOUTS that sentence-transformers saves as they are
DIRECTORIES: dict[str, Callable[[Path], Path]] = {
    "transformers alone": plain,
    "transformers alone, causal": causal,
    "first layout of sentence-transformers": first_layout,
    "shards": sharded,
    "stored in bfloat16": stored_as(torch.bfloat16),
    "stored in float16": stored_as(torch.float16),
    "a trainer's step, with DeepSpeed's": trainers_step,
    "a module behind a link": linked,
    "LoRA": lora,
    "vocab.txt alone": vocabulary,
    "sentencepiece alone": sentencepiece,
    "distilbert": lambda at: wrapped(at, distilbert(at / "parts"), Pooling(H, "mean")),
    "mpnet": lambda at: wrapped(at, mpnet(at / "parts"), Pooling(H, "mean"), Normalize()),
    "qwen2, left": lambda at: wrapped(at, qwen2(at / "parts"), Pooling(H, "lasttoken"), Normalize()),
    "weighted mean": lambda at: wrapped(at, bert(at / "parts"), Pooling(H, "weightedmean")),
    "three poolings": lambda at: wrapped(at, bert(at / "parts"), Pooling(H, ("cls", "mean", "max"))),
    "a router behind the pooling": lambda at: wrapped(
        at,
        bert(at / "parts"),
        Pooling(H, "mean"),
        Router.for_query_document([linear(H, H)], [linear(H, H)]),
        Normalize(),
    ),
}
