"""For everybody: by keyboard, read out, on a phone, in the dark."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.server_browser.conftest import fake

RICH = (
    """\
<think>Hm.</think>## A mill

Some `code`, a [link](https://example.org), and **more**.

| a | b |
|---|---|
| 1 | a rather long cell that goes on for quite a while, longer than a phone is wide |

```python
def power(flow: float, fall: float, share: float = 0.8) -> float:  # a comment that is rather long
    return share * 1000 * 9.81 * flow * fall
```

averyveryverylongwordthathasnoplacetobreak"""
    + "x" * 200
)

NAMELESS = """
return [...document.querySelectorAll('button, input, textarea, select, a[href], [role]')]
  .filter((each) => each.checkVisibility())
  .filter((each) => {
    const labels = [...(each.labels ?? [])].map((label) => label.textContent).join('');
    const name = each.getAttribute('aria-label') || labels || each.textContent;
    return name.trim() === '';
  })
  .map((each) => each.outerHTML.slice(0, 200));
"""
FAINT = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b]
  .map((value) => value / 255)
  .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
function behind(element) {
  for (let at = element; at !== null; at = at.parentElement) {
    const color = channels(getComputedStyle(at).backgroundColor);
    if (color.length < 4 || color[3] === 1) return color;
  }
  return [255, 255, 255];
}
const faint = [];
for (const element of document.querySelectorAll('#page *')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
  if (!own || !element.checkVisibility({ opacityProperty: true }) || element.closest(':disabled, .unseen')) continue;
  const [one, other] = [light(channels(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
  const contrast = (one + 0.05) / (other + 0.05);
  if (contrast < 4.5) faint.push(`${element.className || element.localName} ${element.textContent.slice(0, 30)} ${contrast.toFixed(2)}`);
}
return faint;
"""  # noqa: E501


def focused(page) -> str:
    """The name of what has the focus."""
    element = page.driver.switch_to.active_element
    return element.get_attribute("aria-label") or element.text or element.tag_name


def tab_to(page, name: str, backwards: bool = False) -> None:
    """Press Tab until something has the focus."""
    for _ in range(60):
        if focused(page) == name:
            return
        page.type(Keys.SHIFT + Keys.TAB if backwards else Keys.TAB)
    raise AssertionError(f"{name!r} cannot be reached by Tab")


def test_everything_by_keyboard(chat):
    """From the question to another model, an edit and the settings, and the focus can be seen."""
    page = chat({"first": "fake:Hello", "second": "fake:Good day"})
    assert focused(page) == "Message"
    page.type("First", Keys.ENTER)
    page.answered()
    tab_to(page, "Model: first, in memory", backwards=True)
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.type(Keys.ENTER)
    page.one("[role=listbox]")
    page.type(Keys.DOWN, Keys.ENTER)
    page.until(lambda: focused(page).startswith("Model: second"), "the focus on the picker")
    tab_to(page, "Edit message")
    page.type(Keys.ENTER)
    page.until(lambda: page.all(".editor textarea"), "the editor")
    page.type(" again", Keys.ENTER)
    page.until(lambda: page.questions() == ["First again"], "the edited question")
    page.answered()
    assert page.answers() == ["Good day"]
    page.type(Keys.ALT + "s" + Keys.ALT)
    page.one("dialog[open]")
    for _ in range(60):
        page.type(Keys.TAB)
        inside = "return document.activeElement === document.body || "
        inside += "document.activeElement.closest('dialog') !== null"
        assert page.js(inside), "the focus stays in the dialog"
    page.type(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog[open]"), "the dialog's end")
    page.type(Keys.ALT + "n" + Keys.ALT)
    page.until(lambda: page.questions() == [], "a new chat")
    page.until(lambda: focused(page) == "Message", "the focus on the box")


def test_everything_has_a_name(chat):
    """Buttons, fields and regions, in the conversation and in the settings."""
    page = chat(fake(RICH))
    page.ask("Show")
    page.answered()
    assert page.js(NAMELESS) == []
    page.button("Settings").click()
    page.one("dialog[open]")
    assert page.js(NAMELESS) == []


def test_answers_are_read_out_by_paragraphs(chat):
    """Not letter by letter, and then that it is complete."""
    page = chat(fake("One **mill**.\n\nAnother.", delay=0.003))
    page.ask("Tell")
    page.answered()
    log = "return document.querySelector('[role=log]').innerText"
    page.until(lambda: "complete" in str(page.js(log)), "the end")
    lines = [line for line in str(page.js(log)).splitlines() if line.strip()]
    assert lines == ["Answering.", "One mill.", "Another.", "The answer is complete."]
    assert page.js("return document.querySelector('[role=log]').ariaLive") == "polite"


PHONE = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture
def phone(driver):
    """A small screen that is touched."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    yield
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_phone_has_it_all_without_scrolling_sideways(chat, phone):
    """Chats in a drawer, buttons as large as fingers, Enter for a new line."""
    page = chat(fake(RICH))
    page.ask("Show")
    assert page.questions() == []
    page.button("Send").click()
    page.answered()
    wide = "return document.scrollingElement.scrollWidth"
    assert page.js(wide) == PHONE["width"]
    assert page.js("return document.querySelector('.scroller').scrollWidth") <= PHONE["width"]
    small = [
        name
        for name, size in ((each.accessible_name, each.size) for each in page.all("button.bare"))
        if size["width"] < 40 or size["height"] < 40
    ]
    assert small == []
    assert not page.all(".beside")
    page.button("Chats").click()
    page.one("dialog[open] .chat")
    assert page.js(wide) == PHONE["width"]
    page.all("dialog[open] .chat")[0].click()
    page.until(lambda: not page.all("dialog[open]"), "the drawer's end")
    page.button("Settings").click()
    dialog = page.one("dialog[open]")
    assert dialog.size["width"] == PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(chat, driver, scheme):
    """By the system's choice; 4.5 to 1 at least, code and hints included."""
    page = chat(fake(RICH))
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    page.ask("Show")
    page.answered()
    dark = page.js("return getComputedStyle(document.documentElement).backgroundColor")
    assert (dark == "rgb(18, 25, 27)") == (scheme == "dark")
    assert page.js(FAINT) == []
    page.button("Settings").click()
    page.one("dialog[open]")
    assert page.js(FAINT) == []


def test_the_chosen_scheme_stays(chat, driver):
    """Against the system's, and after a reload."""
    page = chat("fake:Hello")
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "light"}]},
    )
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    assert page.js(ground) == "rgb(247, 246, 241)"
    page.button("Settings").click()
    page.one("dialog[open]")
    page.js("document.querySelector('input[value=dark]').click()")
    page.until(lambda: page.js(ground) == "rgb(18, 25, 27)", "the dark")
    page.driver.refresh()
    page.one("#message")
    assert page.js(ground) == "rgb(18, 25, 27)"


def test_who_wants_no_motion_has_none(chat, driver):
    """Nothing pulses while an answer is awaited."""
    page = chat(fake("Hello", delay=0.05))
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]},
    )
    page.ask("Show")
    page.one(".waiting, .reply.live")
    assert page.js("return document.getAnimations().length") == 0
    page.answered()
