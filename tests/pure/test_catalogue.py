"""Every parameter of every built-in page at its default, at and beyond its ends, and of a wrong type."""

from __future__ import annotations

import base64
import json
import timeit
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import strict_json
from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.catalogue.models_answer import decode, with_server
from orchestrator.catalogue.page import Kind, Page, Parameter
from orchestrator.catalogue.pages import BUILT_IN
from orchestrator.errors import InvalidInput, ProviderTrouble

CATALOGUE = Catalogue()
URL = "https://example.com/in.png"
DEV, REDUX, PRO, KONTEXT = (
    f"wavespeed-ai/{name}" for name in ("flux-dev", "flux-redux-dev", "flux-redux-pro", "flux-kontext-pro")
)

# The pages' tables, written out a second time: name, required, default, and what bounds the value.
TABLES: dict[tuple[str, str], list[tuple[str, bool, Any, Any]]] = {
    (DEV, "v2"): [
        ("prompt", False, "", str),
        ("image", False, "", "media"),
        ("strength", False, 0.6, (0.0, 1.0)),
        ("loras", False, [], 5),
        ("size", False, "1024*1024", (512, 1536)),
        ("num_inference_steps", False, 28, (1, 50)),
        ("seed", False, -1, int),
        ("guidance_scale", False, 5.0, (0.0, 10.0)),
        ("num_images", False, 1, (1, 4)),
        ("enable_safety_checker", False, True, bool),
    ],
    (DEV, "v3"): [
        ("prompt", True, None, str),
        ("image", False, None, "media"),
        ("mask_image", False, None, "media"),
        ("strength", False, 0.8, (0.0, 1.0)),
        ("size", False, "1024*1024", (256, 1536)),
        ("num_inference_steps", False, 28, (1, 50)),
        ("seed", False, -1, (-1, 2147483647)),
        ("guidance_scale", False, 3.5, (1.0, 20.0)),
        ("num_images", False, 1, (1, 4)),
        ("output_format", False, "jpeg", ["jpeg", "png", "webp"]),
        ("enable_base64_output", False, False, bool),
        ("enable_sync_mode", False, False, bool),
    ],
    (REDUX, "v2"): [
        (
            "image",
            True,
            "https://d2g64w682n9w0w.cloudfront.net/media/ec44bbf6abac4c25998dd2c4af1a46a7/images/"
            "1744855552093761102_56fc851Y.jpeg",
            "media",
        ),
        ("size", False, "1024*1024", (512, 1536)),
        ("num_inference_steps", False, 28, (1, 50)),
        ("seed", False, None, (-1, 9999999999)),
        ("guidance_scale", False, 3.5, (1.0, 20.0)),
        ("num_images", False, 1, (1, 4)),
        ("enable_safety_checker", False, True, bool),
    ],
    (REDUX, "v3"): [
        ("image", True, None, "media"),
        ("size", False, "1024*1024", (256, 1536)),
        ("num_inference_steps", False, 28, (1, 50)),
        ("guidance_scale", False, 3.5, (1.0, 20.0)),
        ("num_images", False, 1, (1, 4)),
        ("seed", False, -1, (-1, 2147483647)),
        ("output_format", False, "jpeg", ["jpeg", "png", "webp"]),
        ("enable_base64_output", False, False, bool),
        ("enable_sync_mode", False, False, bool),
    ],
    (PRO, "v3"): [
        ("image", True, None, "media"),
        ("prompt", False, None, str),
        ("size", False, "1024*1024", (256, 1536)),
        ("seed", False, None, (-1, 2147483647)),
        ("num_inference_steps", False, 28, (1, 50)),
        ("guidance_scale", False, 3.5, (1.0, 5.0)),
        ("num_images", False, 1, (1, 4)),
        ("enable_safety_checker", False, True, bool),
    ],
    (KONTEXT, "v3"): [
        ("prompt", True, None, str),
        ("image", True, None, "media"),
        ("guidance_scale", False, 3.5, (1.0, 10.0)),
        ("safety_tolerance", False, "2", ["1", "2", "3", "4", "5"]),
        ("enable_sync_mode", False, False, bool),
    ],
}
INTEGERS = {"num_inference_steps", "seed", "num_images"}


def page_of(model: str, version: str) -> Page:
    page = CATALOGUE.page(model, version)
    assert page is not None
    return page


