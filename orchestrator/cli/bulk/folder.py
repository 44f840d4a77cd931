"""A folder of images: each becomes one line, named for its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.catalogue.page import Kind
from orchestrator.cli.bulk.lines import Shared, Urls, with_urls
from orchestrator.cli.failures import BadSource
from orchestrator.cli.values import is_utf8
from orchestrator.flow.bare_lines import encode_line

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def find_images(folder: Path) -> tuple[Path, ...]:
    """Those directly in it, sorted by name. Raises BadSource where there is none, or one is not UTF-8."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGES and path.is_file()]
    images = sorted((path for path in found if not path.name.startswith(".")), key=lambda path: path.name)
    if not images:
        raise BadSource(f"{folder} holds no image ({', '.join(IMAGES)}).")
    odd = next((image.name for image in images if not is_utf8(image.name)), None)
    if odd is not None:
        raise BadSource(f"{folder} holds an image whose name is not UTF-8: rename {odd!r}.")
    return tuple(images)


def left_out(folder: Path, images: Sequence[Path]) -> tuple[str, ...]:
    """The names of what else is in it, such as images of other kinds and folders, but not what is hidden."""
    names = {path.name for path in folder.iterdir()} - {path.name for path in images}
    return tuple(sorted(name for name in names if not name.startswith(".")))


def folder_lines(images: Sequence[Path], shared: Shared, urls: Urls) -> Iterator[bytes]:
    defaults = with_urls(shared.defaults, urls)
    takes_list = _takes_list(shared)
    for image in images:
        value = [urls[image]] if takes_list else urls[image]
        yield encode_line({"custom_id": image.name, "input": {shared.image_field: value}}, defaults)


def _takes_list(shared: Shared) -> bool:
    page = Catalogue().page(shared.model, "v3")
    rows = page.parameters if page else ()
    return any(row.name == shared.image_field and row.kind is Kind.LIST for row in rows)
