"""Settings that between them use every sampler, alone and with others."""

from __future__ import annotations

from typing import Any

from headrace.params import SamplingParams

OPEN: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0}
"""Everything off that is on by default."""
REPEATS = {"repeat_last_n": 100, "dry_penalty_last_n": 100}
ORDER = SamplingParams().samplers

ALONE: dict[str, dict[str, Any]] = {
    "default": {},
    "greedy": {"temperature": 0.0},
    "dist": OPEN,
    "top_k": {**OPEN, "top_k": 7},
    "top_k large": {**OPEN, "top_k": 200},
    "top_k beyond the vocabulary": {**OPEN, "top_k": 1000},
    "top_p": {**OPEN, "top_p": 0.4},
    "min_p": {**OPEN, "min_p": 0.3},
    "typical": {**OPEN, "typical_p": 0.5},
    "temperature": {**OPEN, "temperature": 0.3},
    "dynamic temperature": {**OPEN, "dynatemp_range": 0.7, "dynatemp_exponent": 1.5},
    "dynamic temperature around 0": {**OPEN, "temperature": 0.0, "dynatemp_range": 0.5},
    "xtc": {**OPEN, "xtc_probability": 0.6, "xtc_threshold": 0.02},
    "xtc greedy": {**OPEN, "temperature": 0.0, "xtc_probability": 0.6, "xtc_threshold": 0.02},
    "top_n_sigma": {**OPEN, "top_n_sigma": 1.5},
    "repeat penalty": {**OPEN, "repeat_penalty": 1.4},
    "repeat penalty, short": {**OPEN, "repeat_penalty": 1.4, "repeat_last_n": 5},
    "repeat penalty, greedy": {"temperature": 0.0, "repeat_penalty": 1.1},
    "frequency penalty": {**OPEN, "frequency_penalty": 0.8},
    "presence penalty": {**OPEN, "presence_penalty": 1.7},
    "negative penalties": {**OPEN, "presence_penalty": -0.5, "frequency_penalty": -0.3},
    "all penalties, greedy": {
        "temperature": 0.0,
        "repeat_penalty": 1.2,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.4,
        "repeat_last_n": 20,
    },
    "dry": {**OPEN, **REPEATS, "dry_multiplier": 2.0, "dry_allowed_length": 1},
    "dry, greedy": {"temperature": 0.0, "dry_multiplier": 4.0, "dry_allowed_length": 1},
    "dry, own breakers": {
        **OPEN,
        "dry_multiplier": 3.0,
        "dry_base": 1.2,
        "dry_allowed_length": 1,
        "dry_sequence_breakers": ("the", "e", "\u00e9;"),
    },
    "mirostat 1": {"temperature": 1.0, "mirostat": 1, "mirostat_tau": 3.0},
    "mirostat 2": {"temperature": 1.2, "mirostat": 2, "mirostat_tau": 4.0, "mirostat_eta": 0.3},
    "mirostat 2, greedy": {"temperature": 0.0, "mirostat": 2},
    "adaptive_p": {
        **OPEN,
        "min_p": 0.02,
        "adaptive_target": 0.2,
        "samplers": ("min_p", "adaptive_p", "top_k", "top_p", "temperature"),
    },
    "adaptive_p off": {**OPEN, "samplers": (*ORDER, "adaptive_p")},
    "infill": {"temperature": 1.0, "samplers": ("top_k", "top_p", "infill", "temperature")},
    "logit bias": {**OPEN, "logit_bias": {40: 6.5, 41: -3.25, 3: 5.0}},
    "logit bias, greedy": {"temperature": 0.0, "logit_bias": {40: 3.5, 3: -1.0}},
    "min_keep": {**OPEN, "min_p": 0.9, "top_p": 0.05, "typical_p": 0.1, "min_keep": 9},
}
TOGETHER: dict[str, dict[str, Any]] = {
    "everything in the default order": {
        "temperature": 0.9,
        "dynatemp_range": 0.2,
        "top_k": 60,
        "top_p": 0.97,
        "min_p": 0.01,
        "typical_p": 0.95,
        "top_n_sigma": 3.0,
        "xtc_probability": 0.3,
        "xtc_threshold": 0.05,
        "repeat_penalty": 1.1,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "dry_multiplier": 0.8,
        "dry_allowed_length": 1,
        "logit_bias": {40: 1.0},
    },
    "an order of its own": {
        "temperature": 1.3,
        "repeat_penalty": 1.3,
        "samplers": ("temperature", "min_p", "penalties", "top_k", "top_p"),
    },
    "dry before the penalties": {
        **OPEN,
        "repeat_penalty": 1.3,
        "dry_multiplier": 1.0,
        "dry_allowed_length": 1,
        "samplers": ("dry", "penalties", "top_k", "top_p", "min_p", "temperature"),
    },
    "no samplers at all": {"samplers": ()},
}
CASES = {**ALONE, **TOGETHER}