def refused_field(catalogue: Catalogue, model: str, inputs: dict[str, Any]) -> str | None:
    try:
        catalogue.check(model, "v3", inputs)
    except InvalidInput as refusal:
        return refusal.field
    return None


def inputs_with(model: str, version: str, **changed: Any) -> dict[str, Any]:
    """The least that the page asks for, and the changes."""
    required = {
        name: URL if bounds == "media" else "p"
        for name, needed, _, bounds in TABLES[model, version]
        if needed
    }
    return required | changed


def right_and_wrong(name: str, bounds: Any) -> tuple[list[Any], list[Any]]:
    """Values that the row's bounds let in, at their very ends, and values just outside or of a wrong type."""
    if bounds is str:
        return [" ", "a cat, café 😀"], [5, True, ["a"], {}]
    if bounds is bool:
        return [True, False], ["true", 0, 1, []]
    if bounds is int:
        return [-(1 << 63), 0, 28.0], ["1", True, 1.5]
    if bounds == "media":
        return [URL, "data:image/png;base64,iVBORw0KGgo=", "iVBORw0KGgo="], [
            "cat.png",
            "hello",
            "data:,x",
            "data:text/html;base64,PGI+",
            "data:image/png,x",
            "ftp://h/x",
            "http://",
            5,
            [URL],
        ]
    if isinstance(bounds, list):
        return bounds, ["gif", "", 2, True]
    if isinstance(bounds, int):
        return [[], [{"path": "a"}] * bounds], [[{}] * (bounds + 1), "a", {}, 1]
    low, high = bounds
    if name == "size":
        return (
            [f"{low}*{high}", f"{high}*{low}", "1024*768"],
            [
                f"{low - 1}*{high}",
                f"{low}*{high + 1}",
                "1024x1024",
                "1024*1024*3",
                "1024",
                "",
                " 1024*1024",
                1024,
                [1024],
            ],
        )
    if name in INTEGERS:
        return [low, high, float(high)], [low - 1, high + 1, low + 0.5, str(low), True, [low]]
    return [low, high, int(low), (low + high) / 2], [low - 0.01, high + 0.01, str(low), True, [low]]


def cases(*, right: bool) -> list[Any]:
    return list(_cases(right=right))


def _cases(*, right: bool) -> Iterator[Any]:
    for (model, version), rows in TABLES.items():
        for name, _, default, bounds in rows:
            accepted, refused = right_and_wrong(name, bounds)
            if right and default is not None:
                accepted = [default, *accepted]
            for value in accepted if right else refused:
                shown = f"{model.split('/')[1]}-{version}-{name}-{value!r:.30}"
                yield pytest.param(model, version, name, value, id=shown)


@pytest.mark.parametrize(("model", "version"), TABLES)
def test_a_page_has_the_rows_of_its_table_in_their_order(model: str, version: str) -> None:
    schema = page_of(model, version).request_schema()
    rows = TABLES[model, version]
    assert schema["x-order-properties"] == list(schema["properties"]) == [name for name, *_ in rows]
    assert schema["required"] == [name for name, required, *_ in rows if required]
    assert [facts.get("default") for facts in schema["properties"].values()] == [row[2] for row in rows]


def test_no_page_is_without_a_table() -> None:
    assert {(page.model, page.version) for page in BUILT_IN} == set(TABLES)


@pytest.mark.parametrize(("model", "version", "name", "value"), cases(right=True))
def test_a_value_within_the_table_is_accepted(model: str, version: str, name: str, value: Any) -> None:
    CATALOGUE.check(model, version, inputs_with(model, version, **{name: value}))


