"""A real browser before a real server, watched: what it runs, asks and complains of."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from headrace_server import ServerSettings, create_app, page
from tests.server.conftest import Listening

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--lang=en",
)
PATIENCE = 30
"""Seconds in which something has to have happened; what happens ends the wait."""
WATCH = """
window.ran = [];
for (const name of ['alert', 'confirm', 'prompt', 'print']) {
  window[name] = () => { window.ran.push(name); };
}
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
"""Runs before the page's own scripts."""


def fake(script: str, **options: object) -> str:
    """A reference of a fake that writes this text, whatever it has in it."""
    settings = "&".join(f"{name}={value}" for name, value in options.items())
    return f"fake:{quote(script, safe=' ')}#{settings}" if settings else f"fake:{quote(script)}"


class Browser:
    """A browser on the page, in the words of whoever sits before it.

    Args:
        driver: The browser.
        url: Where the page is.
    """

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    # -- looking ------------------------------------------------------------

    def all(self, selector: str) -> list[WebElement]:
        """Elements that can be seen."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [each for each in found if each.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """An element, waited for."""
        return self.until(lambda: next(iter(self.all(selector)), None), selector)

    def button(self, name: str) -> WebElement:
        """A button by the name that it is read out with, waited for."""

        def found() -> WebElement | None:
            for each in self.all("button"):
                if name in (each.get_attribute("aria-label"), each.text.strip()):
                    return each
            return None

        return self.until(found, f"a button {name!r}")

    def buttons(self) -> list[str]:
        """Names of the buttons that can be seen."""
        return [each.get_attribute("aria-label") or each.text for each in self.all("button")]

    def until(self, condition: Callable[[], object], what: str = "it") -> WebElement:
        """Wait for something, and return it."""
        wait = WebDriverWait(
            self.driver, PATIENCE, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        try:
            return wait.until(lambda _: condition())
        except TimeoutException:
            raise AssertionError(f"{what} did not come; {self.text()[-600:]!r}") from None

    def text(self) -> str:
        """All that can be read."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def questions(self) -> list[str]:
        """What was asked."""
        return [each.text for each in self.all(".question .said")]

    def answers(self) -> list[str]:
        """What was answered."""
        return [each.text for each in self.all(".reply .prose")]

    def js(self, script: str, *args: object) -> object:
        """What a script gives that the test runs in the page."""
        return self.driver.execute_script(script, *args)

    # -- doing --------------------------------------------------------------

    def open(self, path: str = "/") -> None:
        """Go to the page, and wait until it has read what was kept."""
        self.driver.get(self.url + path)
        self.one("#message")
        self.until(lambda: "Asking for models" not in self.text(), "the models")

    def type(self, *keys: str) -> None:
        """Press keys where the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def ask(self, text: str) -> None:
        """Write a message and send it with Enter."""
        box = self.one("#message")
        box.click()
        box.send_keys(text, Keys.ENTER)

    def answered(self, count: int = 1) -> None:
        """Wait for so many answers, none of them under way."""
        self.until(
            lambda: (
                len(self.all(".reply .foot")) >= count and not self.all("button[aria-label=Stop]")
            ),
            f"{count} answers",
        )

    # -- the judgement --------------------------------------------------------

    def requested(self) -> list[str]:
        """Addresses that the browser asked for, by its own log."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def judge(self) -> None:
        """Nothing ran that is not the page's own, nothing was asked of another host."""
        assert self.js("return window.ran") == []
        assert self.js("return window.violations") == []
        complaints = [
            each
            for each in self.driver.get_log("browser")
            if "Content Security Policy" in each["message"] or "TrustedHTML" in each["message"]
        ]
        assert complaints == []
        own = urlsplit(self.url).netloc
        elsewhere = [
            url
            for url in self.requested()
            if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != own
        ]
        assert elsewhere == []


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests; asked for and not there means failed."""
    assert page.FOLDER.joinpath("index.html").is_file(), "build the page first: see tox.ini"
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    profile = tmp_path_factory.mktemp("profile")
    downloads = tmp_path_factory.mktemp("downloads")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driven = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    driven.downloads = downloads
    driven.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    with contextlib.closing(driven):
        yield driven
    driven.quit()


@pytest.fixture
def chat(driver) -> Iterator[Callable[..., Browser]]:
    """Start a server and open its page: ``chat("fake:…", api_keys=…)``; judged at the end.

    Each server has a port of its own, and so its page a storage of its own.
    """
    driver.set_window_size(1200, 800)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    opened: list[Browser] = []
    with contextlib.ExitStack() as entered:

        def start(models: object = "fake:Hello", path: str = "/", **changes: object) -> Browser:
            app = create_app(models, ServerSettings(), **changes)
            server = entered.enter_context(Listening(app))
            browser = Browser(driver, server.url)
            browser.server = server
            # What the tests before did is not this one's.
            driver.get_log("browser")
            driver.get_log("performance")
            browser.open(path)
            opened.append(browser)
            return browser

        yield start
        # There is one browser: what it did on an earlier page, the test itself has to judge.
        for browser in opened[-1:]:
            browser.judge()
        driver.get("about:blank")
