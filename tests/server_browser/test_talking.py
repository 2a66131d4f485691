"""Asking and being answered, in a real browser."""

from __future__ import annotations

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from headrace_server import ApiKey
from tests.server_browser.conftest import fake

SLOW = "one two three four five six seven eight nine ten " * 20


def test_a_question_is_answered(chat):
    """Written, sent with Enter, answered below, with its speed and the context."""
    page = chat({"small": fake("A mill is **driven** by water.")})
    page.ask("What drives a mill?")
    page.answered()
    assert page.questions() == ["What drives a mill?"]
    assert page.answers() == ["A mill is driven by water."]
    assert page.one(".reply strong").text == "driven"
    assert "tokens/s" in page.one(".reply .figures").text
    assert page.one("[role=meter]").get_attribute("aria-valuetext").endswith("of 4,096 tokens")
    assert page.driver.title.startswith("What drives a mill?")
    assert page.button("Model: small, in memory").is_displayed()


def test_shift_enter_begins_a_line_and_nothing_is_sent_twice(chat):
    """What is typed while an answer comes stays in the box."""
    page = chat(fake(SLOW, delay=0.005))
    box = page.one("#message")
    box.click()
    box.send_keys(
        "one", Keys.SHIFT + Keys.ENTER + Keys.SHIFT, "two", Keys.ENTER, "next", Keys.ENTER
    )
    page.until(lambda: page.answers() and page.answers()[0], "text")
    page.type(Keys.ESCAPE)
    page.answered()
    assert page.questions() == ["one\ntwo"]
    assert box.get_attribute("value") == "next"


@pytest.mark.parametrize("how", ["button", "escape"])
def test_an_answer_is_stopped_and_continued(chat, how):
    """What has come stays; the server computes no more; the answer can be gone on with."""
    page = chat({"small": fake(SLOW, delay=0.005)})
    page.ask("Count")
    page.until(lambda: page.answers() and "three" in page.answers()[0], "some of the answer")
    assert page.one(".reply").get_attribute("aria-busy") == "true"
    if how == "button":
        page.button("Stop").click()
    else:
        page.type(Keys.ESCAPE)
    page.answered()
    kept = page.answers()[0]
    assert len(kept) < len(SLOW) - 10
    assert "stopped" in page.one(".reply .figures").text
    places = page.server.state.registry.places
    page.until(lambda: places["small"].served.users == 0, "the sequence")
    page.button("Continue").click()
    page.until(lambda: len(page.answers()[0]) > len(kept), "more of the answer")
    assert page.answers()[0].startswith(kept.rstrip())
    page.type(Keys.ESCAPE)
    page.answered()
    assert len(page.answers()) == 1


def test_an_edited_question_is_a_branch(chat):
    """Both versions stay, with the answers that they had."""
    page = chat(fake("", seed=3, mean_length=8))
    page.ask("First")
    page.answered()
    before = page.answers()
    page.button("Edit message").click()
    page.one(".editor textarea")
    page.type(Keys.END, " and more", Keys.ENTER)
    page.until(lambda: page.questions() == ["First and more"], "the edited question")
    page.answered()
    after = page.answers()
    page.button("Earlier version").click()
    page.until(lambda: page.questions() == ["First"], "the first version")
    assert page.answers() == before
    page.button("Later version").click()
    page.until(lambda: page.answers() == after, "the second version")


def test_escape_leaves_a_question_as_it_is(chat):
    """And gives the focus back to where it was."""
    page = chat("fake:Hello")
    page.ask("First")
    page.answered()
    page.button("Edit message").click()
    page.one(".editor textarea")
    page.type("something else", Keys.ESCAPE)
    page.until(lambda: page.questions() == ["First"], "the question")
    page.until(
        lambda: page.driver.switch_to.active_element.get_attribute("aria-label") == "Edit message",
        "the focus",
    )


def test_another_answer_stands_beside_the_first(chat):
    """And one can go back to it."""
    page = chat("fake:Hello")
    page.ask("First")
    page.answered()
    page.button("Another answer").click()
    page.until(lambda: "2/2" in page.text(), "the second version")
    page.answered()
    page.button("Earlier version").click()
    page.until(lambda: "1/2" in page.text(), "the first version")
    assert page.questions() == ["First"]


def test_another_model_answers(chat):
    """Chosen by keyboard; the chat's next question goes to it."""
    page = chat({"first": "fake:I am the first", "second": "fake:I am the second"})
    page.button("Model: first, loads when asked").click()
    page.one("[role=listbox]")
    page.type(Keys.DOWN, Keys.ENTER)
    page.button("Model: second, loads when asked")
    page.ask("Who are you?")
    page.answered()
    assert page.answers() == ["I am the second"]
    page.driver.refresh()
    page.button("Model: second, in memory")


def test_a_model_is_found_among_many(chat):
    """By a part of its name."""
    page = chat({f"model-{number}": f"fake:number {number}" for number in range(12)})
    page.button("Model: model-0, loads when asked").click()
    page.one("[role=combobox]")
    page.type("11")
    page.until(lambda: len(page.all("[role=option]")) == 1, "the model that is meant")
    page.type(Keys.ENTER)
    page.ask("Who are you?")
    page.answered()
    assert page.answers() == ["number 11"]


def test_a_model_is_loaded_and_taken_out_of_memory(chat):
    """As the server says, which is asked again."""
    page = chat({"small": "fake:Hello"})
    page.button("Model: small, loads when asked").click()
    page.button("Load now").click()
    page.button("Take out of memory").click()
    page.button("Load now")
    page.button("Model: small, loads when asked")