@pytest.mark.parametrize(("model", "version", "name", "value"), cases(right=False))
def test_a_value_outside_the_table_is_refused_by_its_name(
    model: str, version: str, name: str, value: Any
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{name}: (must be|each side must be) .*; got ") as refusal:
        CATALOGUE.check(model, version, inputs_with(model, version, **{name: value}))
    assert refusal.value.field == name


REQUIRED = [(*key, row[0]) for key, rows in TABLES.items() for row in rows if row[1]]


@pytest.mark.parametrize(("model", "version", "name"), REQUIRED)
def test_a_missing_or_null_required_parameter_is_refused(model: str, version: str, name: str) -> None:
    inputs = inputs_with(model, version)
    for lacking in ({**inputs, name: None}, {key: inputs[key] for key in inputs if key != name}):
        with pytest.raises(InvalidInput, match=f"^{name}: is required$"):
            CATALOGUE.check(model, version, lacking)


@pytest.mark.parametrize("key", TABLES)
def test_null_leaves_an_optional_parameter_out(key: tuple[str, str]) -> None:
    unset = {name: None for name, required, *_ in TABLES[key] if not required}
    CATALOGUE.check(*key, {**inputs_with(*key), **unset})


@pytest.mark.parametrize(("model", "version", "name"), REQUIRED)
def test_a_required_text_or_image_must_not_be_empty(model: str, version: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{name}: must not be empty$"):
        CATALOGUE.check(model, version, inputs_with(model, version, **{name: ""}))


def test_an_optional_text_or_image_may_be_empty() -> None:
    CATALOGUE.check(DEV, "v3", {"prompt": "p", "image": "", "mask_image": ""})
    CATALOGUE.check(DEV, "v2", {"prompt": "", "image": ""})
    CATALOGUE.check(PRO, "v3", {"image": URL, "prompt": ""})


def test_an_empty_text_that_is_the_default_of_a_required_one_is_taken() -> None:
    facts = {"type": "string", "default": ""}
    known = CATALOGUE.with_provider_models(
        [provider_item({"negative_prompt": facts}, required=["negative_prompt"])]
    )
    known.check("acme/m", "v3", {"negative_prompt": ""})


@pytest.mark.parametrize("key", TABLES)
def test_parameters_that_no_page_lists_pass(key: tuple[str, str]) -> None:
    CATALOGUE.check(*key, inputs_with(*key, max_images={"any": ["thing"]}, webhook_url=5))


def test_unknown_models_and_versions_without_a_page_pass_unchecked() -> None:
    CATALOGUE.check("someone/else", "v3", {"size": 5})
    CATALOGUE.check(KONTEXT, "v2", {"guidance_scale": "high"})
    assert CATALOGUE.page(KONTEXT, "v2") is None


@pytest.mark.parametrize(
    "model", ["predictions/delete", "media/x", "webhook/x", "a/b/c/d/e", "_a/b", "a", "a/b\n"]
)
def test_what_the_adapter_would_not_send_is_no_name_of_a_model(model: str) -> None:
    with pytest.raises(InvalidInput, match="must be a model's name"):
        CATALOGUE.check_name(model, "v3", is_strict=False)
    assert CATALOGUE.with_provider_models([provider_item({}, model=model)]).pages == CATALOGUE.pages


@pytest.mark.parametrize("model", ["a/b", "model-x/b", "predictions-lab/b", "a/predictions", "a/b/c/d.1_x-y"])
def test_names_that_only_look_like_paths_of_the_api_are_models(model: str) -> None:
    CATALOGUE.check_name(model, "v3", is_strict=False)


def test_a_whole_number_is_sent_as_one_and_nothing_else_is_changed() -> None:
    inputs = inputs_with(DEV, "v3", image=None, seed=3.0, strength=1.0, other=[5.0])
    sent = CATALOGUE.check(DEV, "v3", inputs)
    assert strict_json.encode(sent) == b'{"prompt":"p","image":null,"seed":3,"strength":1.0,"other":[5.0]}'
    assert isinstance(inputs["seed"], float)
    assert CATALOGUE.check(DEV, "v3", sent) is sent


@pytest.mark.parametrize("seed", [1e300, -1e300, 2.0**63])
def test_a_whole_number_that_no_integer_holds_is_refused(seed: float) -> None:
    with pytest.raises(InvalidInput, match=r"^seed: must be a whole number; got "):
        CATALOGUE.check(DEV, "v2", {"prompt": "p", "seed": seed})


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"size": "64*64"}, "size: each side must be 512 to 1536 pixels, such as 1024*1024; got 64*64"),
        (
            {"size": "1024x1024"},
            'size: must be text of the form width*height, such as 1024*1024; got "1024x1024"',
        ),
        ({"num_images": 5}, "num_images: must be a whole number from 1 to 4; got 5"),
        ({"num_images": True}, "num_images: must be a whole number from 1 to 4; got true"),
        ({"seed": "7"}, 'seed: must be a whole number; got "7"'),
        ({"strength": 1.5}, "strength: must be a number from 0 to 1; got 1.5"),
        ({"loras": [1] * 6}, "loras: must be a list of at most 5 items; got a list of 6 items"),
        ({"enable_safety_checker": "yes"}, 'enable_safety_checker: must be true or false; got "yes"'),
        ({"prompt": {}}, "prompt: must be text; got an object"),
        ({"image": "cat.png"}, 'image: must be an http(s) URL, a data URI or base64 text; got "cat.png"'),
        ({"seed": "x" * 100}, 'seed: must be a whole number; got "' + "x" * 60 + '"…'),
        ({"num_images": 9, "strength": 9}, "strength: must be a number from 0 to 1; got 9"),
    ],
)
def test_a_refusal_says_in_plain_words_what_is_asked_for(inputs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        CATALOGUE.check(DEV, "v2", inputs)
    assert str(refusal.value) == sentence


def test_a_choice_is_shown_as_the_text_that_it_must_be() -> None:
    with pytest.raises(InvalidInput, match=r'must be one of "1", "2", "3", "4", "5"; got 2$'):
        CATALOGUE.check(KONTEXT, "v3", inputs_with(KONTEXT, "v3", safety_tolerance=2))


EXAMPLES = [
    (
        DEV,
        "v2",
        '{"prompt": "A futuristic cityscape with flying cars and neon lights",'
        ' "image": "https://example.com/input_image.jpg", "strength": 0.6, "size": "1024*1024",'
        ' "num_inference_steps": 28, "guidance_scale": 5.0, "num_images": 1, "seed": -1,'
        ' "enable_safety_checker": true}',
    ),
    (
        REDUX,
        "v2",
        '{"image": "https://d2g64w682n9w0w.cloudfront.net/media/ec44bbf6abac4c25998dd2c4af1a46a7/images/'
        '1744855552093761102_56fc851Y.jpeg", "size": "1024*1024", "num_inference_steps": 28, "seed": 0,'
        ' "guidance_scale": 3.5, "num_images": 1, "enable_safety_checker": true}',
    ),
    (
        PRO,
        "v3",
        '{"image": "https://d3gnftk2yhz9lr.wavespeed.ai/media/images/1745413935078739480_xIVRNKGD.png",'
        ' "prompt": "", "size": "1024*1024", "seed": 0, "num_inference_steps": 28, "guidance_scale": 3.5,'
        ' "num_images": 1, "enable_safety_checker": true}',
    ),
    (
        KONTEXT,
        "v3",
        '{"prompt": "A man eating noddles", "image": "https://d3gnftk2yhz9lr.wavespeed.ai/media/images/'
        '1750499863413941379_I6hX6gpy.jpg", "guidance_scale": 3.5, "safety_tolerance": "2"}',
    ),
]
REDUX_V3_EXAMPLE = (
    '{"size": "1024*1024", "num_inference_steps": 28, "guidance_scale": 3.5, "num_images": 1, "seed": -1,'
    ' "output_format": "jpeg", "enable_base64_output": false, "enable_sync_mode": false}'
)


@pytest.mark.parametrize(("model", "version", "example"), EXAMPLES)
def test_the_example_of_a_page_is_accepted_as_printed(model: str, version: str, example: str) -> None:
    CATALOGUE.check(model, version, json.loads(example))


def test_the_one_example_that_lacks_its_required_image_is_refused_for_that_alone() -> None:
    example = json.loads(REDUX_V3_EXAMPLE)
    with pytest.raises(InvalidInput, match=r"^image: is required$"):
        CATALOGUE.check(REDUX, "v3", example)
    CATALOGUE.check(REDUX, "v3", {**example, "image": URL})


def test_two_spellings_of_the_same_request_have_one_canonical_form() -> None:
    short = CATALOGUE.canonical_input(DEV, "v2", {"prompt": "p"})
    page = page_of(DEV, "v2")
    full = {name: facts["default"] for name, facts in page.request_schema()["properties"].items()}
    told = {**full, "prompt": "p", "image": None, "guidance_scale": 5, "seed": -1.0, "enable_sync_mode": True}
    assert written(CATALOGUE.canonical_input(DEV, "v2", told)) == written(short)
    assert short["loras"] == []


@pytest.mark.parametrize("changed", [{"prompt": "q"}, {"seed": 1}, {"size": "512*512"}, {"other": 0}])
def test_requests_that_differ_have_different_canonical_forms(changed: dict[str, Any]) -> None:
    first = CATALOGUE.canonical_input(DEV, "v2", {"prompt": "p"})
    assert CATALOGUE.canonical_input(DEV, "v2", {"prompt": "p"} | changed) != first


def test_the_order_of_keys_does_not_count_and_nulls_are_dropped_at_every_depth() -> None:
    told = {"b": [{"z": 1.0, "a": None, "c": True}], "a": 1.5}
    canonical = CATALOGUE.canonical_input("someone/else", "v3", told)
    assert written(canonical) == '{"a":1.5,"b":[{"c":true,"z":1}],"enable_base64_output":false}'


def written(canonical: dict[str, Any]) -> str:
    """The text that is hashed."""
    return strict_json.encode_sorted(canonical).decode()


def test_the_default_of_a_required_parameter_is_never_filled_in() -> None:
    assert "image" not in CATALOGUE.canonical_input(REDUX, "v2", {})


LONG = base64.b64encode(bytes(range(256)) * 20).decode()


@pytest.mark.parametrize(
    ("model", "inputs", "embedded"),
    [
        (DEV, {"prompt": "p", "image": URL}, False),
        (DEV, {"prompt": "p", "image": ""}, False),
        (DEV, {"prompt": "p", "image": None}, False),
        (DEV, {"prompt": "p", "image": "iVBORw0KGgo="}, True),
        (DEV, {"prompt": "p", "mask_image": "data:image/png;base64,iVBORw0KGgo="}, True),
        (DEV, {"prompt": "word " * 2_000}, False),
        (DEV, {"prompt": "iVBORw0KGgo="}, False),
        ("someone/else", {"image": "iVBORw0KGgo="}, False),
        ("someone/else", {"images": [URL, {"url": LONG}]}, True),
        ("someone/else", {"video": "data:video/mp4;base64,AAAA"}, True),
        ("someone/else", {"images": [URL, {"url": URL}], "n": 5}, False),
    ],
)
def test_embedded_media_is_found(model: str, inputs: dict[str, Any], embedded: bool) -> None:
    assert CATALOGUE.has_embedded_media(model, "v3", inputs) is embedded


def test_base64_in_lines_is_media() -> None:
    lines = base64.encodebytes(bytes(range(256)) * 20).decode()
    CATALOGUE.check(DEV, "v2", {"image": lines})
    assert CATALOGUE.has_embedded_media("someone/else", "v3", {"image": lines})


@pytest.mark.parametrize(
    ("model", "provider_type", "media_class"),
    [
        (DEV, "text-to-image", "image"),
        ("wavespeed-ai/wan-2.1/t2v-480p", None, "video"),
        ("wavespeed-ai/wan-2.1/i2v-720p-ultra-fast", None, "video"),
        ("wavespeed-ai/wan-2.1-14b-vace/v2v", None, "video"),
        ("kwaivgi/kling-v2.0/Text-to-Video", None, "video"),
        ("someone/else", None, "image"),
        ("someone/else", "image-to-video", "video"),
        ("someone/not-a-video", "text-to-image", "image"),
        ("someone/a-video", "", "video"),
    ],
)
def test_a_model_makes_images_unless_its_type_or_name_says_video(
    model: str, provider_type: str | None, media_class: str
) -> None:
    told = [] if provider_type is None else [provider_item({}, model=model) | {"type": provider_type}]
    assert CATALOGUE.with_provider_models(told).media_class(model) == media_class


def provider_item(properties: Any, *, model: str = "acme/m", **schema: Any) -> dict[str, Any]:
    return {
        "model_id": model,
        "type": "text-to-video",
        "api_schema": {
            "api_schemas": [
                {"type": "price"},
                {
                    "type": "model_run",
                    "request_schema": {"type": "object", "properties": properties, **schema},
                },
            ]
        },
    }


def test_the_providers_schemas_are_used_for_models_without_a_page() -> None:
    properties = {
        "duration": {"type": "integer", "enum": [5, 10], "default": 5},
        "size": {"type": "string", "minimum": 100, "maximum": 200, "default": "100*100"},
        "steps": {"type": "integer", "minimum": 2},
        "options": {"type": "object"},
        "odd": {"type": ["string", "null"], "pattern": "(((", "$ref": "http://192.0.2.1/x"},
    }
    known = CATALOGUE.with_provider_models(
        {"code": 200, "data": [provider_item(properties, required=["duration"])]}
    )
    known.check("acme/m", "v3", {"duration": 10, "size": "150*150", "odd": 5, "options": {}})
    refusals: list[tuple[str, Any, str]] = [
        ("duration", 7, "must be one of 5, 10; got 7"),
        ("duration", None, "is required"),
        ("size", "99*150", r"each side must be 100 to 200 pixels, such as 100\*100; got 99\*150"),
        ("steps", 1, "must be a whole number of at least 2; got 1"),
        ("options", [], "must be an object; got a list of 0 items"),
    ]
    for name, value, sentence in refusals:
        with pytest.raises(InvalidInput, match=f"^{name}: {sentence}$"):
            known.check("acme/m", "v3", {"duration": 5, name: value})
    known.check("acme/m", "v2", {"duration": 7})
    assert known.media_class("acme/m") == "video"
    assert CATALOGUE.page("acme/m", "v3") is None


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("ratio", {"type": "string", "enum": ["1:1", "16:9"]}),
        ("seed", {"type": "integer", "minimum": 0}),
        ("seed", {"type": "string"}),
    ],
)
def test_an_option_without_a_default_implies_nothing_that_it_refuses(name: str, facts: Any) -> None:
    known = CATALOGUE.with_provider_models([provider_item({name: facts})])
    assert known.media_class("acme/m") == "video"
    assert name not in known.canonical_input("acme/m", "v3", {})
    assert refused_field(known, "acme/m", {name: {}}) == name


