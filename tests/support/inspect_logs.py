"""Logs of Inspect AI, written by Inspect itself with its mock model; ``python tests/support/inspect_logs.py`` makes the stored one anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def output(text: Any, *, logprobs: Any = None, stop: str = "stop") -> Any:
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, ModelUsage

    choice = ChatCompletionChoice(message=ChatMessageAssistant(content=text), stop_reason=stop, logprobs=logprobs)  # type: ignore[arg-type]
    return ModelOutput(model="mockllm/model", choices=[choice], usage=ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10))


def token(text: str, logprob: float, *others: tuple[str, float]) -> Any:
    from inspect_ai.model import Logprob, TopLogprob

    return Logprob(token=text, logprob=logprob, top_logprobs=[TopLogprob(token=t, logprob=v) for t, v in ((text, logprob), *others)])


def write_log(folder: Path, outputs: dict[str, list[Any]], *, epochs: int = 1, **config: Any) -> Path:
    """A log with one question an id, whose answers are ``outputs[id]``; an output that is an exception fails the sample."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import Score, accuracy, scorer
    from inspect_ai.solver import Generate, TaskState, solver

    @solver
    def said() -> Any:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            made = outputs[str(state.sample_id)][state.epoch - 1]
            if isinstance(made, Exception):
                raise made
            state.output = made
            state.messages.append(made.message)
            return state

        return solve

    @scorer(metrics=[accuracy()])
    def verdict() -> Any:
        async def score(state: TaskState, target: Any) -> Score:
            right = target.text in state.output.completion
            value = "N" if state.output.stop_reason == "content_filter" else "C" if right else "I"
            words = state.output.completion.split()
            return Score(value=value, answer=words[-1] if words else "", explanation="looked", metadata={"confidence": "80%"})

        return score

    @scorer(metrics={"*": [accuracy()]})
    def quality() -> Any:
        async def score(state: TaskState, target: Any) -> Score:
            return Score(value={"style": 0.75, "length": len(state.output.completion) / 10})

        return score

    questions = [
        Sample(id=name, input=f"Question {name}?", target="Paris", metadata={"person": k // 2, "tags": ["a"]})
        for k, name in enumerate(outputs)
    ]
    task = Task(dataset=MemoryDataset(questions), solver=said(), scorer=[verdict(), quality()], epochs=epochs, name="capitals")
    (log,) = eval(task, model=get_model("mockllm/model", **config), log_dir=str(folder), display="none", fail_on_error=False)
    return Path(log.location)


def write_capitals(folder: Path) -> Path:
    """Three epochs of: a plain answer with log-probs, an answer after reasoning, a refusal, an error, a truncated one."""
    from inspect_ai.model import ContentReasoning, ContentText, Logprobs

    sure = Logprobs(content=[token("Pa", -0.25, ("Lo", -2.0)), token("ris", -0.5, ("x", -3.0))])
    thought = [ContentReasoning(reasoning="It is on the Seine."), ContentText(text="Paris")]
    outputs = {
        "plain": [output("Paris", logprobs=sure), output("Paris", logprobs=sure), output("Rome")],
        "thought": [output(thought), output("<think>Rome?</think> Rome"), output("<think>never ends")],
        "withheld": [output("No.", stop="content_filter")] * 3,
        "failed": [ValueError("the tool broke"), output("Paris"), output("Paris")],
        "long": [output("I think that the capital is Paris", stop="max_tokens"), output("Paris"), output("Paris")],
    }
    return write_log(folder, outputs, epochs=3)


def main() -> None:
    """Write ``tests/interop/data/capitals.eval`` without what is told of the machine that it was made on."""
    from tempfile import TemporaryDirectory

    from inspect_ai.log import read_eval_log, write_eval_log

    with TemporaryDirectory() as folder:
        log = read_eval_log(str(write_capitals(Path(folder))))
    log.eval.revision = log.eval.task_file = log.eval.dataset.location = None
    log.eval.metadata = None
    for sample in log.samples or ():
        sample.events, sample.events_data, sample.attachments = [], None, {}
        if sample.error is not None:
            sample.error.traceback = sample.error.traceback_ansi = ""
    write_eval_log(log, str(Path(__file__).parents[1] / "interop" / "data" / "capitals.eval"))


if __name__ == "__main__":
    main()
