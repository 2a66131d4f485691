"""What a model writes is text: it runs nothing, asks nobody, and looks like no part of the page."""

from __future__ import annotations

import json

import pytest

from tests.server_browser.conftest import fake
from tests.server_browser.test_history import bring

TAGS = """\
<script>alert(1)</script>
<script src="https://evil.example/x.js"></script>
<img src=x onerror=alert(1)>
<img src="https://evil.example/track.png">
<body onload=alert(1)>
<input autofocus onfocus=alert(1)>
<details open ontoggle=alert(1)>x</details>
<video><source onerror=alert(1)></video>
<audio src="https://evil.example/a.mp3" autoplay></audio>
<iframe src="javascript:alert(1)"></iframe>
<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>
<object data="data:text/html,<script>alert(1)</script>"></object>
<embed src="https://evil.example/x.swf">
<form action="https://evil.example"><button>Send</button></form>
<a href="javascript:alert(1)">x</a>
<base href="https://evil.example/">
<meta http-equiv="refresh" content="0;url=https://evil.example">
<link rel="stylesheet" href="https://evil.example/x.css">
<style>@import 'https://evil.example/x.css'; * { display: none }</style>
<div style="position:fixed;inset:0;background:url(https://evil.example/x)">x</div>
<button class="button strong" onclick="alert(1)">Stop</button>
<div id="page">x</div>
<template><script>alert(1)</script></template>
<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>
<title><img src=x onerror=alert(1)></title>
<xmp><img src=x onerror=alert(1)></xmp>
<plaintext>
"""
DRAWINGS = """\
<svg onload=alert(1)></svg>
<svg><script>alert(1)</script></svg>
<svg><a xlink:href="javascript:alert(1)"><text y="20">x</text></a></svg>
<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>
<svg><foreignObject><img src=x onerror=alert(1)></foreignObject></svg>
<svg><use href="https://evil.example/x.svg#x"></use></svg>
<svg><style><img src=x onerror=alert(1)></style></svg>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img onerror=alert(1)&gt;">
<math><maction actiontype="statusline" xlink:href="javascript:alert(1)">x</maction></math>
<math><annotation-xml encoding="text/html"><img src=x onerror=alert(1)></annotation-xml></math>
"""
MARKDOWN = """\
[click](javascript:alert(1))
[click](JaVaScRiPt:alert(1))
[click](java&#10;script:alert(1))
[click](&#106;avascript:alert(1))
[click](<javascript:alert(1)>)
[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)
[click](vbscript:msgbox(1))
[click](blob:https://evil.example/x)
[click](//evil.example/x)
[click][ref]
![x](https://evil.example/track.png)
![x](//evil.example/track.png)
![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)
![x](javascript:alert(1))
![x" onerror="alert(1)](https://evil.example/y.png "t\\" onerror=\\"alert(1)")
[a"onmouseover="alert(1)](https://example.org/"onmouseover="alert(1))
<javascript:alert(1)>
<https://example.org/"onclick="alert(1)>
https://example.org/?x="><script>alert(1)</script>

[ref]: javascript:alert(1)

```"><script>alert(1)</script>
</code></pre><script>alert(1)</script>
```

```html
</code></pre><img src=x onerror=alert(1)>
```

`</code><img src=x onerror=alert(1)>`

| <img src=x onerror=alert(1)> | b |
|---|---|
| [x](javascript:alert(1)) | <script>alert(1)</script> |

# <img src=x onerror=alert(1)>

- [ ] <input onfocus=alert(1) autofocus>

> <svg onload=alert(1)>

<sub onclick=alert(1)>x</sub><sup/onmouseover=alert(1)>x</sup><kbd style="position:fixed">x</kbd>
"""