def test_contradictory_limits_of_the_provider_are_not_believed() -> None:
    item = provider_item({"n": {"type": "integer", "minimum": 5, "maximum": 1}})
    CATALOGUE.with_provider_models([item]).check("acme/m", "v3", {"n": 3})


def test_a_built_in_page_outranks_the_providers_schema() -> None:
    strict = provider_item({"prompt": {"type": "integer"}}, model=DEV)
    known = CATALOGUE.with_provider_models([strict, provider_item({}, model=KONTEXT)])
    assert known.pages == CATALOGUE.pages


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        5,
        {},
        {"data": None},
        [None, 5, "x", [], {}],
        [{"model_id": "acme/m"}],
        [{"model_id": "acme/m", "api_schema": {"api_schemas": [{"type": "model_run"}]}}],
        [provider_item([])],
        [provider_item({}, required="prompt")],
        [{**provider_item({}), "model_id": 5}],
        [provider_item({"a": {"type": "integer", "default": "none"}})],
    ],
)
def test_an_unreadable_schema_is_skipped(answer: Any) -> None:
    assert CATALOGUE.with_provider_models(answer).pages == CATALOGUE.pages


@pytest.mark.parametrize(
    "facts",
    [
        {"type": "integer", "maximum": 2**64 - 1, "default": -1},
        {"type": "integer", "maximum": 10**400},
        {"type": "array", "maxItems": True},
        {"type": "array", "maxItems": 2.5},
    ],
)
@pytest.mark.parametrize("name", ["p", "", "0", "00"])
def test_an_odd_schema_is_learned_as_far_as_it_is_understood(name: str, facts: Any) -> None:
    known = CATALOGUE.with_provider_models(
        decode(json.dumps({"data": [provider_item({name: facts})]}).encode())
    )
    assert refused_field(known, "acme/m", {name: "text"}) == name
    known.check("acme/m", "v3", {name: 5 if facts["type"] == "integer" else [5]})


