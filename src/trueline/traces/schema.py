"""The columns of a trace: one row a generation, ragged numbers as Arrow lists. Log-probs are natural logs, entropies nats."""

from __future__ import annotations

import pyarrow as pa

#: Greedy answers in which one token was replaced: at the least certain token, the surest, and the largest rise of entropy.
PERTURBATIONS = ("perturb_max_entropy", "perturb_min_entropy", "perturb_max_increase")
#: Kinds of rows. ``greedy`` and ``sample`` answer the item's question; the others are probes about it.
KINDS = (
    "greedy",
    "sample",
    "p_true",
    "verbalized_1s",
    "verbalized_2s",
    "verbalized_topk",
    "verbalized_linguistic",
    "selfcheck_prompt",
    *PERTURBATIONS,
)

FORMAT_VERSION = 1

#: Which tokens of a generation its token columns are read for.
SPANS = ("answer", "reasoning", "all")

_FLOATS = pa.list_(pa.float64())
_STATES = pa.list_(pa.list_(pa.float32()))

SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("item_index", pa.int64()),  # position in the task: the stable order of a run
        ("kind", pa.string()),
        ("draw", pa.int32()),  # 0 for greedy and probes of one reply
        ("text", pa.string()),  # null when the generation failed
        ("error", pa.string()),  # why it failed
        ("finish_reason", pa.string()),  # eos | stop | length | a server's own word (refusal, tool_calls, ...) | null (unknown)
        ("n_prompt_tokens", pa.int32()),
        ("n_tokens", pa.int32()),
        ("tokens", pa.list_(pa.int32())),
        ("token_texts", pa.list_(pa.string())),  # greedy, for colouring; of samples where an estimator asks for it
        # log-probs of the model's own law, whatever the sampling law, unless logprob_law says otherwise
        ("token_logprobs", _FLOATS),
        ("logprob_law", pa.string()),  # model | scaled | choices (over given answers) | null (no log-probs)
        # the sampling law and its seed; null for greedy decoding; unknown for imported rows
        ("temperature", pa.float64()),
        ("top_p", pa.float64()),
        ("top_k", pa.int32()),
        ("seed", pa.int64()),
        # statistics of each step's next-token law over the vocabulary
        ("token_entropy", _FLOATS),
        ("token_mean_logp", _FLOATS),  # mean over the finite log-probs
        ("token_n_finite", _FLOATS),
        ("token_max_logp", _FLOATS),
        ("token_second_logp", _FLOATS),
        ("token_renyi", _FLOATS),  # Renyi divergence from uniform, alpha 0.5, temperature 2
        ("token_fisher_rao", _FLOATS),  # Fisher-Rao distance from uniform, temperature 2
        ("topk_ids", pa.list_(pa.list_(pa.int32()))),
        ("topk_logprobs", pa.list_(_FLOATS)),
        ("topk_texts", pa.list_(pa.list_(pa.string()))),  # from servers, which send no ids; else of the greedy answer, on demand
        ("reasoning", pa.string()),  # what came before the answer; null: none. Of an output without an answer, all of it
        ("reasoning_span", pa.list_(pa.int32())),  # [start, end) of its tokens, tags left out
        ("answer_start", pa.int32()),  # position of the answer's first token; null where there is no reasoning, or it is not known
        # probes with fixed options: log-prob of each option as the continuation
        ("options", pa.list_(pa.string())),
        ("option_logprobs", _FLOATS),
        ("perturbed_at", pa.int32()),  # perturbed answers: position of the replaced token, from 0
        # what only a white box shows; null unless an estimator asked for it
        ("prior_logprobs", _FLOATS),  # greedy: the same tokens after an empty prompt
        ("n_layers", pa.int32()),
        ("hidden_layers", pa.list_(pa.int32())),  # which layers the hidden states are of: 1 is the first block's output
        ("hidden_prompt", _STATES),  # greedy: (layers, width), last token of the prompt
        ("hidden_last", _STATES),  # last token of the answer, the end-of-sequence token left out
        ("hidden_mean", _STATES),  # mean over the tokens of the answer
        ("attn_prev", pa.list_(_STATES)),  # greedy: (layers, heads, T - 1), attention of each token to the one before it
        ("attn_diag_logsum", _FLOATS),  # greedy: (layers,), sum over tokens of log A[t, t], mean over heads
        ("csl_attention", pa.list_(_STATES)),  # greedy: (layers, heads, T), from the end of an eliciting prompt to each token
    ],
    metadata={"trueline.trace": str(FORMAT_VERSION)},
)

COLUMNS = tuple(SCHEMA.names)
