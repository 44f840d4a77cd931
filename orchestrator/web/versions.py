"""The path part `{version:version}`: the two API versions that WaveSpeed's clients use."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class VersionConvertor(Convertor[str]):
    """`v2` or `v3`."""

    regex = "v2|v3"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def register() -> None:
    register_url_convertor("version", VersionConvertor())
