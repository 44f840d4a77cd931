"""What the embedded default keeps in its data directory: a lock, its secret and its first key."""

from __future__ import annotations

import fcntl
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import Misconfigured
from orchestrator.ids import new_api_key
from orchestrator.settings import Settings, keep_secret


def complete(settings: Settings, data_dir: Path, url: str) -> tuple[Settings, bool]:
    """The embedded default makes its own secret and first key, once, readable by this user alone."""
    key_file = data_dir / "api_key"
    is_new_key = not settings.api_key and not key_file.exists()
    found = {
        "secret": settings.secret or keep_secret(data_dir / "secret"),
        "api_key": settings.api_key or keep_secret(key_file, new_api_key()),
        "public_url": settings.public_url or (url if _is_near(settings.wavespeed_base_url) else ""),
    }
    return settings.model_copy(update=found), is_new_key


def _is_near(url: str) -> bool:
    """A provider on this machine, such as the sandbox, reaches us without a public URL."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """One process at a time. Raises Misconfigured while another is there."""
    with (data_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misconfigured(
                f"Another `orchestrator up` runs on {data_dir}; end it, or set ORCHESTRATOR_DATA_DIR."
            ) from None
        yield


def write_private(path: Path, content: bytes) -> None:
    """For this user's eyes alone."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