@pytest.mark.parametrize("item", [b'{"model_id":1e999}', b'"\xff"', b"[" * 300 + b"]" * 300, b'"\\u0000"'])
def test_an_item_that_cannot_be_read_hides_no_other(item: bytes) -> None:
    good = json.dumps(provider_item({"n": {"type": "integer"}})).encode()
    known = CATALOGUE.with_provider_models(decode(b'{"code":200,"data":[%b,%b]}' % (item, good)))
    assert refused_field(known, "acme/m", {"n": "text"}) == "n"


def test_a_default_beyond_all_depth_is_not_learned() -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    items = [provider_item({"n": {"default": deep}}), provider_item({}, model="acme/plain")]
    known = CATALOGUE.with_provider_models(decode(json.dumps({"data": items}).encode()))
    assert [page.model for page in known.pages if page not in BUILT_IN] == ["acme/plain"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":null}', b'{"data":[', b"[" * 9_999])
def test_an_answer_without_a_list_of_models_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderTrouble, match="list of models could not be read"):
        decode(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
# JSON's integers have no end, and a name may be any text.
ODD = JSON | st.sampled_from([True, -1, 2**63, 2**64 - 1, 10**400])
NAMES = st.sampled_from(["size", "image", "n", "seed", "", "0", "00", "a/b", "$ref"])
FACTS = st.dictionaries(
    st.sampled_from(["type", "default", "minimum", "maximum", "enum", "maxItems", "description"]),
    ODD | st.sampled_from(["string", "integer", "number", "array", "object", "boolean"]),
)


@given(
    properties=st.dictionaries(NAMES, FACTS | JSON),
    order=JSON,
    required=st.lists(NAMES | JSON, max_size=2),
    price=ODD,
    inputs=st.dictionaries(NAMES, ODD),
)
def test_no_schema_of_the_provider_breaks_a_check_or_hides_another(
    properties: Any, order: Any, required: Any, price: Any, inputs: dict[str, Any]
) -> None:
    odd = provider_item(properties, required=required, **{"x-order-properties": order}) | {
        "base_price": price
    }
    plain = provider_item({"steps": {"type": "integer"}}, model="acme/plain")
    known = CATALOGUE.with_provider_models(decode(json.dumps({"data": [odd, plain]}).encode()))
    assert refused_field(known, "acme/plain", {"steps": "many"}) == "steps"
    assert refused_field(known, "acme/m", inputs) in (None, *properties)
    known.canonical_input("acme/m", "v3", inputs)
    known.has_embedded_media("acme/m", "v3", inputs)


@given(inputs=st.dictionaries(st.sampled_from([row[0] for row in TABLES[DEV, "v3"]]), JSON))
def test_any_inputs_pass_or_are_refused_by_name(inputs: dict[str, Any]) -> None:
    assert refused_field(CATALOGUE, DEV, {"prompt": "p", **inputs}) in (None, "prompt", *inputs)


def as_read_back(row: Parameter) -> Parameter:
    # An answer does not tell media from other text.
    return replace(row, kind=Kind.TEXT) if row.kind is Kind.MEDIA else row


@pytest.mark.parametrize("page", BUILT_IN, ids=lambda page: f"{page.model}-{page.version}")
def test_the_schema_of_a_page_is_read_back_as_the_page(page: Page) -> None:
    item = provider_item({}, model=page.model) | {"description": page.description, "base_price": 0.5}
    item["api_schema"]["api_schemas"][1]["request_schema"] = page.request_schema()
    (read,) = Catalogue([]).with_provider_models(decode(json.dumps({"data": [item]}).encode())).pages
    assert [as_read_back(row) for row in page.parameters] == list(read.parameters)
    assert (read.type, read.description, read.base_price) == ("text-to-video", page.description, 0.5)


def test_models_are_shown_with_another_server_and_nothing_else_is_changed() -> None:
    run = {"type": "model_run", "server": "https://api.example.com", "api_path": "/api/v3/acme/m"}
    answer = {
        "code": 200,
        "message": "success",
        "data": [
            {"model_id": "acme/m", "sort_order": 1.5, "api_schema": {"api_schemas": [run, {"type": "x"}, 5]}},
            {"model_id": "acme/n", "api_schema": {"api_schemas": "none"}},
            "odd",
        ],
    }
    shown = with_server(json.dumps(answer).encode(), "https://jobs.example.com")
    run["server"] = "https://jobs.example.com"
    assert json.loads(shown) == answer


def test_checking_a_job_costs_microseconds() -> None:
    inputs = json.loads(EXAMPLES[0][2])
    best = min(timeit.repeat(lambda: CATALOGUE.check(DEV, "v2", inputs), number=2_000, repeat=5))
    assert best / 2_000 < 25e-6  # some 2 µs when nobody else is busy; the bound is for a loaded machine
