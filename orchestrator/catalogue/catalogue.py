"""What is known of the provider's models; asked at the door before a job is stored and paid for.

A page speaks for its own API version only: a v2 request to a model that has but a v3 page is not
checked, because the other version may know other names, types and ranges. Unknown models pass too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.catalogue import models_answer
from orchestrator.catalogue.checker import Checker
from orchestrator.catalogue.media import MediaClass, class_of, holds_embedded, is_embedded
from orchestrator.catalogue.page import Page
from orchestrator.catalogue.pages import BUILT_IN
from orchestrator.errors import InvalidInput
from orchestrator.model_names import is_model_name

# How the answer travels, not what is made: these never tell two tasks apart.
_TRAVEL = ("enable_sync_mode", "webhook", "webhook_url")
_PLAIN = frozenset({str, int, bool})
_IMPLIED: dict[str, Any] = {"enable_base64_output": False}


class Catalogue:
    """All pages, by model and API version (`v2`, `v3`). Never changes once made."""

    def __init__(self, pages: Iterable[Page] = BUILT_IN, *, learned: Iterable[Checker] = ()) -> None:
        checkers = [*map(Checker, pages), *learned]
        self.pages = tuple(checker.page for checker in checkers)
        self._pages = {(page.model, page.version): page for page in self.pages}
        self._types = {page.model: page.type for page in self.pages}
        self._implied = {key: _IMPLIED | _plain(dict(page.implied)) for key, page in self._pages.items()}
        self._checkers = {(checker.page.model, checker.page.version): checker for checker in checkers}

    def with_provider_models(self, models_answer_body: Any) -> Catalogue:
        """This catalogue and, for models it does not know in any version, the provider's own schemas."""
        found = models_answer.read_models(models_answer_body)
        new = (checker for checker in found if self._is_new(checker.page.model))
        return Catalogue(self.pages, learned=new)

    def _is_new(self, model: str) -> bool:
        return model not in self._types and is_model_name(model)

    def page(self, model: str, version: str) -> Page | None:
        """The model's page in this very API version."""
        return self._pages.get((model, version))

    def check_name(self, model: str, version: str, *, is_strict: bool) -> None:
        """Raise InvalidInput for what is no model's name and, if strict, for a model without a page."""
        if (model, version) in self._pages:
            return
        if not is_model_name(model):
            raise InvalidInput("model", "must be a model's name, such as wavespeed-ai/flux-dev")
        if is_strict:
            raise InvalidInput("model", f"is not known in {version}: {model[:100]}")

    def takes_media(self, model: str, version: str) -> bool:
        """Whether inputs of this model may hold media; nobody knows it of a model without a page."""
        page = self.page(model, version)
        return page is None or bool(page.media)

    def check(self, model: str, version: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs as they may be sent. Raises InvalidInput, naming the field, for what the page of this
        model and version refuses.
        """
        checker = self._checkers.get((model, version))
        return inputs if checker is None else checker.check(inputs)

    def canonical_input(self, model: str, version: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs in the one form in which two tasks that ask for the same are equal.

        Defaults are filled in, null counts as left out, 5.0 is 5, and what says only how the answer travels
        is left out. The order of keys says nothing.
        """
        filled = dict(self._implied.get((model, version), _IMPLIED))
        for name, value in inputs.items():
            if value is not None:
                # Texts and integers are most of what there is: they are taken here without a call.
                filled[name] = value if type(value) in _PLAIN else _plain(value)
        for name in _TRAVEL:
            filled.pop(name, None)
        return filled

    def agrees(
        self, model: str, version: str, *, asked: Mapping[str, Any], listed: Mapping[str, Any]
    ) -> bool:
        """Whether a task that is listed with these inputs may be one that was asked for with those: it has
        all of them, and may have more. To ask for no seed, or for -1, agrees with the seed that was drawn.
        """
        filled = self.canonical_input(model, version, listed)
        return all(
            (name in filled and _has_all_of(filled[name], _plain(value))) or (name == "seed" and value == -1)
            for name, value in asked.items()
            if value is not None and name not in _TRAVEL
        )

    def has_embedded_media(self, model: str, version: str, inputs: Mapping[str, Any]) -> bool:
        """Whether media is part of the inputs themselves, so that it cannot be compared as a URL."""
        page = self.page(model, version)
        given = (inputs.get(name) for name in (page.media if page else ()))
        return any(isinstance(text, str) and is_embedded(text) for text in given) or holds_embedded(
            dict(inputs)
        )

    def media_class(self, model: str) -> MediaClass:
        """By the provider's word on the model's page, else by the model's name."""
        return class_of(model, self._types.get(model))


def _has_all_of(listed: Any, asked: Any) -> bool:
    """Objects may have more keys, at any depth; all else is the same."""
    if isinstance(listed, dict) and isinstance(asked, dict):
        return all(name in listed and _has_all_of(listed[name], value) for name, value in asked.items())
    if isinstance(listed, list) and isinstance(asked, list):
        return len(listed) == len(asked) and all(map(_has_all_of, listed, asked))
    return bool(listed == asked)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
