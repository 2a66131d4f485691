"""Asking and being answered, in a real browser."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys

from tests.server_browser.conftest import fake


def test_a_question_is_answered(chat):
    """Written, sent with Enter, answered below, with its speed and the context."""
    page = chat(fake("A mill is **driven** by water."))
    page.ask("What drives a mill?")
    page.answered()
    assert page.questions() == ["What drives a mill?"]
    assert page.answers() == ["A mill is driven by water."]
    assert page.one(".reply strong").text == "driven"
    assert "tokens/s" in page.one(".reply .figures").text
    assert page.driver.title.startswith("What drives a mill?")
