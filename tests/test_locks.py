"""The locks: complete, pinned by hash, and naming no host, so that any mirror serves them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def _pins(name: str) -> dict[str, tuple[str, str]]:
    """Name to version and the rest of its entry, where the hashes are."""
    text = (PROJECT / name).read_text()
    return {canonicalize_name(found): (version, rest) for found, version, rest in PIN.findall(text)}


def _wanted(name: str) -> list[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]["dev"] if name == "requirements-dev.lock" else []
    return [Requirement(line) for line in (*project["project"]["dependencies"], *groups)]


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked_at_a_version_that_the_project_allows(name: str) -> None:
    pins = _pins(name)
    for wanted in _wanted(name):
        version, _ = pins[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), f"{wanted} is locked at {version}: run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes(name: str) -> None:
    assert [found for found, (_, rest) in _pins(name).items() if "--hash=sha256:" not in rest] == []


def test_what_users_run_is_what_was_tested() -> None:
    run, tested = _pins("requirements.lock"), _pins("requirements-dev.lock")
    assert {name: pin[0] for name, pin in run.items()}.items() <= {
        name: p[0] for name, p in tested.items()
    }.items()


@pytest.mark.parametrize("name", [*LOCKS, "tests/js/package-lock.json"])
def test_no_lock_names_a_host(name: str) -> None:
    assert re.findall(r"\w+://\S+|--\S*(?:index|links)\S*", (PROJECT / name).read_text()) == []


def test_every_locked_javascript_package_has_its_hash() -> None:
    lock: dict[str, Any] = json.loads((PROJECT / "tests/js/package-lock.json").read_text())
    assert [path for path, entry in lock["packages"].items() if path and "integrity" not in entry] == []


def test_the_image_is_built_with_the_same_uv() -> None:
    makefile, dockerfile = (PROJECT / name for name in ("Makefile", "Dockerfile"))
    named = re.compile(r"^(?:ARG )?UV_VERSION(?: :)?=\s*(\S+)$", re.MULTILINE)
    assert named.findall(makefile.read_text()) == named.findall(dockerfile.read_text()) != []
