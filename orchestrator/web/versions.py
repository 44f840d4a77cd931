"""The parts of a path that routes share: `{version:version}` and `{model:model}`."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

from orchestrator import model_names

# A POST to a path of the API that takes none is a mistake, and no model of that name.
_OURS = (
    "accounts|actions|batches|dead-letters|deliveries|endpoints|events|jobs|keys|lanes|login-links|tenants"
)


class VersionConvertor(Convertor[str]):
    """The two API versions that WaveSpeed's clients use."""

    regex = "v2|v3"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class ModelConvertor(VersionConvertor):
    """A model's name, whose first segment is no path of our own additions."""

    regex = f"(?!(?:{_OURS})/){model_names.PATTERN}"


def register() -> None:
    register_url_convertor("version", VersionConvertor())
    register_url_convertor("model", ModelConvertor())
