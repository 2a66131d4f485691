"""Settings, one frozen class for each owner.

``ModelParams`` say what is loaded and where, ``EngineParams`` what belongs to
the native context that all sessions of a model share, ``SessionParams`` what
belongs to one conversation, ``SamplingParams`` what belongs to one generation.
Values are checked when an object is made, so that nothing invalid reaches a
backend; every error names the field, the value and what is allowed.
"""

from headrace.params.adapters import AdapterUse, ControlVectorUse
from headrace.params.engine import EngineParams
from headrace.params.fields import check_names, choice, flag, integer, number
from headrace.params.isolation import IsolationParams
from headrace.params.model import ModelParams
from headrace.params.samplers import DEFAULT_SAMPLERS, READS, readable
from headrace.params.sampling import MAX_LOGPROBS, MAX_SEED, SamplingParams
from headrace.params.session import SessionParams

__all__ = [
    "DEFAULT_SAMPLERS",
    "MAX_LOGPROBS",
    "MAX_SEED",
    "READS",
    "AdapterUse",
    "ControlVectorUse",
    "EngineParams",
    "IsolationParams",
    "ModelParams",
    "SamplingParams",
    "SessionParams",
    "check_names",
    "choice",
    "flag",
    "integer",
    "number",
    "readable",
]
