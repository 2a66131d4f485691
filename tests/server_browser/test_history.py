"""Chats are kept on the device, taken along and brought back."""

from __future__ import annotations

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


def titles(page) -> list[str]:
    """The chats in the list."""
    return [each.text for each in page.all(".chats .chat")]


def test_a_chat_is_there_after_a_reload(chat):
    """With its answer, its place in the list, and the text that was not sent."""
    page = chat("fake:Hello")
    page.ask("First")
    page.answered()
    page.type("a thought")
    page.driver.refresh()
    page.answered()
    assert page.questions() == ["First"]
    assert page.answers() == ["Hello"]
    assert titles(page) == ["First"]
    assert page.one("#message").get_attribute("value") == "a thought"


def test_an_answer_cut_by_a_reload_is_one_that_was_stopped(chat):
    """What had come and was kept can be gone on with."""
    page = chat("fake:" + "word " * 400 + "#delay=0.01")
    page.ask("Count")
    page.until(lambda: page.answers() and len(page.answers()[0]) > 150, "enough to be kept")
    page.driver.refresh()
    page.answered()
    assert page.answers()[0].startswith("word word")
    assert "stopped" in page.one(".reply .figures").text
    page.button("Continue")


def test_several_chats(chat):
    """Begun, gone back to, renamed, deleted, brought back."""
    page = chat("fake:Hello")
    page.ask("Mills")
    page.answered()
    page.button("New chat").click()
    page.until(lambda: page.questions() == [], "an empty chat")
    page.ask("Rivers")
    page.answered()
    assert titles(page) == ["Rivers", "Mills"]
    page.button("Mills").click()
    page.until(lambda: page.questions() == ["Mills"], "the other chat")
    page.button("Rename Mills").click()
    page.type(Keys.CONTROL + "a" + Keys.CONTROL, "Watermills", Keys.ENTER)
    page.until(lambda: "Watermills" in titles(page), "the new title")
    page.button("Delete Watermills").click()
    page.until(lambda: titles(page) == ["Rivers"], "one chat less")
    assert page.questions() == []
    page.button("Undo").click()
    page.until(lambda: set(titles(page)) == {"Rivers", "Watermills"}, "the chat again")
    page.driver.refresh()
    page.until(lambda: len(titles(page)) == 2, "both chats")


def export(page) -> dict:
    """What the page writes into a file."""
    folder = page.driver.downloads
    for old in folder.iterdir():
        old.unlink()
    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    page.button("Settings").click()
    page.button("Export").click()
    page.until(lambda: list(folder.glob("headrace-chats-*.json")), "the file")
    page.button("Close").click()
    return json.loads(next(folder.glob("headrace-chats-*.json")).read_text())


def bring(page, content: str) -> None:
    """Choose a file to import."""
    path = page.driver.downloads / "import.json"
    path.write_text(content)
    page.button("Settings").click()
    page.one("dialog[open]")
    page.driver.find_element(By.ID, "import").send_keys(str(path))


def test_exported_chats_come_back_in_another_browser(chat):
    """Which another address is: it has a storage of its own."""
    first = chat("fake:Hello")
    first.ask("Mills")
    first.answered()
    first.button("Another answer").click()
    first.until(lambda: "2/2" in first.text(), "another answer")
    first.answered()
    file = export(first)
    assert file["format"] == "headrace-chats"
    assert [turn["content"] for turn in file["chats"][0]["turns"]] == ["Mills", "Hello", "Hello"]
    first.judge()

    second = chat("fake:Hello")
    assert titles(second) == []
    bring(second, json.dumps(file))
    second.until(lambda: "One chat was imported." in second.text(), "the import")
    second.button("Close").click()
    second.button("Mills").click()
    second.until(lambda: second.answers() == ["Hello"], "the answer")
    assert "2/2" in second.text()
    bring(second, json.dumps(file))
    second.until(lambda: "here already" in second.text(), "that nothing is new")
    second.button("Close").click()
    second.driver.refresh()
    second.until(lambda: titles(second) == ["Mills"], "the chat")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no JSON", "no JSON"),
        ('{"format": "other"}', "no export of chats"),
        (
            '{"format": "headrace-chats", "version": 1, "chats": [{"turns": [5]}]}',
            "chats[0].turns[0].id must be text",
        ),
    ],
)
def test_a_file_that_is_none_changes_nothing(chat, content, told):
    """And it is said where it is wrong."""
    page = chat("fake:Hello")
    page.ask("Mills")
    page.answered()
    bring(page, content)
    page.until(lambda: told in page.text(), "what is wrong")
    page.button("Close").click()
    assert titles(page) == ["Mills"]
