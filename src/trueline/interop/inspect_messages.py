"""Prompts and answers of trueline as chat messages and outputs of Inspect AI, and back."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from trueline.errors import InputError
from trueline.models.base import Generation, Message, Prompt
from trueline.models.server.replies import with_logprobs
from trueline.tasks.pictures import Picture
from trueline.tasks.tables import as_text

if TYPE_CHECKING:
    from inspect_ai.model import ChatCompletionChoice, ChatMessage

#: Key of a message's metadata: what a completion model is shown instead of the turns.
COMPLETION = "trueline_completion"
#: And the whole seed of a sample; providers of others get 31 bits of it.
SEED = "trueline_seed"
#: How trueline calls Inspect's reasons to stop, and the other way round.
_FINISH = {"max_tokens": "length", "model_length": "length", "unknown": None}
_BASE64 = ";base64,"


def messages_of(prompt: Prompt, *, seed: int | None = None) -> list[ChatMessage]:
    """A prompt as chat turns; its text for completion models, and the seed of a sample, go into the last one's metadata."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, Content, ContentImage, ContentText

    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    given = prompt.messages or (Message("user", prompt.text or ""),)
    pictures: list[Content] = [ContentImage(image=_shown(picture)) for picture in prompt.images]
    turns: list[ChatMessage] = []
    for turn in given:
        if turn.role not in kinds:
            raise InputError(f"Inspect has no turns of the role {turn.role!r}; expected {', '.join(kinds)}")
        with_images = pictures if turn.role == "user" else []
        turns.append(kinds[turn.role](content=[*with_images, ContentText(text=turn.content)] if with_images else turn.content))
        pictures = pictures if turn.role != "user" else []
    turns[-1].metadata = {COMPLETION: prompt.text, **({} if seed is None else {SEED: seed})}
    return turns


def prompt_of(turns: list[ChatMessage]) -> Prompt:
    """Turns as a prompt; for a completion model the text that `messages_of` noted, or else the turns' texts one below the other.

    Raises ``InputError`` for an image that is neither here nor a local file: nothing is fetched.
    """
    text = (turns[-1].metadata or {}).get(COMPLETION) if turns else None
    messages = tuple(Message(turn.role, turn.text) for turn in turns)
    parts = [part for turn in turns if not isinstance(turn.content, str) for part in turn.content]
    images = tuple(_picture(part.image) for part in parts if part.type == "image")
    other = next((part.type for part in parts if part.type in ("audio", "video", "document")), None)
    if other is not None:
        raise InputError(f"models of trueline read text and images; this message holds {other}")
    return Prompt(text if isinstance(text, str) else "\n".join(message.content for message in messages), messages, images)


def generation_of(choice: ChatCompletionChoice, *, stops: bool, n_prompt_tokens: int | None = None) -> Generation:
    """One output: text, reasoning, why it ended, and log-probs where they came. stops: whether strings that end an answer were given.

    Raises ``UnusableReply`` for log-probs that are positive or no numbers.
    """
    content, stop = choice.message.content, choice.stop_reason
    thoughts = [] if isinstance(content, str) else [part for part in content if part.type == "reasoning"]
    reasoning = "\n".join(part.summary or "" if part.redacted else part.reasoning for part in thoughts).strip()
    finish = _FINISH.get(stop, stop) if stop != "stop" else ("stop" if stops else "eos")
    made = Generation(as_text(choice.message.text), finish_reason=finish, reasoning=as_text(reasoning) or None)
    if choice.logprobs is not None:
        rows = choice.logprobs.content
        made = with_logprobs(made, [(row.token, row.logprob, [(t.token, t.logprob) for t in row.top_logprobs or ()]) for row in rows])
    made.n_prompt_tokens = n_prompt_tokens
    return made


def _shown(picture: Picture) -> str:
    """A file by its path, which keeps data sets small; bytes as a data URI."""
    if picture.path is not None:
        return picture.path
    data = picture.read()
    kinds = {
        b"\x89PNG": "png",
        b"\xff\xd8\xff": "jpeg",
        b"GIF8": "gif",
        b"RIFF": "webp",
        b"BM": "bmp",
        b"II*\x00": "tiff",
        b"MM\x00*": "tiff",
    }
    kind = next((name for start, name in kinds.items() if data.startswith(start)), "png")
    return f"data:image/{kind}{_BASE64}{base64.b64encode(data).decode()}"


def _picture(image: str) -> Picture:
    if image.startswith("data:") and _BASE64 in image:
        try:
            return Picture(data=base64.b64decode(image.split(_BASE64, 1)[1], validate=True))
        except binascii.Error as error:
            raise InputError(f"an image's data cannot be read: {error}") from error
    if "://" in image or image.startswith("data:"):
        raise InputError(f"the image {image[:80]!r} is neither a local file nor base64 data; nothing is fetched")
    return Picture(path=image)
