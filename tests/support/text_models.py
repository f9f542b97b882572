"""Tiny configurations of the families of transformers that models are tested with."""

from __future__ import annotations

from typing import Any

_COMMON = {"bos_token_id": None, "pad_token_id": None, "max_position_embeddings": 128}
_SMALL = {**_COMMON, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
_GEMMA = {**_SMALL, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6}
_EXPERTS = {**_SMALL, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}

#: What a family is called in transformers, and a tiny configuration of it.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"bos_token_id": None, "pad_token_id": None, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
    "llama": ("Llama", _SMALL),
    "mistral": ("Mistral", {**_SMALL, "sliding_window": 7}),
    "qwen2": ("Qwen2", {**_SMALL, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {**_SMALL, "head_dim": 8}),
    "gemma2": ("Gemma2", _GEMMA),
    "gemma3": ("Gemma3Text", {**_GEMMA, "layer_types": ["sliding_attention", "full_attention"]}),
    "mixtral": ("Mixtral", {**_SMALL, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 7}),
    "qwen2_moe": ("Qwen2Moe", {**_EXPERTS, "shared_expert_intermediate_size": 24}),
    "qwen3_moe": ("Qwen3Moe", {**_EXPERTS, "head_dim": 8}),
    # gated convolutions and attention in turn
    "lfm2": ("Lfm2", {**_SMALL, "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
    "mamba": ("Mamba", {"bos_token_id": None, "pad_token_id": None, "hidden_size": 24, "state_size": 4, "num_hidden_layers": 2}),
    "jamba": (  # a state-space layer, then attention with experts
        "Jamba",
        {
            **_SMALL,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "mamba_d_state": 4,
            "mamba_d_conv": 2,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    # its state lives in the modules, not in a cache
    "recurrent_gemma": (
        "RecurrentGemma",
        {**_SMALL, "lru_width": 32, "attention_window_size": 8, "block_types": ["recurrent", "attention"]},
    ),
    "t5": ("T5", {"pad_token_id": 1, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 1}),
    "bart": (
        "Bart",
        {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 3,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": 128,
            "decoder_start_token_id": 1,
            "pad_token_id": 1,
            "forced_eos_token_id": None,
        },
    ),
    # its state is handed around as a list of tensors
    "rwkv": ("Rwkv", {"bos_token_id": None, "pad_token_id": None, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 128}),
}

_LATENT = {"num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
_ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "first_k_dense_replace": 1, "n_shared_experts": 1}
_LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
_WINDOW = {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}
_HEADS = {**_COMMON, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_GPT = {"bos_token_id": None, "pad_token_id": None, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
_BLOOM = {"hidden_size": 32, "n_layer": 2, "n_head": 4, "bos_token_id": None, "pad_token_id": None}
_MAMBA = {"bos_token_id": None, "pad_token_id": None, "hidden_size": 32, "num_hidden_layers": 2}
_SCAN = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_chunk_size": 8}
_DELTA = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "head_dim": 8}
_LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
_ZAMBA = {"num_hidden_layers": 6, "attention_hidden_size": 64, "attention_head_dim": 16, "num_key_value_heads": 4, "n_mamba_heads": 2}

#: Further ones: each layout of attention, positions, experts and states once or more.
FAMILIES |= {
    "apertus": ("Apertus", _SMALL),
    "bloom": ("Bloom", _BLOOM),
    "cohere": ("Cohere", _SMALL),
    "cohere2": ("Cohere2", {**_SMALL, **_WINDOW}),
    "deepseek_v2": ("DeepseekV2", {**_SMALL, **_LATENT, **_ROUTED, "n_group": 1, "topk_group": 1}),
    "deepseek_v3": ("DeepseekV3", {**_SMALL, **_LATENT, **_ROUTED, "n_group": 2, "topk_group": 1}),
    "ernie4_5": ("Ernie4_5", _SMALL),
    "exaone4": ("Exaone4", {**_SMALL, **_WINDOW}),
    "falcon": ("Falcon", {**_HEADS, "alibi": False}),
    "falcon_alibi": ("Falcon", {**_HEADS, "alibi": True}),
    "gemma": ("Gemma", {**_SMALL, "head_dim": 8}),
    "glm4": ("Glm4", {**_SMALL, "head_dim": 8}),
    "glm4_moe": ("Glm4Moe", {**_SMALL, **_ROUTED, "head_dim": 8, "n_group": 1, "topk_group": 1}),
    "gpt_neo": ("GPTNeo", {**_COMMON, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}),
    "gpt_neox": ("GPTNeoX", _HEADS),
    "gpt_oss": ("GptOss", {**_SMALL, **_LOCAL, **_WINDOW, "head_dim": 8}),  # with attention sinks
    "gptj": ("GPTJ", {**_GPT, "rotary_dim": 4}),
    "granite": ("Granite", _SMALL),
    "granitemoe": ("GraniteMoe", {**_SMALL, **_LOCAL}),
    "llama4": ("Llama4Text", {**_SMALL, **_LOCAL, "head_dim": 8, "intermediate_size_mlp": 48, "attention_chunk_size": 16}),
    "ministral": ("Ministral", {**_SMALL, **_WINDOW, "head_dim": 8}),
    "mpt": ("Mpt", {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 128, "bos_token_id": None, "pad_token_id": None}),
    "nemotron": ("Nemotron", _SMALL),
    "olmo": ("Olmo", _SMALL),
    "olmo2": ("Olmo2", _SMALL),
    "olmo3": ("Olmo3", {**_SMALL, **_WINDOW}),
    "olmoe": ("Olmoe", {**_SMALL, "num_experts": 4, "num_experts_per_tok": 2}),
    "opt": ("OPT", {**_HEADS, "ffn_dim": 48, "word_embed_proj_dim": 32, "pad_token_id": 1}),
    "phi": ("Phi", _SMALL),
    "phi3": ("Phi3", {**_SMALL, "sliding_window": 7}),
    "phimoe": ("Phimoe", {**_SMALL, **_LOCAL}),
    "seed_oss": ("SeedOss", {**_SMALL, "head_dim": 8}),
    "smollm3": ("SmolLM3", _SMALL),
    "stablelm": ("StableLm", _SMALL),
    "starcoder2": ("Starcoder2", {**_SMALL, "sliding_window": 7}),
    # with a state that goes from token to token, alone or between layers of attention
    "bamba": ("Bamba", {**_SMALL, **_SCAN, "mamba_expand": 2, "attn_layer_indices": [1]}),
    "falcon_h1": ("FalconH1", {**_SMALL, **_SCAN, "mamba_d_ssm": 64}),
    "falcon_mamba": ("FalconMamba", {**_MAMBA, "state_size": 4}),
    "granitemoehybrid": (
        "GraniteMoeHybrid",
        {**_SMALL, **_SCAN, **_LOCAL, "mamba_expand": 2, "layer_types": ["mamba", "attention"], "shared_intermediate_size": 24},
    ),
    "kimi_linear": (
        "KimiLinear",
        {
            **_EXPERTS,
            **_LATENT,
            **_LINEAR,
            "linear_num_heads": 4,
            "linear_head_dim": 8,
            "first_k_dense_replace": 1,
            "n_group": 1,
            "topk_group": 1,
        },
    ),
    "mamba2": ("Mamba2", {**_MAMBA, "state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8, "expand": 2}),
    "nemotron_h": (
        "NemotronH",
        {
            **_SMALL,
            **_ROUTED,
            "num_hidden_layers": 3,
            "layers_block_type": ["mamba", "moe", "attention"],
            "moe_shared_expert_intermediate_size": 24,
        }
        | {"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "chunk_size": 8, "n_groups": 1},
    ),
    "qwen3_5": ("Qwen3_5Text", {**_SMALL, **_DELTA, **_LINEAR}),
    "qwen3_next": ("Qwen3Next", {**_EXPERTS, **_DELTA, **_LINEAR, "shared_expert_intermediate_size": 24}),
    "zamba": (
        "Zamba",
        {**_SMALL, **_ZAMBA, "attn_layer_period": 3, "attn_layer_offset": 1}
        | {"mamba_d_state": 4, "mamba_d_conv": 2, "mamba_dt_rank": 4, "use_mamba_kernels": False},
    ),
    "zamba2": (
        "Zamba2",
        {**_SMALL, "num_hidden_layers": 3, "layers_block_type": ["mamba", "hybrid", "mamba"], "hybrid_layer_ids": [1], "num_mem_blocks": 1}
        | {"mamba_d_state": 8, "mamba_ngroups": 1, "n_mamba_heads": 8, "mamba_headdim": 8, "chunk_size": 8, "use_mamba_kernels": False},
    ),
    # its linear layers have a cache of their own, which is lost when rows are picked
    "minimax": ("MiniMax", {**_SMALL, **_LINEAR, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "block_size": 8}),
    "xlstm": ("xLSTM", {**_MAMBA, "hidden_size": 64, "num_heads": 2, "chunk_size": 8, "qk_dim_factor": 1.0, "v_dim_factor": 1.0}),
}

#: Those whose state goes from token to token in every layer.
STATEFUL = frozenset({"mamba", "mamba2", "falcon_mamba", "recurrent_gemma", "rwkv", "xlstm"})

_T5 = FAMILIES["t5"][1]
_BART = {**FAMILIES["bart"][1], "bos_token_id": 0, "pad_token_id": 2, "decoder_start_token_id": 0}
#: Encoder-decoders beside T5 and BART.
ENCODER_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    # its logits are not divided by the root of the width, so that they start large, and float32 rounds large numbers more
    "flan": ("T5", {**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "initializer_factor": 0.3}),
    "umt5": ("UMT5", _T5),
    "longt5": ("LongT5", {**_T5, "local_radius": 3, "global_block_size": 4, "encoder_attention_type": "transient-global"}),
    "switch": ("SwitchTransformers", {**_T5, "num_decoder_layers": 2, "num_experts": 2}),
    "pegasus": ("Pegasus", _BART),
    "marian": ("Marian", _BART),
    "mbart": ("MBart", _BART),
    "m2m_100": ("M2M100", _BART),
    "nllb_moe": ("NllbMoe", {**_BART, "num_experts": 2, "encoder_sparse_step": 2, "decoder_sparse_step": 2}),
    "blenderbot": ("Blenderbot", _BART),
    "led": ("LED", {**_BART, "attention_window": 4, "max_encoder_position_embeddings": 128, "max_decoder_position_embeddings": 128}),
    "bigbird_pegasus": ("BigBirdPegasus", {**_BART, "attention_type": "original_full"}),
}
FAMILIES |= ENCODER_DECODERS
