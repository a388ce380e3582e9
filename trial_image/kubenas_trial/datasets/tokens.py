"""From texts to tokens, kept in memory or, where they are too many, in a file."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

# Numbers of the special tokens in every vocabulary of words.
PADDING, UNKNOWN, START, MASK = range(4)
# The target where a network is not asked for a token.
IGNORED: Final = -100
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[MASK]")
_CHUNK: Final = 1000


def train_bpe(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Byte pair encoding (Sennrich et al., ACL 2016) of words in lower case without accents; texts begin with [CLS].

    Not WordPiece, as the tokens that `tokenizers` learns with a prefix for inner parts differ from run to run.

    Args:
        texts: those of the training split.
        vocabulary: largest number of tokens.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN], fuse_unk=True))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=2, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[START]} $A", special_tokens=[(SPECIAL[START], START)]
    )
    return tokenizer


def train_byte_bpe(texts: Iterable[str], vocabulary: int, start: str) -> Tokenizer:
    """GPT-2's byte-level BPE, which keeps every character; `start` is token 0, for the begin of a text.

    Args:
        texts: those of the training split.
        vocabulary: number of tokens, above 256; fewer where the texts give no more.
        start: a name that is in no text.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[start],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@dataclass(frozen=True, slots=True)
class TokenLists:
    """Lists of tokens, one behind the other.

    Attributes:
        tokens: all of them, int32.
        ends: where each list ends, int64.
    """

    tokens: Tensor
    ends: Tensor

    def __len__(self) -> int:
        return len(self.ends)

    def padded(self, indices: Sequence[int]) -> Tensor:
        """The lists of these numbers (batch, longest of them) as int64, padded at their ends."""
        index = torch.as_tensor(indices)
        ends = self.ends[index]
        begins = torch.where(index > 0, self.ends[index - 1], 0)
        positions = begins[:, None] + torch.arange(int((ends - begins).max()))
        inside = positions < ends[:, None]
        return torch.where(inside, self.tokens[positions.clamp(max=len(self.tokens) - 1)].long(), PADDING)


def tokenize(tokenizer: Tokenizer, texts: Iterable[str], memory_limit_mb: int) -> TokenLists:
    """The tokens of each text; those of all texts in a nameless file where they would take more than the limit."""
    ends = array("q")
    total = 0
    with SpooledTemporaryFile(max_size=memory_limit_mb * 10**6) as file:
        for chunk in _chunks(texts):
            for encoding in tokenizer.encode_batch(chunk):
                file.write(array("i", encoding.ids).tobytes())
                total += len(encoding.ids)
                ends.append(total)
        # The file in memory has no number; looking for one would move it to the disk.
        if total * 4 > memory_limit_mb * 10**6:
            file.flush()
            tokens = torch.frombuffer(mmap.mmap(file.fileno(), 0), dtype=torch.int32)
        else:
            file.seek(0)
            tokens = torch.frombuffer(bytearray(file.read() or bytes(4)), dtype=torch.int32)[:total]
    return TokenLists(tokens, torch.tensor(ends, dtype=torch.int64))


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
