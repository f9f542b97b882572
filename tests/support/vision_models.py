"""Tiny random vision-language models of several families, with processors that are built here."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from trueline.tasks.pictures import Picture

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}: {% for p in m.content %}"
    "{% if p.type == 'image' %}IMAGE{% else %}{{ p.text }}{% endif %}{% endfor %}|{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)
_PADS = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]


def picture(seed: int, width: int = 20, height: int = 24) -> Picture:
    """A PNG of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(noise).save(held, "PNG")
    return Picture(data=held.getvalue())


def vision_model(family: str, tokenizer: Any, *, chat: bool = False) -> tuple[Any, Any]:
    """A network and its processor; ``tokenizer`` gets the special tokens of the family."""
    marks = {
        "llava": ["<image>"],
        "idefics3": ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<row_1_col_1>"],
        "qwen2_vl": _PADS,
        "qwen3_5": _PADS,
        "qwen2_5_vl": _PADS,
        "gemma3": ["<start_of_image>", "<image_soft_token>", "<end_of_image>"],
        "paligemma": ["<image>"],
    }[family]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    makers = {"llava": _llava, "idefics3": _idefics3, "qwen2_vl": _qwen2_vl, "qwen3_5": _qwen3_5, "gemma3": _gemma3}
    makers |= {"qwen2_5_vl": _qwen2_5_vl, "paligemma": _paligemma}
    config, processor = makers[family](tokenizer)
    if chat:
        processor.chat_template = TEMPLATE.replace("IMAGE", marks[0])
    torch.manual_seed(3)
    network = transformers.AutoModelForImageTextToText.from_config(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(0, 0.5)  # Gemma's projection starts at zero: nothing would be seen
            elif parameter.ndim > 1:
                parameter.mul_(16 if family == "paligemma" else 4)  # whose features are divided by the root of the width
    return network.eval(), processor


def _text(tokenizer: Any, **changes: Any) -> dict[str, Any]:
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    special = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    return {"vocab_size": len(tokenizer), "max_position_embeddings": 256, **small, **special, **changes}


_EYES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}


def _llava(tokenizer: Any) -> tuple[Any, Any]:
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**_EYES, projection_dim=16),
        text_config=transformers.LlamaConfig(**_text(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    eyes = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return config, transformers.LlavaProcessor(
        eyes, tokenizer, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1, image_token="<image>"
    )


def _idefics3(tokenizer: Any) -> tuple[Any, Any]:
    config = transformers.Idefics3Config(
        vision_config=dict(_EYES),
        text_config=transformers.LlamaConfig(**_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    eyes = Idefics3ImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": 16}, do_image_splitting=True)
    return config, transformers.Idefics3Processor(eyes, tokenizer, image_seq_len=1)


class _ImagesOnly(transformers.Qwen2VLProcessor):
    """Without the part for videos, which needs torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor, self.tokenizer, self.video_processor, self.chat_template = image_processor, tokenizer, None, None
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([self.image_token, self.video_token])


def _pads(tokenizer: Any) -> dict[str, int]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(_PADS), strict=True))


def _patches(tokenizer: Any) -> _ImagesOnly:
    sizes = {"min_pixels": 256, "max_pixels": 1024, "patch_size": 4, "merge_size": 2, "temporal_patch_size": 2}
    return _ImagesOnly(Qwen2VLImageProcessorPil(**sizes), tokenizer)


_TURNS = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_CUT = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3}


def _qwen2_vl(tokenizer: Any) -> tuple[Any, Any]:
    config = transformers.Qwen2VLConfig(
        vision_config={**_CUT, "embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2},
        text_config=_text(tokenizer, rope_parameters=_TURNS),
        **_pads(tokenizer),
    )
    return config, _patches(tokenizer)


def _qwen3_5(tokenizer: Any) -> tuple[Any, Any]:
    """A recurrent layer, then one of attention."""
    linear = {"linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
    text = _text(
        tokenizer,
        **{"head_dim": 8, "layer_types": ["linear_attention", "full_attention"], **linear},
        rope_parameters={**_TURNS, "partial_rotary_factor": 1.0},
    )
    eyes = {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 32, "num_position_embeddings": 64}
    return transformers.Qwen3_5Config(vision_config={**_CUT, **eyes}, text_config=text, **_pads(tokenizer)), _patches(tokenizer)


def _gemma3(tokenizer: Any) -> tuple[Any, Any]:
    """Tokens of one image see each other in both directions; sliding windows shorter than an image."""
    marks = ("<start_of_image>", "<image_soft_token>", "<end_of_image>")
    ids = tokenizer.convert_tokens_to_ids(list(marks))
    for name, mark, token in zip(("boi", "image", "eoi"), marks, ids, strict=True):
        setattr(tokenizer, f"{name}_token", mark)
        setattr(tokenizer, f"{name}_token_id", token)
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 6, "head_dim": 8, "query_pre_attn_scalar": 8}
    config = transformers.Gemma3Config(
        vision_config=transformers.SiglipVisionConfig(**{**_EYES, "patch_size": 4}),
        text_config=transformers.Gemma3TextConfig(**_text(tokenizer, **layers)),
        mm_tokens_per_image=4,
        boi_token_index=ids[0],
        image_token_index=ids[1],
        eoi_token_index=ids[2],
    )
    return config, transformers.Gemma3Processor(Gemma3ImageProcessorPil(size={"height": 16, "width": 16}), tokenizer, image_seq_length=4)


def _qwen2_5_vl(tokenizer: Any) -> tuple[Any, Any]:
    """As Qwen2-VL, with windows of attention over the patches."""
    eyes = {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 32, "window_size": 16, "fullatt_block_indexes": [1]}
    config = transformers.Qwen2_5_VLConfig(
        vision_config={**_CUT, **eyes}, text_config=_text(tokenizer, rope_parameters=_TURNS), **_pads(tokenizer)
    )
    return config, _patches(tokenizer)


def _paligemma(tokenizer: Any) -> tuple[Any, Any]:
    """The whole prompt is seen in both directions."""
    config = transformers.PaliGemmaConfig(
        vision_config=transformers.SiglipVisionConfig(**{**_EYES, "vision_use_head": False}),
        text_config=transformers.GemmaConfig(**_text(tokenizer, head_dim=8)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
    )
    eyes = SiglipImageProcessorPil(size={"height": 16, "width": 16})
    eyes.image_seq_length = 4
    return config, transformers.PaliGemmaProcessor(eyes, tokenizer)
