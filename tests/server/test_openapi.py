"""``/openapi.json`` describes what is answered, and nothing else."""

from __future__ import annotations

import re

import pytest

from headrace_server import ModelSpec, endpoints
from headrace_server.http.exchange import Exchange
from headrace_server.server import Server
from headrace_server.settings import ServerSettings


@pytest.fixture(scope="module")
def client(serve_all):
    """A client of the fake."""
    with serve_all("fake:").client() as client:
        yield client


@pytest.fixture(scope="module")
def document(client):
    """The document, as it is served."""
    response = client.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


ROUTES = tuple(endpoints.routes(Server([ModelSpec(name="a", reference="fake:")], ServerSettings())))


def plain(path):
    """A path without the kinds of its parameters."""
    return re.sub(r":\w+}", "}", path)


def test_every_route_is_in_it(document):
    """With each of its methods, and nothing beside them."""
    there = {(plain(each.path), method) for each in ROUTES for method in each.methods - {"HEAD"}}
    told = {
        (path, method.upper()) for path, methods in document["paths"].items() for method in methods
    }
    assert told == there


def test_operations_have_names_of_their_own(document):
    """And a sentence that says what they do."""
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert all(each["summary"].endswith(".") for each in operations), [
        each["operationId"] for each in operations if not each["summary"].endswith(".")
    ]


def test_references_lead_somewhere(document):
    """All schemas that are named are there."""
    import json

    schemas = document["components"]["schemas"]
    named = set(re.findall(r"#/components/schemas/([\w.]+)", json.dumps(document)))
    assert named
    assert named <= set(schemas)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_bodies_are_read_into_what_is_described(client, route, monkeypatch):
    """Each endpoint asks for the type that the document shows, or for none."""
    read = []
    original = Exchange.body

    async def body(self, kind):
        read.append(kind)
        return await original(self, kind)

    monkeypatch.setattr(Exchange, "body", body)
    (method, *_) = sorted(route.methods - {"HEAD"})
    described = route.endpoint.described.body
    if method == "GET":
        assert described is None
        return
    client.request(method, plain(route.path).replace("{", "").replace("}", ""), json=3)
    assert read == ([] if described is None else [described])


def test_other_paths_and_methods_are_told_in_json(client):
    """With where to look."""
    for method, path, status in (("GET", "/v2", 404), ("GET", "/v1/completions", 405)):
        response = client.request(method, path)
        assert response.status_code == status
        assert "/openapi.json" in response.json()["error"]["message"]
