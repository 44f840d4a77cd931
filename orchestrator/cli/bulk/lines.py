"""What all lines of a batch have in common, and local files in it replaced by where they were uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cli.values import LocalFile

Inputs = Mapping[str, Any]
Urls = Mapping[Path, str]
"""Where each local file is for the server."""


@dataclass(frozen=True)
class Shared:
    """What all lines have in common: the model, and inputs for whatever a line leaves out."""

    model: str = ""
    defaults: Inputs = field(default_factory=dict)
    image_field: str = "image"


def with_urls(inputs: Inputs, urls: Urls) -> dict[str, Any]:
    """The inputs with each local file replaced by where it is."""
    return {
        name: urls[value.path] if isinstance(value, LocalFile) else value for name, value in inputs.items()
    }
