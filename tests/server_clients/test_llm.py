"""The ``llm`` command's library, with a model of ``extra-openai-models.yaml``."""

from __future__ import annotations

import pytest


@pytest.fixture
def model(url, tmp_path, monkeypatch):
    """A model that says hello."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: served\n  model_name: m\n  api_base: {url('fake:Hello world')}/v1\n"
    )
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    import llm

    return llm.get_model("served")


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer(model, stream):
    """With the tokens counted, streamed or not."""
    found = model.prompt("Hi", stream=stream, key="none")
    assert found.text() == "Hello world"
    assert found.usage().output > 0
