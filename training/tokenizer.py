"""Trains the byte-level BPE of the model on its captions: `python -m training.tokenizer --out DIR`.

Everything but vocabulary and merges (normaliser, split regex, special tokens, template) is that of the tiny
model, which is Qwen3's, so one code path serves all models. The same captions give the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, trainers

from training.config import MODELS, TextEncoderSizes
from training.data import caption_of
from training.files import write_text

SOURCE = Path(__file__).resolve().parent.parent / "models" / "tiny" / "tokenizer"
CAPTIONS = 20_000
BYTES = 256
TEMPLATE = "user\nassistant\n\n\n\n"
COMMON = (
    "the be to of and a in that have it for not on with he as you do at this but his by from they we say her "
    "she or an will my one all would there their what so up out if about who get which go me when make can "
    "like time no just him know take people into year your good some could them see other than then now look "
    "only come its over think also back after use two how our work first well way even new want because "
    "any these give day most us please draw paint show picture image photo drawing"
)


def train_tokenizer(texts: Iterable[str], vocab_size: int, out: Path) -> None:
    """Writes tokenizer.json, tokenizer_config.json and the template to the folder `out`.

    `vocab_size` counts the special tokens too.
    """
    value: dict[str, Any] = json.loads((SOURCE / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(json.dumps(value))
    added = value["added_tokens"]
    trained = Tokenizer(models.BPE())
    trained.normalizer, trained.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    trained.decoder = decoders.ByteLevel()
    old = value["model"]["vocab"]
    alphabet = sorted(old, key=old.__getitem__)[:BYTES]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(added), initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    trained.train_from_iterator(texts, trainer)
    merges = [list(merge) for merge in json.loads(trained.to_str())["model"]["merges"]]
    vocab = {token: number for number, token in enumerate(alphabet)}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    value["model"].update(vocab=vocab, merges=merges)
    for number, token in enumerate(added, len(vocab)):
        token["id"] = number
    write_text(out / "tokenizer.json", json.dumps(value, ensure_ascii=False, indent=1) + "\n")
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        write_text(out / name, (SOURCE / name).read_text(encoding="utf-8"))


def training_texts(captions: int) -> Iterator[str]:
    """Captions of the training split, then the template and common words."""
    for seed in range(captions):
        yield caption_of("train", seed)
    for _ in range(max(captions // 100, 4)):
        yield TEMPLATE
        yield COMMON


def write_tokenizer(sizes: TextEncoderSizes, out: Path, captions: int = CAPTIONS) -> None:
    """The tokenizer of a model of these sizes, in the folder `out`."""
    train_tokenizer(training_texts(captions), sizes.vocab_size, out)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, default="mini")
    parser.add_argument("--captions", type=int, default=CAPTIONS)
    arguments = parser.parse_args()
    write_tokenizer(MODELS[arguments.model].text_encoder, arguments.out, arguments.captions)


if __name__ == "__main__":
    main()
