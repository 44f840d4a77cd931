"""The documents tell the truth: their settings, links, commands and words of the lifecycle are the code's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from orchestrator import settings
from orchestrator.cli.app import app
from orchestrator.job import Phase, Reason
from orchestrator.lifecycle import MOVES, Verb

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README, STATES, GLOSSARY = ROOT / "README.md", ROOT / "docs/states.md", ROOT / "docs/glossary.md"
Command = TyperCommand | TyperGroup
WORDS = [*Phase, *Reason, *Verb]

_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?<![\w./-])orchestrator ([a-z][\w-]*)([^\n`|#]*)")
_MAKE = re.compile(r"(?<![\w./-])make ([a-z][\w-]*)")
_WORD = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \|([^|\n]*)\|([^|\n]*)\|", re.MULTILINE)
_ARROW = re.compile(r"^    (\S+) --> (\S+) : (\w+)$", re.MULTILINE)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code_in(page: Path) -> Iterator[str]:
    return (found[0] for found in _CODE.finditer(page.read_text()))


def links_in(page: Path) -> list[str]:
    text = _CODE.sub("", page.read_text())
    return [link for link in _LINK.findall(text) if "://" not in link]


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def is_alive(link: str, *, page: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors_of(target))


def commands() -> dict[str, Command]:
    """By what is typed: `job`, `keys`, `keys create`."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(commands_of(group))


def commands_of(group: TyperGroup, before: str = "") -> Iterator[tuple[str, Command]]:
    for name, found in group.commands.items():
        if isinstance(found, TyperCommand | TyperGroup):
            yield before + name, found
        if isinstance(found, TyperGroup):
            yield from commands_of(found, f"{name} ")


def whole_name(name: str, rest: str) -> str:
    """With its second word, where the first is a group's name."""
    second = re.match(r" ([a-z][\w-]*)", rest)
    return f"{name} {second[1]}" if second and isinstance(commands().get(name), TyperGroup) else name


def options_of(command: Command) -> set[str]:
    return {"--help", *(name for param in command.params for name in (*param.opts, *param.secondary_opts))}


def section(page: Path, heading: str) -> str:
    return page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_readme_has_the_settings_of_the_code() -> None:
    found = re.search(r"<!-- settings -->\n(.*)\n<!-- /settings -->", README.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == settings.table(), "paste what `python -m orchestrator.settings` prints"


@pages
def test_no_link_is_dead(page: Path) -> None:
    assert [link for link in links_in(page) if not is_alive(link, page=page)] == []


@pages
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target for code in code_in(page) for target in _MAKE.findall(code)} <= targets


@pages
def test_every_command_exists_and_takes_its_options(page: Path) -> None:
    known = commands()
    for name, rest in (found for code in code_in(page) for found in _COMMAND.findall(code)):
        whole = whole_name(name, rest)
        assert whole in known, f"orchestrator {whole}"
        unknown = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", rest)) - options_of(known[whole])
        assert not unknown, f"orchestrator {whole} {unknown}"


def test_the_readme_names_every_command() -> None:
    text = section(README, "Use it")
    assert [name for name in commands() if f"`orchestrator {name}" not in text] == []


def test_the_readme_names_every_phase() -> None:
    text = section(README, "The states of a job")
    assert [phase for phase in Phase if f"`{phase}`" not in text] == []


@pytest.mark.parametrize("page", [STATES, GLOSSARY], ids=lambda page: page.name)
def test_every_word_of_the_lifecycle_is_explained(page: Path) -> None:
    explained = _WORD.findall(page.read_text())
    assert [word for word in WORDS if word not in explained] == []


def test_the_table_of_moves_is_that_of_the_code() -> None:
    told = {
        name: (set(re.findall(r"\w+", sources)), target.strip(" `"))
        for name, sources, target in _ROW.findall(section(STATES, "Moves"))
    }
    created = told.pop(Verb.CREATE)
    assert created == (set(), Phase.READY)
    assert told == {verb: (set(sources), target) for verb, (sources, target, _) in MOVES.items()}


def test_every_arrow_of_the_picture_is_a_legal_move() -> None:
    arrows = _ARROW.findall(STATES.read_text())
    assert {verb for *_, verb in arrows} == set(Verb)
    drawn = [(source, target, verb) for source, target, verb in arrows if verb != Verb.CREATE]
    assert [arrow for arrow in drawn if not is_legal(*arrow)] == []


def is_legal(source: str, target: str, verb: str) -> bool:
    sources, reached, _ = MOVES[Verb(verb)]
    return source in sources and target == reached
