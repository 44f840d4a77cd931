"""The settings, read from the environment and a `.env` file; the only module that reads them.

The README's table of settings is made from the fields below (`python -m orchestrator.settings`).
"""

from __future__ import annotations

import secrets
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from orchestrator.errors import Misconfigured
from orchestrator.policy import MOST_OF_A_LIMIT, TIERS, Limits

MIN_SECRET_LENGTH = 32
MIN_KEY_LENGTH = 16
Networks = tuple[IPv4Network | IPv6Network, ...]


class Settings(BaseSettings):
    """All of them; an empty environment is the embedded default, and an empty value that of its setting."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    database_url: str = Field(
        "",
        validation_alias="DATABASE_URL",
        description="`postgresql://…`, or empty for SQLite in the data directory.",
    )
    redis_url: str = Field(
        "",
        validation_alias="REDIS_URL",
        description="`redis://…`, or empty for a private Valkey in the data directory (`up` only).",
    )
    data_dir: Path = Field(
        Path("data"),
        validation_alias="ORCHESTRATOR_DATA_DIR",
        description="Where the embedded default keeps its database, keys and broker.",
    )
    api_key: str = Field(
        "",
        validation_alias="ORCHESTRATOR_API_KEY",
        description="A first API key with all rights; `up` makes one and prints it when it is empty.",
    )
    url: str = Field(
        "",
        validation_alias="ORCHESTRATOR_URL",
        description="The server that commands ask; empty: the one that `up` runs here, or on port 8080.",
    )
    secret: str = Field(
        "",
        validation_alias="ORCHESTRATOR_SECRET",
        description="Signs callbacks and webhooks; 32 characters at least. Several, comma-separated, to"
        " rotate: the first signs, all verify. `up` keeps one in the data directory; `serve` and `worker`"
        " need it.",
    )
    public_url: str = Field(
        "",
        validation_alias="PUBLIC_URL",
        description="How the provider reaches this server, such as `https://jobs.example.com`."
        " Empty: no callbacks, results are found by polling.",
    )
    wavespeed_api_key: str = Field(
        "", validation_alias="WAVESPEED_API_KEY", description="Your WaveSpeed key."
    )
    wavespeed_base_url: str = Field(
        "https://api.wavespeed.ai",
        validation_alias="WAVESPEED_BASE_URL",
        description="Where WaveSpeed is; point it at `orchestrator sandbox` to try things for free.",
    )
    wavespeed_tier: Literal["bronze", "silver", "gold", "ultra"] = Field(
        "bronze",
        validation_alias="WAVESPEED_TIER",
        description="Your account level: presets the limits below.",
    )
    wavespeed_per_minute: int | None = Field(
        None,
        ge=1,
        le=MOST_OF_A_LIMIT,
        validation_alias="WAVESPEED_PER_MINUTE",
        description="Submissions per minute, instead of the tier's.",
    )
    wavespeed_max_in_flight: int | None = Field(
        None,
        ge=1,
        le=MOST_OF_A_LIMIT,
        validation_alias="WAVESPEED_MAX_IN_FLIGHT",
        description="Tasks at WaveSpeed at a time, instead of the tier's.",
    )
    allow_networks: Annotated[Networks, NoDecode] = Field(
        (),
        validation_alias="ORCHESTRATOR_ALLOW_NETWORKS",
        description="Networks that webhooks may reach besides public addresses, such as `10.1.0.0/16`.",
    )
    allow_http: bool = Field(
        default=False,
        validation_alias="ORCHESTRATOR_ALLOW_HTTP",
        description="Whether webhooks may go to plain `http://` addresses.",
    )
    allow_ports: Annotated[frozenset[int], NoDecode] = Field(
        frozenset(),
        validation_alias="ORCHESTRATOR_ALLOW_PORTS",
        description="Ports that webhooks may reach besides 80 and 443.",
    )
    in_doubt: Literal["resubmit", "hold"] = Field(
        "resubmit",
        validation_alias="ORCHESTRATOR_IN_DOUBT",
        description="What to do with a job when nobody can find out whether the provider has it:"
        " send it again, or hold it for a person.",
    )
    plain_login: bool = Field(
        default=False,
        validation_alias="ORCHESTRATOR_PLAIN_LOGIN",
        description="Whether the dashboard may be used over plain `http://` from other machines.",
    )
    retention_days: int = Field(
        30,
        ge=1,
        le=36_500,
        validation_alias="ORCHESTRATOR_RETENTION_DAYS",
        description="Ended jobs, and batches with theirs, are deleted after this many days.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _take_nothing_for_the_default(cls, text: object, field: ValidationInfo) -> object:
        """`WAVESPEED_TIER=` in a `.env` file sets nothing, and spaces around a value are nobody's wish."""
        if not isinstance(text, str):
            return text
        return text.strip() or cls.model_fields[str(field.field_name)].default

    @field_validator("database_url")
    @classmethod
    def _name_the_driver(cls, url: str) -> str:
        url = url.replace("sslmode=", "ssl=")  # libpq's name for what asyncpg calls ssl
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+asyncpg://" + url.removeprefix(short)
        if url and not url.startswith(("postgresql+asyncpg://", "sqlite:///")):
            raise ValueError("must be postgresql://user:password@host/name or sqlite:///path")
        return url

    @field_validator("secret")
    @classmethod
    def _be_long_enough(cls, text: str) -> str:
        """Whoever guesses it can forge callbacks and webhooks: a word is no secret."""
        if any(len(secret) < MIN_SECRET_LENGTH for secret in _parts(text)):
            raise ValueError(f"must have {MIN_SECRET_LENGTH} characters or more: openssl rand -hex 32")
        return text

    @field_validator("redis_url")
    @classmethod
    def _be_a_brokers(cls, url: str) -> str:
        """Without the parser's own words: what it takes for the port may be part of a password."""
        if url and not (url.startswith(("redis://", "rediss://", "unix://")) and _has_good_port(url)):
            raise ValueError("must be redis://:password@host:6379/0, rediss://… or unix:///path")
        return url

    @field_validator("wavespeed_api_key", "api_key")
    @classmethod
    def _fit_a_header(cls, key: str) -> str:
        if not all("!" <= sign <= "~" for sign in key):
            raise ValueError("must have only letters, digits and signs of ASCII, and no spaces")
        return key

    @field_validator("api_key")
    @classmethod
    def _be_hard_to_guess(cls, key: str) -> str:
        """It opens everything."""
        if key and len(key) < MIN_KEY_LENGTH:
            raise ValueError(f"must have {MIN_KEY_LENGTH} characters or more: openssl rand -hex 32")
        return key

    @field_validator("public_url", "wavespeed_base_url")
    @classmethod
    def _be_a_base_url(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        if url and not (_has_good_port(url) and urlsplit(url).hostname):
            raise ValueError("must name a host, such as https://jobs.example.com")
        if "?" in url or "#" in url:
            raise ValueError("must end with the host or a path, without ? and #")
        return url.rstrip("/")

    @field_validator("allow_networks", mode="before")
    @classmethod
    def _split_networks(cls, text: object) -> object:
        return tuple(ip_network(part) for part in _parts(text)) if isinstance(text, str) else text

    @field_validator("allow_ports", mode="before")
    @classmethod
    def _split_ports(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        parts = _parts(text)
        if not all(part.isdecimal() and 1 <= int(part) <= 65_535 for part in parts):
            raise ValueError("must be ports from 1 to 65535, separated by commas")
        return frozenset(map(int, parts))

    @property
    def is_embedded(self) -> bool:
        return not self.database_url

    @property
    def is_sqlite(self) -> bool:
        return not self.database_url.startswith("postgresql")

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'orchestrator.db'}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(_parts(self.secret))

    @property
    def limits(self) -> Limits:
        """The account's limits: the tier's, overridden where a number is given."""
        tier = TIERS[self.wavespeed_tier]
        return Limits(
            image_per_minute=self.wavespeed_per_minute or tier.image_per_minute,
            video_per_minute=self.wavespeed_per_minute or tier.video_per_minute,
            max_in_flight=self.wavespeed_max_in_flight or tier.max_in_flight,
        )


def load(**overrides: object) -> Settings:
    """Read the environment. Raises Misconfigured naming every wrong variable at once.

    `overrides` are by the fields' names, which the environment must not know: `SECRET` or `API_KEY` there is
    another program's.
    """
    given = {str(Settings.model_fields[name].validation_alias): value for name, value in overrides.items()}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks each value itself
    except ValidationError as wrong:
        lines = [
            f"{error['loc'][0]}: {error['msg'].removeprefix('Value error, ').lower()}"
            for error in wrong.errors()
        ]
        raise Misconfigured("\n".join(lines)) from None
    except UnicodeDecodeError:
        raise Misconfigured(".env: must be a text in UTF-8") from None


def keep_secret(path: Path, make: str | None = None) -> str:
    """Read the secret in `path`, or make one there that only this user can read.

    It appears whole or not at all: a process that died, or a full disk, must not leave an empty key.
    """
    if path.exists() and (kept := path.read_text(encoding="ascii").strip()):
        return kept
    value = make or secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600, exist_ok=False)
    fresh.write_text(value + "\n", encoding="ascii")
    fresh.replace(path)
    return value


def _parts(text: object) -> list[str]:
    return [part.strip() for part in str(text).split(",") if part.strip()]


def _has_good_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def table() -> str:
    """The README's table of settings, in Markdown."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for field in Settings.model_fields.values():
        default = field.default
        shown = f"`{default}`" if default not in ("", None, (), frozenset()) else ""
        lines.append(f"| `{field.validation_alias}` | {shown} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