LOOK = """
const found = [];
for (const element of document.querySelectorAll('.reply .block *, .thought *, .call *')) {
  const name = element.localName;
  if (!/^(a|blockquote|br|button|code|del|div|em|h[1-6]|hr|img|kbd|label|li|ol|p|pre|span|strong|sub|sup|table|tbody|td|textarea|th|thead|tr|ul)$/.test(name)) found.push(name);
  for (const { name: attribute, value } of element.attributes) {
    if (/^on|^style$|^srcset$|^id$|^name$/.test(attribute)) found.push(`${name} ${attribute}=${value}`);
    if (/^(href|src)$/.test(attribute) && !/^(https?:\\/\\/|mailto:|data:image\\/(png|jpeg|gif|webp);)/.test(value)) found.push(`${name} ${attribute}=${value}`);
  }
  if (name === 'a' && element.hasAttribute('href') && !/noopener/.test(element.rel)) found.push('a link without noopener');
}
return found;
"""  # noqa: E501


@pytest.mark.parametrize("corpus", [TAGS, DRAWINGS, MARKDOWN], ids=["tags", "drawings", "markdown"])
def test_an_answer_is_text_whatever_it_says(chat, corpus):
    """Shown as it was written, also while it comes, letter by letter."""
    page = chat(fake(corpus, n_ctx=20000, delay=0.0005))
    page.ask("Attack")
    page.answered()
    assert "alert(1)" in page.text()
    assert page.js(LOOK) == []


@pytest.mark.parametrize("corpus", [TAGS, DRAWINGS, MARKDOWN], ids=["tags", "drawings", "markdown"])
def test_each_line_of_it_by_itself(chat, corpus):
    """Imported, where it comes into every field that the page shows."""
    lines = [line for line in corpus.splitlines() if line.strip()]
    page = chat("fake:Hello")
    bring(page, json.dumps(hostile(lines)))
    page.until(lambda: "One chat was imported." in page.text(), "the import")
    page.button("Close").click()
    page.all(".chats .chat")[0].click()
    page.until(lambda: len(page.all(".reply")) == len(lines), "all the answers")
    for folded in page.all(".thoughts summary"):
        page.js("arguments[0].click()", folded)
    assert page.js(LOOK) == []
    assert page.driver.title.startswith(lines[0])


def hostile(lines: list[str]) -> dict:
    """A file that has these lines wherever text can stand."""
    turns: list[dict] = []
    for at, line in enumerate(lines):
        before = turns[-1]["id"] if turns else None
        turns.append(
            {"id": f"q{at}", "parent": before, "role": "user", "content": line, "created": at}
        )
        turns.append(
            {
                "id": f"a{at}",
                "parent": f"q{at}",
                "role": "assistant",
                "content": line,
                "reasoning": line,
                "model": line,
                "calls": [{"id": line, "name": line, "arguments": line}],
                "ending": "failed",
                "failure": {"message": line, "remedy": line},
                "created": at,
            }
        )
    manner = {
        "model": lines[0],
        "system": lines[0],
        "sampling": {},
        "thinking": "auto",
        "tools": lines[0],
    }
    chat = {
        "id": lines[0][:200],
        "title": lines[0],
        "created": 1,
        "updated": 2,
        "manner": manner,
        "turns": turns,
        "leaf": turns[-1]["id"],
    }
    return {"format": "headrace-chats", "version": 1, "chats": [chat]}


def test_the_watch_sees_what_it_is_for(chat):
    """A script that does get in is kept from running, and the judgement says so."""
    page = chat("fake:Hello")
    page.js(
        "const link = document.createElement('img'); link.src = 'https://evil.example/x.png';"
        "document.body.append(link)"
    )
    page.until(lambda: page.js("return window.violations.length") == 1, "the violation")
    with pytest.raises(AssertionError):
        page.judge()
    page.js("window.violations.length = 0")
    page.driver.get_log("browser")
    with pytest.raises(Exception, match="TrustedHTML"):
        page.js("document.body.innerHTML = '<img src=x onerror=alert(1)>'")
    page.js("window.violations.length = 0")
    page.driver.get_log("browser")
    page.driver.get_log("performance")
