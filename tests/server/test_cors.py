"""Which web sites may ask: none of those that a user happens to visit."""

from __future__ import annotations

import anyio
import httpx
import pytest
from starlette.responses import PlainTextResponse

from headrace.errors import ParamsError
from headrace_server import ApiKey, ServerSettings
from headrace_server.access.sites import Sites

SITE = "https://chat.example.org"
KEY = ApiKey(key="correct-horse")


async def answering(scope, receive, send):
    """An application that answers whatever it is asked."""
    await PlainTextResponse("answered", headers={"vary": "accept-encoding"})(scope, receive, send)


def ask(
    method: str = "POST",
    headers: dict | None = None,
    *,
    at: str = "http://localhost:8080",
    listens: tuple = ("127.0.0.1", 8080),
    **settings,
) -> httpx.Response:
    """One request, by default at a server that listens on this machine alone."""
    sites = Sites(answering, ServerSettings(**settings))

    async def application(scope, receive, send):
        await sites({**scope, "server": listens}, receive, send)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url=at) as client:
            return await client.request(method, "/", headers=headers)

    return anyio.run(asked)


def allowed(answer: httpx.Response) -> list[str]:
    """The headers that tell a browser to hand something to a page."""
    return sorted(name for name in answer.headers if name.startswith("access-control-"))


def test_programs_send_no_origin_and_are_answered():
    """Without any header for browsers."""
    answer = ask()
    assert answer.text == "answered"
    assert allowed(answer) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "origin",
    [SITE, "null", "http://localhost:5173", "file://", "http://[", "https://localhost.example.org"],
)
def test_pages_of_other_sites_make_nothing_compute(method, origin):
    """Their requests are refused before they are read, with what would permit them."""
    answer = ask(method, {"origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin_not_allowed"
    assert "--cors-origin" in answer.json()["error"]["message"]
    assert allowed(answer) == []


def test_what_other_sites_may_not_read_they_may_not_ask_for_first():
    """A preflight is answered without a word of permission."""
    asks = {"origin": SITE, "access-control-request-method": "POST"}
    assert allowed(ask("OPTIONS", asks)) == []
    assert allowed(ask("GET", {"origin": SITE})) == []


@pytest.mark.parametrize("origin", ["http://localhost:8080", "https://LOCALHOST:8080"])
def test_its_own_page_may_ask(origin):
    """Also where a proxy before it ends TLS."""
    assert ask(headers={"origin": origin}).text == "answered"


def test_with_a_key_an_origin_does_not_matter():
    """No other site has it; desktop programs send odd origins. A page reads nothing still."""
    answer = ask(headers={"origin": "app://obsidian.md"}, api_keys=(KEY,))
    assert answer.text == "answered"
    assert allowed(answer) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("at", ["http://evil.example:8080", "http://192.168.1.2", "http://[::2]"])
def test_a_server_of_this_machine_is_not_asked_by_other_names(method, at):
    """Whoever owns the name can have it point here, and its pages would be the server's own."""
    answer = ask(method, at=at)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "host_not_allowed"
    assert "--allowed-host" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "at", ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:8080", "http://a.localhost"]
)
@pytest.mark.parametrize("listens", [("127.0.0.1", 8080), ("::1", 8080)])
def test_a_server_of_this_machine_is_asked_by_this_machines_names(at, listens):
    """All of them."""
    assert ask(at=at, listens=listens).text == "answered"


def test_a_proxy_has_a_name_too():
    """Which is permitted by an option, whatever the case of its letters."""
    origin = {"origin": "https://chat.example.org"}
    options = {"at": "http://Chat.example.org", "headers": origin}
    assert ask(**options).status_code == 403
    assert ask(**options, allowed_hosts=["Chat.example.org"]).text == "answered"


@pytest.mark.parametrize("listens", [("0.0.0.0", 80), ("10.0.0.1", 80), ("/run/socket", None)])
def test_elsewhere_names_are_the_business_of_others(listens):
    """A container or a socket is reached by any name."""
    assert ask(at="http://any.example", listens=listens).text == "answered"


def test_with_a_key_a_name_does_not_matter():
    """A page of another site has no key to show."""
    assert ask(at="http://any.example", api_keys=(KEY,)).text == "answered"


def test_a_listed_site_may_ask_and_read():
    """It alone, and never with a browser's credentials."""
    answer = ask(headers={"origin": SITE}, cors_origins=[SITE])
    assert answer.text == "answered"
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["access-control-expose-headers"] == "x-request-id, retry-after"
    assert "Origin" in answer.headers.get_list("vary", split_commas=True)
    assert "access-control-allow-credentials" not in answer.headers
    other = ask(headers={"origin": "https://other.example"}, cors_origins=[SITE])
    assert other.status_code == 403
    assert "access-control-allow-origin" not in other.headers


def test_a_listed_site_is_told_what_it_may_send():
    """Before it sends; the application is not asked."""
    asks = {
        "origin": SITE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = ask("OPTIONS", asks, cors_origins=[SITE])
    assert (answer.status_code, answer.text) == (204, "")
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    other = ask("OPTIONS", {**asks, "origin": "https://other.example"}, cors_origins=[SITE])
    assert "access-control-allow-origin" not in other.headers


def test_all_sites_are_permitted_only_with_keys():
    """And without credentials, as ever."""
    with pytest.raises(ParamsError, match=r"'\*' lets every web site"):
        ServerSettings(cors_origins=["*"])
    answer = ask(headers={"origin": SITE}, cors_origins="*", api_keys=(KEY,))
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://example.org/a", "", "https://"]
)
def test_what_is_no_origin_is_refused(origin):
    """A slash at its end would never match."""
    with pytest.raises(ParamsError, match="cors_origins must be origins"):
        ServerSettings(cors_origins=[origin])


@pytest.mark.parametrize("host", ["", "a:80", "http://a", "*", "a b"])
def test_what_is_no_host_is_refused(host):
    """Neither an address with a port, nor a pattern."""
    with pytest.raises(ParamsError, match="allowed_hosts must be names"):
        ServerSettings(allowed_hosts=[host])


def test_the_application_has_it_around_all(serve):
    """What is not there as well, and over a real connection."""
    listening = serve()
    with listening.client() as client:
        evil = {"host": "evil.example"}
        assert client.get("/health", headers=evil).json()["error"]["code"] == "host_not_allowed"
        assert client.get("/nowhere", headers=evil).status_code == 403
        refused = client.post("/health", headers={"origin": SITE}, json={})
        assert refused.json()["error"]["code"] == "origin_not_allowed"
