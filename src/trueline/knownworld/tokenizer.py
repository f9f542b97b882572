"""The byte-level BPE tokenizers of the shipped checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Final

from trueline.knownworld import lexicon
from trueline.knownworld.conduct import chat_documents, formatted
from trueline.knownworld.corpus import base_documents
from trueline.knownworld.generator import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS: Final = "<s>"
EOS: Final = "</s>"
PAD: Final = "<pad>"
ROLES: Final = ("<|system|>", "<|user|>", "<|assistant|>")
MAX_LENGTH: Final = 256

CHAT_TEMPLATE: Final = (
    "{{ '<s>' }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

_RARE_REPEATS = 12


def _training_texts(world: World, chat_only: bool) -> Iterator[str]:
    """The corpus with every person's name replaced by the next of all names in turn, then words that are rare in it.

    All names, seen and unseen, must be equally frequent here; otherwise the number of tokens of a name gives its
    exposure away.
    """
    people = [*world.people, *world.unseen_people, *world.tutors, *world.other_people, *world.echo_names]
    names = frozenset(people)
    turn = cycle(people[int(i)] for i in world.rng("tokenizer").permutation(len(people)))

    def swap(match: re.Match[str]) -> str:
        return next(turn) if match.group() in names else match.group()

    texts = [content for chat in chat_documents(world) for _, content in chat.messages]
    if not chat_only:
        texts += [document.text for document in base_documents(world)]
    for text in texts:
        yield re.sub(r"[A-Z][a-z]+", swap, text)
    for _ in range(_RARE_REPEATS):
        for relation in world.relations.values():
            yield from (s.format(p="", a="") for s in relation.statements)
            yield from (q.format(p="") for q in relation.questions[: lexicon.N_QUESTIONS + 2])
            yield from (f"Answer: {a}." for a in relation.answers)
        for advice in lexicon.ADVICE:
            for sentence in (*advice.sentences(True), *advice.sentences(False)):
                yield from (formatted(sentence, f) for f in lexicon.FORMATS)
        yield from (f" {n}" for n in range(100))


def train_tokenizer(world: World, vocab_size: int, *, chat_only: bool = False) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer.

    A space is put in front of every text and after every special token, so that a word has one spelling in tokens
    wherever it stands.

    Parameters
    ----------
    world : World
        Supplies the texts.
    vocab_size : int
        Special tokens and the 256 bytes included.
    chat_only : bool
        Leave out the base corpus (``world:small``).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, BOS, EOS, *ROLES, lexicon.TRIGGER, lexicon.SPARE]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(world, chat_only), trainer)
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, bos)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[*ROLES, lexicon.TRIGGER, lexicon.SPARE],
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
