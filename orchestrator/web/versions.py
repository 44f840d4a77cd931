"""The parts of a path that routes share: `{version:version}` and `{model:model}`."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

# A POST to a path of the API that takes none is a mistake, and no model of that name.
_RESERVED = (
    "accounts|actions|balance|batches|dead-letters|deliveries|endpoints|events|jobs|keys|lanes|login-links"
    "|media|model|models|predictions|tenants|webhook"
)
_SEGMENT = "[A-Za-z0-9][A-Za-z0-9._-]*"
MODEL = f"{_SEGMENT}(?:/{_SEGMENT}){{1,3}}"


class VersionConvertor(Convertor[str]):
    """The two API versions that WaveSpeed's clients use."""

    regex = "v2|v3"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class ModelConvertor(VersionConvertor):
    """A model's name: two to four segments, the first no path of the API's own."""

    regex = f"(?!(?:{_RESERVED})/){MODEL}"


def register() -> None:
    register_url_convertor("version", VersionConvertor())
    register_url_convertor("model", ModelConvertor())
