"""Probe prompts: P(True) and verbalised confidence, asked once an item after its answer is known.

P(True): Kadavath et al. 2207.05221. Verbalised 1S / 2S: Tian et al. 2305.14975. SelfCheck: Manakul et al. 2303.08896.
A task may override each text (``Task.prompts``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trueline.models.base import Message, Prompt
from trueline.tasks.item import Item, Task
from trueline.tasks.sentences import sentences

#: Options of the P(True) probe: the first one says "true".
P_TRUE_OPTIONS = ("A", "B")

PROMPTS = {
    "p_true": ("Question: {question}\nProposed answer: {answer}\nIs the proposed answer true?\n(A) True\n(B) False"),
    "verbalized_1s": (
        "{question}\nReply in exactly two lines and with no other words:\nAnswer: <your answer>\n"
        "Probability: <the probability that your answer is right, a number from 0.0 to 1.0>"
    ),
    "verbalized_2s": (
        "What is the probability that your answer is right? Reply with one number from 0.0 to 1.0 and no other words, "
        "in the form\nProbability: <number>"
    ),
    "verbalized_topk": (
        "{question}\nGive your 4 best guesses and the probability that each is right, a number from 0.0 to 1.0. Reply in this form "
        "and with no other words:\nG1: <best guess>\nP1: <its probability>\n... and so on to\nG4: <guess>\nP4: <its probability>"
    ),
    "verbalized_linguistic": (
        "{question}\nReply in exactly two lines and with no other words:\nAnswer: <your answer>\n"
        "Confidence: <how likely it is that your answer is right, one of: almost certain, highly likely, very good chance, likely, "
        "probably, better than even, about even, probably not, unlikely, little chance, highly unlikely, almost no chance>"
    ),
    "selfcheck_prompt": (
        "Context: {sample}\nSentence: {sentence}\nIs the sentence supported by the context above? Reply with yes or no and nothing else."
    ),
}

#: Why a probe about the answer was not asked.
NO_ANSWER = "not asked: the item has no greedy answer"
#: Longest reply to ``selfcheck_prompt``, and why there is none.
SUPPORT_TOKENS = 8
NOTHING_TO_SUPPORT = "not asked: the item has no sentence or no sample to compare"

#: What is said after the answer when its attention is read (CSL).
ELICIT = "Read the answer again. Is it right? Reply with yes or no."

#: Added to the text above for chat models, which would rather explain themselves.
_INSTRUCTIONS = {"p_true": "\nReply with the letter only."}
#: What a completion model is left to continue.
_CUES = {
    "p_true": "\nLetter:",
    "verbalized_1s": "\nAnswer:",
    "verbalized_2s": "\nProbability:",
    "verbalized_topk": "\nG1:",
    "verbalized_linguistic": "\nAnswer:",
    "selfcheck_prompt": "\nReply:",
}


def answer_prompt(item: Item, task: Task) -> Prompt:
    """How the item's question is put to the model: chat turns, and a text for completion models."""
    text = item.prompt_text if item.prompt_text is not None else task.template.replace("{question}", item.question)
    return Prompt(text=text, messages=_turns(item, task), images=item.images)


def probe_prompt(name: str, item: Item, task: Task, answer: str) -> Prompt:
    """The prompt of one probe about ``item`` whose answer was ``answer``."""
    template = task.prompts.get(name, PROMPTS[name])
    # quoted inside a sentence, an answer loses its own full stop
    body = _fill(template, question=item.question, answer=answer.removesuffix("."))
    if name == "verbalized_2s":
        asked = answer_prompt(item, task)
        turns = (*asked.messages, Message("assistant", answer), Message("user", body))
        return Prompt(text=f"{asked.text} {answer}\n{body}{_CUES[name]}", messages=turns, images=item.images)
    system = (Message("system", task.system),) if task.system else ()
    told = "" if name in task.prompts else _INSTRUCTIONS.get(name, "")
    return Prompt(text=body + _CUES[name], messages=(*system, Message("user", body + told)), images=item.images)


def support_prompt(task: Task, sentence: str, sample: str) -> Prompt:
    """Does a sample support a sentence of the answer? (SelfCheckGPT)"""
    body = _fill(task.prompts.get("selfcheck_prompt", PROMPTS["selfcheck_prompt"]), sentence=sentence, sample=sample)
    system = (Message("system", task.system),) if task.system else ()
    return Prompt(text=body + _CUES["selfcheck_prompt"], messages=(*system, Message("user", body)))


def support_prompts(task: Task, answer: str, samples: Sequence[str]) -> list[Prompt]:
    """The question of each sentence of the answer and each sample, samples fastest."""
    return [support_prompt(task, sentence, sample) for sentence in sentences(answer) for sample in samples]


def _turns(item: Item, task: Task) -> tuple[Message, ...]:
    turns = tuple(Message(role, content) for role, content in item.messages) or (Message("user", item.question),)
    if task.system and turns[0].role != "system":
        return (Message("system", task.system), *turns)
    return turns


def _fill(template: str, **fields: str) -> str:
    """Replace ``{name}`` in one pass, so that braces inside a question or an answer stay what they are."""
    pattern = "|".join(re.escape("{" + name + "}") for name in fields)
    return re.sub(pattern, lambda match: fields[match.group()[1:-1]], template)
