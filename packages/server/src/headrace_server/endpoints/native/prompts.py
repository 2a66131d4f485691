"""What llama-server takes for a prompt: text, token ids, both mixed, and lists of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace_server.errors import ApiError

if TYPE_CHECKING:
    import headrace

Part = str | int
Prompt = tuple[Part, ...]
"""The pieces of one prompt, in their order."""


def prompts_of(value: Any, field: str = "prompt") -> tuple[list[Prompt], bool]:
    """The prompts of a request, and whether they came as a list.

    Args:
        value: Text, a list of token ids and texts, ``{"prompt_string": …}``, or a list of those.
        field: What the request calls it.

    Raises:
        ApiError: 400 for anything else, with its place.
    """
    if isinstance(value, list) and not any(_is_token(each) for each in value):
        if not value:
            raise _refusal(field, "must not be an empty list")
        return [_prompt(each, f"{field}[{index}]") for index, each in enumerate(value)], True
    return [_prompt(value, field)], False


def _prompt(value: Any, field: str) -> Prompt:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, dict):
        if value.get("multimodal_data"):
            raise _refusal(f"{field}.multimodal_data", "is not supported: leave it out")
        return _prompt(value.get("prompt_string"), f"{field}.prompt_string")
    if isinstance(value, list) and value:
        for index, each in enumerate(value):
            if not (isinstance(each, str) or _is_token(each)):
                raise _refusal(f"{field}[{index}]", "must be a token id or a text", each)
        return tuple(value)
    raise _refusal(
        field, 'must be a text, a list of token ids and texts, or {"prompt_string": …}', value
    )


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_NOTHING = object()


def _refusal(field: str, what: str, value: Any = _NOTHING) -> ApiError:
    got = "" if value is _NOTHING else f", got {value!r:.60}"
    return ApiError(400, "invalid_value", f"{field} {what}{got}", param=field)


async def tokens_of(
    model: headrace.Model, prompt: Prompt, field: str = "prompt", *, add_special: bool = True
) -> tuple[int, ...]:
    """The token ids of a prompt; special tokens in its texts count, as with llama-server.

    Args:
        model: Whose vocabulary it is.
        prompt: The pieces.
        field: What the request calls it.
        add_special: Whether a text at the beginning gets what the model expects there.

    Raises:
        ApiError: 400 for an id outside the vocabulary, or a prompt without a token.
        TokenizeError: For a text that has no tokens.
    """
    tokens: list[int] = []
    for index, part in enumerate(prompt):
        if isinstance(part, str):
            if not part and (index or not add_special):
                continue
            tokens += await model.atokenize(
                part, add_special=add_special and index == 0, parse_special=True
            )
        elif 0 <= part < model.info.n_vocab:
            tokens.append(part)
        else:
            raise _refusal(
                f"{field}[{index}]",
                f"must be a token id from 0 to {model.info.n_vocab - 1}",
                part,
            )
    if not tokens:
        raise _refusal(field, "has no tokens: send at least one character")
    return tuple(tokens)