def test_thoughts_are_folded(chat):
    """And can be read."""
    page = chat(fake("<think>Hm, water.</think>By water."))
    page.ask("What drives a mill?")
    page.answered()
    assert "Hm, water." not in page.text()
    page.one(".thoughts summary").click()
    page.until(lambda: "Hm, water." in page.text(), "the thoughts")
    assert page.answers() == ["By water."]


TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def write(page, label: str, text: str) -> None:
    """Fill in a field of the settings."""
    field = next(each for each in page.all(".field") if each.text.startswith(label))
    box = field.find_element(By.CSS_SELECTOR, "input, textarea")
    box.clear()
    box.send_keys(text)


def test_calls_are_shown_and_their_results_sent(chat):
    """The page runs nothing: its reader says what the tool gave."""
    page = chat(fake('I add.<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'))
    page.button("Settings").click()
    page.one("dialog[open]")
    write(page, "Tools", json.dumps(TOOLS))
    page.type(Keys.ESCAPE)
    page.ask("Add")
    page.answered()
    assert page.one(".call-name").text == "calls add"
    assert json.loads(page.one(".call-arguments").text) == {"a": 1}
    page.one(".call textarea").send_keys("3")
    page.button("Send the result").click()
    page.answered(2)
    assert page.one(".result pre").text == "3"


def test_settings_are_sent_and_kept(chat):
    """Of numbers only those that can be; the system prompt with each question."""
    page = chat("fake:one two three four five six")
    page.button("Settings").click()
    page.one("dialog[open]")
    write(page, "Most tokens", "5")
    write(page, "Temperature", "9")
    page.until(lambda: "Write a number from 0 to 5" in page.text(), "the range")
    write(page, "System prompt", "Be brief.")
    page.type(Keys.ESCAPE)
    page.ask("Count")
    page.answered()
    assert "cut at its greatest length" in page.text()
    assert "5 tokens" in page.one(".reply .figures").text
    page.driver.refresh()
    page.answered()
    page.button("Settings").click()
    page.one("dialog[open]")
    fields = {
        each.text.split("\n")[0]: each.find_element(By.CSS_SELECTOR, "input, textarea")
        for each in page.all(".field")
    }
    assert fields["Most tokens"].get_attribute("value") == "5"
    assert fields["Temperature"].get_attribute("value") == ""
    assert fields["System prompt"].get_attribute("value") == "Be brief."


def test_a_failure_says_what_to_do(chat):
    """What had come before it stays."""
    page = chat(fake("Half of it is here, and then", fault_at=20, fault="failed"))
    page.ask("Break")
    page.answered()
    failure = page.one(".failure").text
    assert "failed in step 20" in failure
    assert "log" in failure
    assert page.answers()[0].startswith("Half of it")
    page.button("Try again").click()
    page.until(lambda: "2/2" in page.text() and not page.all(".failure"), "another answer")
    page.answered()
    assert page.answers() == ["Half of it is here, and then"]


def test_a_chat_that_is_too_long_is_told_with_both_numbers(chat):
    """And what to do about it."""
    page = chat(fake("Hello", n_ctx=64))
    page.ask("word " * 60)
    page.answered()
    failure = page.one(".failure").text
    assert "64" in failure
    assert "new chat" in failure


def test_a_key_is_asked_for_and_kept(chat):
    """The question that needed it is sent again; a wrong one is told apart."""
    page = chat("fake:Hello", api_keys=[ApiKey(key="right")])
    page.one("dialog[open] input[type=password]")
    page.until(
        lambda: page.driver.switch_to.active_element.get_attribute("type") == "password",
        "the focus on the field",
    )
    page.type("wrong", Keys.ENTER)
    page.until(lambda: "does not accept this key" in page.text(), "the refusal")
    field = page.one("dialog[open] input[type=password]")
    field.clear()
    field.send_keys("right", Keys.ENTER)
    page.until(lambda: not page.all("dialog[open]"), "the dialog's end")
    page.ask("Hello?")
    page.answered()
    page.driver.refresh()
    page.ask("Again?")
    page.answered(2)
    assert page.answers() == ["Hello", "Hello"]


def test_a_network_that_is_gone_is_told(chat):
    """And when it is back, the question can be sent again."""
    page = chat("fake:Hello")
    condition = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **condition})
    try:
        page.ask("Is there anybody?")
        page.one(".failure")
        assert "No answer from 127.0.0.1" in page.text()
    finally:
        page.driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions", {"offline": False, **condition}
        )
    page.button("Try again").click()
    page.until(lambda: page.answers() == ["Hello"], "the answer")
    assert len(page.all(".reply")) == 1


def test_an_address_fills_the_box_and_sends_nothing(chat):
    """Whoever made the link does not decide what is asked."""
    page = chat("fake:Hello", path="/?q=Delete%20it%20all&send=1#x")
    box = page.one("#message")
    assert box.get_attribute("value") == "Delete it all"
    page.button("Model: fake:Hello, loads when asked")
    assert page.questions() == []
    assert not any("completions" in url for url in page.requested())
    assert "q=" not in page.js("return location.href")


def test_what_is_copied_is_what_was_written(chat):
    """Markdown and all; of code the code alone."""
    page = chat(fake("**bold**\n\n```python\nx = 1\n```\n"))
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": page.url},
    )
    page.ask("Write")
    page.answered()
    page.button("Copy answer").click()
    page.button("Copied")
    read = "return navigator.clipboard.readText()"
    assert page.js(read) == "**bold**\n\n```python\nx = 1\n```\n"
    page.button("Copy the python code").click()
    page.until(lambda: page.js(read) == "x = 1", "the code")
    assert page.one(".code .hljs-number").text == "1"
