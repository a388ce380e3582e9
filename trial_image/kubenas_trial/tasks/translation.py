"""Translation: trained by teacher forcing, judged by BLEU (Papineni et al., ACL 2002) and chrF (Popović, WMT 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, cast

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.datasets.parallel_text import (
    ParallelTexts,
    detect_aligned,
    detect_table,
    read_aligned,
    read_table,
    split_pairs,
)
from kubenas_trial.datasets.reversible import reversible_pairs
from kubenas_trial.datasets.text_preprocessing import PairPreprocessing
from kubenas_trial.datasets.tokens import PADDING
from kubenas_trial.datasets.translation_data import (
    PairExamples,
    TranslationData,
    TranslationSettings,
    end_of,
    translation_data,
)
from kubenas_trial.networks.base import TokenPairs
from kubenas_trial.networks.decoding import start
from kubenas_trial.networks.seq2seq import SEQ2SEQ
from kubenas_trial.tasks.base import BuiltIn, Format, Task
from kubenas_trial.tasks.token_losses import mean_token_loss, summed_token_loss

_REVERSIBLE_PAIRS = 10_000


def _reversible(settings: TranslationSettings) -> TranslationData:
    return translation_data(split_pairs(reversible_pairs(_REVERSIBLE_PAIRS), settings.split_seed), settings)


def _reader(
    read: Callable[[Path, str | None, str | None, int], ParallelTexts],
) -> Callable[[Path, TranslationSettings], TranslationData]:
    return lambda path, settings: translation_data(
        read(path, settings.source_column, settings.target_column, settings.split_seed), settings
    )


class Translation(Task[TranslationSettings, TranslationData]):
    """Sentences in another language."""

    name = "translation"
    summary = "sentences in another language"
    metric = "bleu"
    preset = "seq2seq"
    epochs = 8
    settings_model = TranslationSettings
    preprocessing_model = PairPreprocessing
    families: ClassVar = {"seq2seq": SEQ2SEQ}
    imported_late = ("sacrebleu.metrics.bleu", "sacrebleu.metrics.chrf")
    built_in: ClassVar = {
        "reversible": BuiltIn("10,000 English sentences in a made-up language that can be turned back", _reversible)
    }
    formats: ClassVar = {
        "tsv": Format(
            "a file with source and target between tabs, or a folder with train.tsv, validation.tsv and test.tsv",
            detect_table,
            _reader(read_table),
        ),
        "aligned": Format(
            "a folder with two files whose lines belong together, such as train.en and train.de, the same for "
            "validation and test",
            detect_aligned,
            _reader(read_aligned),
        ),
    }

    @property
    def preprocessing(self) -> PairPreprocessing:
        """Of sentences."""
        source, target = self.data.source_tokenizer.to_str(), self.data.target_tokenizer.to_str()
        return PairPreprocessing(source=source, target=target, length=self.settings.length)

    @classmethod
    def predict(cls, network: nn.Module, preprocessing: PairPreprocessing, raw: Sequence[str]) -> list[str]:
        """The translation of each sentence."""
        [source] = preprocessing.inputs(raw)
        source = source.to(next(network.parameters()).device)
        return translate(network, source, preprocessing.target_tokenizer, preprocessing.length)

    @property
    def interface(self) -> TokenPairs:
        """Source and target."""
        data = self.data
        return TokenPairs(data.source_vocabulary, data.target_vocabulary, self.settings.length, PADDING)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the target's tokens, each given those before it; with label smoothing."""
        return mean_token_loss(network, batch, PADDING, self.settings.label_smoothing)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """`bleu` and `chrf` of the whole split, from 0 to 100, as sacrebleu has them; mean cross-entropy of a token.

        Translations are decoded greedily.
        """
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415
        from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

        pairs = cast("PairExamples", examples)
        translations: list[str] = []
        loss, tokens = 0.0, 0
        for batch in self.batches(pairs):
            summed, count = summed_token_loss(network, batch, PADDING)
            loss, tokens = loss + summed, tokens + count
            translations += translate(network, batch.inputs[0], self.data.target_tokenizer, self.settings.length)
        references = [list(pairs.references)]
        return {
            "bleu": BLEU().corpus_score(translations, references).score,
            "chrf": CHRF().corpus_score(translations, references).score,
            "loss": loss / tokens,
        }


def translate(network: nn.Module, source: Tensor, tokenizer: Tokenizer, length: int) -> list[str]:
    """The translations of (batch, source length), none much longer than the longest source, so that bad ones end too.

    Args:
        network: from source and target so far to logits, as `Seq2Seq.forward`.
        source: on the network's device.
        tokenizer: the target's.
        length: most tokens of a translation.
    """
    end = end_of(tokenizer)
    target = torch.full_like(source[:, :1], end)
    tokens, going = target[:, 0], torch.arange(len(source), device=source.device)
    decoding = start(network, source)
    for _ in range(min(length - 1, 2 * source.shape[1] + 10)):
        logits, decoding = decoding.step(tokens)
        tokens = logits.argmax(1)
        target = nn.functional.pad(target, (0, 1), value=PADDING)
        target[going, -1] = tokens
        unended = tokens != end
        if not bool(unended.any()):
            break
        # Not at each step, as all keys and values are copied.
        if not bool(unended.all()):
            tokens, going, decoding = tokens[unended], going[unended], decoding.of(unended)
    texts: list[str] = tokenizer.decode_batch(target.tolist())
    return [text.strip() for text in texts]
