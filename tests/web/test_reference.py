"""The API description is whole, and its page shows all of it without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis.openapi
from starlette.applications import Starlette
from starlette.routing import Route

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.catalogue.pages import BUILT_IN
from orchestrator.web.query import IDEMPOTENCY_KEY
from orchestrator.web.reference import pages, reading
from orchestrator.web.reference.document import Reference
from orchestrator.web.reference.models import path_of
from orchestrator.web.reference.tables.table import ENDPOINTS, GROUPS

SERVER = "https://jobs.example"
Json = dict[str, Any]
# Questions, what the provider alone keeps, and orders that set a state: twice is as once, or refused, unless
# somebody has ordered the contrary between.
HARMLESS = {
    "history",
    "price",
    "pricing",
    "upload_ticket",
    "upload",
    "callback",
    "delete_predictions",
    "cancel_job",
    "check_job",
    "dismiss_job",
    "stop_action",
    "pause_batch",
    "resume_batch",
    "cancel_batch",
    "pause_lane",
    "resume_lane",
    "revoke_key",
    "create_login_link",
}


@pytest.fixture(scope="module")
def document() -> Json:
    return Reference(GROUPS).document(Catalogue(), server=SERVER)


@pytest.fixture(scope="module")
def page(document: Json) -> str:
    return pages.rendered(document)


def operations(document: Json) -> list[Json]:
    return [one for item in document["paths"].values() for one in item.values()]


def values_of(key: str, value: Any) -> Iterator[Any]:
    """Every value under this key, at any depth."""
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == key)
        for inner in value.values():
            yield from values_of(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from values_of(key, inner)


def test_every_endpoint_and_every_model_is_an_operation_of_its_own(document: Json) -> None:
    names = [one["operationId"] for one in operations(document)]
    assert len(names) == len(set(names)) == len(ENDPOINTS) + len(BUILT_IN)


def test_every_reference_and_every_link_leads_somewhere(document: Json) -> None:
    refs = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(values_of("$ref", document)) <= refs
    names = {one["operationId"] for one in operations(document)}
    linked = {name for links in values_of("links", document) for name in links}
    assert linked
    assert linked <= names


def test_the_document_is_openapi(document: Json) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_schema_is_one(document: Json) -> None:
    for schema in [*values_of("schema", document), *document["components"]["schemas"].values()]:
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema)


def test_every_operation_says_what_it_needs_and_how_it_refuses(document: Json) -> None:
    for one in operations(document):
        assert {"200", "400"} <= one["responses"].keys(), one["operationId"]
        assert bool(one["security"]) == ("401" in one["responses"] and "403" in one["responses"])


def test_every_post_takes_an_idempotency_key_or_does_no_harm_twice(document: Json) -> None:
    takers = {one.name for one in ENDPOINTS if one.method == "POST" and IDEMPOTENCY_KEY in one.headers}
    assert {one.name for one in ENDPOINTS if one.method == "POST"} - takers == HARMLESS
    refusing = {one["operationId"] for one in operations(document) if "409" in one["responses"]}
    assert takers <= refusing


def test_every_operation_that_takes_an_idempotency_key_tells_by_a_header_that_it_was_used(
    document: Json,
) -> None:
    for one in operations(document):
        takes_key = "Idempotency-Key" in {parameter["name"] for parameter in one.get("parameters", ())}
        told = one["responses"]["200"].get("headers", {})
        assert ("Idempotent-Replayed" in told) == takes_key, one["operationId"]


@pytest.mark.parametrize("known", BUILT_IN, ids=lambda known: f"{known.version} {known.model}")
def test_the_example_of_a_model_is_taken_by_the_catalogue(document: Json, known: Any) -> None:
    content = document["paths"][path_of(known)]["post"]["requestBody"]["content"]["application/json"]
    Catalogue().check(known.model, known.version, content["example"])
    assert jsonschema_rs.validator_for(content["schema"]).is_valid(content["example"])


def test_a_model_that_the_catalogue_learns_is_described(document: Json) -> None:
    reference = Reference(GROUPS)
    before = reference.document(Catalogue(), server=SERVER)
    learned = Catalogue([*BUILT_IN, replace(BUILT_IN[0], model="new/model")])
    after = reference.document(learned, server=SERVER)
    assert after["paths"].keys() - before["paths"].keys() == {"/api/v2/new/model"}


class Seen(HTMLParser):
    """The ids, the links and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.add(tag)
        self.attributes |= told.keys()
        self.ids += [told["id"] or ""] if "id" in told else []
        self.links += [told["href"] or ""] if "href" in told else []


def test_the_page_has_a_place_for_everything_and_each_link_finds_it(document: Json, page: str) -> None:
    seen = Seen(page)
    assert len(seen.ids) == len(set(seen.ids))
    inner = {link.removeprefix("#") for link in seen.links if link.startswith("#")}
    assert inner <= set(seen.ids)
    assert {one["operationId"] for one in operations(document)} <= inner


def test_the_page_has_neither_script_nor_style_in_it(page: str) -> None:
    seen = Seen(page)
    assert not seen.tags & {"script", "style", "iframe", "img"}
    assert not {name for name in seen.attributes if name == "style" or name.startswith("on")}


def test_words_of_a_model_cannot_become_markup() -> None:
    evil = replace(BUILT_IN[0], name="<script>alert(1)</script>", description="`<b>`")
    shown = pages.rendered(Reference(GROUPS).document(Catalogue([evil]), server=SERVER))
    assert "<script" not in shown
    assert "<code>&lt;b&gt;</code>" in shown


def test_each_operation_has_an_example_that_names_the_key_where_one_is_needed(document: Json) -> None:
    shown = {one.anchor: one for section in reading.sections(document) for one in section.operations}
    for one in operations(document):
        example = shown[one["operationId"]].example
        assert example.startswith("curl ")
        assert ("Bearer $KEY" in example) == bool(one["security"])
        assert not re.search(r"{\w+}", example.partition("-d")[0])


async def test_the_style_is_kept_by_browsers_under_the_name_that_the_page_asks_for(page: str) -> None:
    (name,) = [link for link in Seen(page).links if link.startswith("/docs.css")]
    transport = httpx.ASGITransport(Starlette(routes=[Route("/docs.css", pages.style)]))
    async with httpx.AsyncClient(transport=transport, base_url=SERVER) as client:
        answer = await client.get(name)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert "prefers-color-scheme: dark" in answer.text
