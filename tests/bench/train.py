"""Training speed against sentence-transformers' own trainer: triples a second of the same InfoNCE loss.

Each run is a process of its own, and they take turns; loading is not timed. Both see the same triples once, with the
same batch, lengths, prompts, dropout, rates and threads. The rival runs twice: as it is, and with the memory settings
that our training job gives its processes. It needs `pip install accelerate`.
    python tests/bench/train.py [--xquad DIR] [--steps 12] [--rounds 3]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import torch

from clir_core.align.data import training_triples
from clir_core.align.spec import AlignSpec, LossSpec, OptimiserSpec
from clir_core.align.train.loop import Trainer
from clir_core.align.train.memory import KEEP_FREED_MEMORY
from clir_core.model.checkpoint import BUNDLED, Checkpoint, EncodingSpec, resolve

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))
LANGUAGES = ("zh", "de", "ar", "hi", "th")
RUNS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ours": ("ours", KEEP_FREED_MEMORY),
    "theirs": ("theirs", {}),
    "theirs, memory kept": ("theirs", KEEP_FREED_MEMORY),
}


def ours(checkpoint: Checkpoint, spec: AlignSpec, triples: pl.DataFrame) -> tuple[float, list[float]]:
    """Seconds of the whole training, and the loss of every step."""
    trainer = Trainer(checkpoint, spec, triples, teacher={})
    started = time.perf_counter()
    losses = [trainer.run_step().loss for _ in range(trainer.steps)]
    return time.perf_counter() - started, losses


def theirs(checkpoint: Checkpoint, spec: AlignSpec, triples: pl.DataFrame) -> tuple[float, list[float]]:
    """The same with SentenceTransformerTrainer."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        started = stopped = 0.0

        def on_train_begin(self, *_: object, **__: object) -> None:
            self.started = time.perf_counter()

        def on_train_end(self, *_: object, **__: object) -> None:
            self.stopped = time.perf_counter()

    asked, clock = spec.optimiser, Clock()
    # as anyone would load it, without our linear layers
    model = SentenceTransformer(str(checkpoint.path), device="cpu", model_kwargs={"dtype": torch.float32})
    model.max_seq_length = asked.passage_tokens
    queries = model.tokenizer([checkpoint.query_prompt + text for text in triples["q_en"]])["input_ids"]
    assert max(map(len, queries)) <= asked.query_tokens, "the rival has one length for both sides: take other triples"
    with tempfile.TemporaryDirectory() as scratch:
        arguments = SentenceTransformerTrainingArguments(
            scratch,
            per_device_train_batch_size=asked.batch,
            learning_rate=asked.learning_rate,
            weight_decay=asked.weight_decay,
            warmup_steps=asked.warmup,
            max_grad_norm=asked.clip,
            num_train_epochs=asked.epochs,
            dataloader_drop_last=True,
            prompts={"anchor": checkpoint.document_prompt, "positive": checkpoint.query_prompt},
            logging_strategy="steps",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=spec.seed,
        )
        trainer = SentenceTransformerTrainer(
            model,
            arguments,
            Dataset.from_dict({"anchor": triples["p_x"].to_list(), "positive": triples["q_en"].to_list()}),
            loss=MultipleNegativesRankingLoss(model, scale=1 / spec.loss.temperature),
            callbacks=[clock],
        )
        trainer.train()
    return clock.stopped - clock.started, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def run(who: str, xquad: Path, steps: int, workspace: Path) -> None:
    """One run in this process; prints its seconds and losses as JSON."""
    # every weight moves on both sides; the default leaves the embedding matrix as it is
    loss, optimiser = LossSpec.preset("infonce"), OptimiserSpec(embedding_rate_factor=1.0)
    spec = AlignSpec(triples=steps * optimiser.batch, loss=loss, optimiser=optimiser, languages=LANGUAGES)
    checkpoint = resolve(BUNDLED, EncodingSpec(), workspace / "models", "float32")
    table = training_triples(f"xquad:{xquad}#train", LANGUAGES, spec.triples, spec.seed)
    seconds, losses = {"ours": ours, "theirs": theirs}[who](checkpoint, spec, pl.DataFrame(pl.from_arrow(table)))
    assert len(losses) == steps
    rate = spec.triples / seconds
    print(json.dumps({"rate": rate, "losses": losses}))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--xquad", type=Path, default=XQUAD)
    options.add_argument("--steps", type=int, default=12)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--workspace", type=Path, default=Path(".clir"))
    options.add_argument("--run", choices=("ours", "theirs"), help="only one run, in this process")
    asked = options.parse_args()
    if asked.run:
        run(asked.run, asked.xquad, asked.steps, asked.workspace)
        return
    print(f"{asked.steps} steps of {OptimiserSpec().batch} triples, {torch.get_num_threads()} threads")
    ratios: dict[str, list[float]] = {name: [] for name in RUNS if name != "ours"}
    for round_ in range(asked.rounds):
        # who begins changes, for the machine's sake
        order = list(RUNS) if round_ % 2 else list(RUNS)[::-1]
        found = {name: in_a_process(*RUNS[name]) for name in order}
        for name, result in found.items():
            print(f"{name}: {result['rate']:.2f} triples/s, mean loss {statistics.mean(result['losses']):.3f}")
        for name, known in ratios.items():
            known.append(found["ours"]["rate"] / found[name]["rate"])
    for name, known in ratios.items():
        print(
            f"ours / {name}: {min(known):.2f}, {statistics.median(known):.2f}, {max(known):.2f} (least, median, most)"
        )


def in_a_process(who: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What `run` prints, with this added to the environment."""
    command = [sys.executable, __file__, *sys.argv[1:], "--run", who]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
