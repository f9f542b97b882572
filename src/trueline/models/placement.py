"""Where the weights of a checkpoint go and in what numbers: one device, several, or quantised, through transformers' own options."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch

from trueline.errors import InputError, MissingExtra

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}


@dataclass(frozen=True)
class Placement:
    """Arguments for ``from_pretrained``, and the device that the model is moved to afterwards (None: it stays where it was put)."""

    device: str | None
    arguments: dict[str, Any] = field(default_factory=dict)


def place(
    *,
    device: str | None = None,
    dtype: str | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    max_memory: Mapping[str, Any] | None = None,
    quantization_config: Mapping[str, Any] | None = None,
    load_in_8bit: bool = False,
    load_in_4bit: bool = False,
    attn_implementation: str | None = None,
) -> Placement:
    """Check the options of ``models.local.load`` that say where and how weights are held.

    Raises ``InputError`` for options that contradict each other and ``MissingExtra`` when a package is not installed.
    """
    quantisation = _quantisation(quantization_config, load_in_8bit, load_in_4bit)
    if device is not None and device_map is not None:
        raise InputError(f"device={device!r} puts the model on one device and device_map spreads it; give one of them")
    if max_memory is not None and device_map is None:
        raise InputError("max_memory is for a model that is spread over devices; give device_map='auto' with it")
    if (device_map is not None or quantisation is not None) and find_spec("accelerate") is None:
        raise MissingExtra("device_map and quantised weights need accelerate; install it: pip install 'trueline[large]'")
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    on_cpu = where.startswith("cpu") and (device_map is None or not torch.cuda.is_available())
    arguments: dict[str, Any] = {"dtype": _dtype(dtype, on_cpu=on_cpu)}
    if arguments["dtype"] == torch.float64:  # the fast product of mixtures of experts takes no float64
        arguments["experts_implementation"] = "eager"
    if attn_implementation is not None:
        arguments["attn_implementation"] = attn_implementation
    if quantisation is not None:
        arguments["quantization_config"] = quantisation
        device_map = {"": where} if device_map is None else device_map  # quantised weights are not moved afterwards
    if device_map is None:
        return Placement(where, arguments)
    arguments["device_map"] = dict(device_map) if isinstance(device_map, Mapping) else device_map
    if max_memory is not None:  # from the command line the numbers of devices come as text
        arguments["max_memory"] = {int(name) if str(name).isdigit() else name: size for name, size in max_memory.items()}
    return Placement(None, arguments)


def _quantisation(given: Mapping[str, Any] | None, in_8bit: bool, in_4bit: bool) -> Any:
    """The library's record of a quantisation, or None."""
    if sum((given is not None, in_8bit, in_4bit)) > 1:
        raise InputError("give one of quantization_config, load_in_8bit and load_in_4bit")
    if given is None and not in_8bit and not in_4bit:
        return None
    wanted = given if given is not None else {"load_in_8bit": in_8bit, "load_in_4bit": in_4bit}
    if not isinstance(wanted, Mapping):
        raise InputError(f"quantization_config must be an object such as {{'load_in_4bit': true}}, got {type(wanted).__name__}")
    bits_and_bytes = bool(wanted.get("load_in_8bit") or wanted.get("load_in_4bit")) or wanted.get("quant_method") == "bitsandbytes"
    if bits_and_bytes and find_spec("bitsandbytes") is None:
        raise MissingExtra("weights of 8 or 4 bits need bitsandbytes; install it: pip install 'trueline[large]'")
    if bits_and_bytes:  # it says at every product that it rounds to float16
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    from transformers.quantizers.auto import AutoQuantizationConfig

    try:
        return AutoQuantizationConfig.from_dict(dict(wanted))
    except ImportError as error:
        raise MissingExtra(f"this quantisation needs a package that is not installed: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"quantization_config {dict(wanted)!r} cannot be used: {' '.join(str(error).split())}") from error


def _dtype(dtype: str | None, *, on_cpu: bool) -> Any:
    if dtype is None:
        return torch.float32 if on_cpu else "auto"
    if dtype == "auto":
        return dtype
    if dtype not in _DTYPES:
        raise InputError(f"unknown dtype {dtype!r}; known: auto, {', '.join(_DTYPES)}")
    return _DTYPES[dtype]
