"""Whether the provider takes our key: its balance is the cheapest question that needs one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.cli.finding import Finding
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.providers.base import Account

_SUBJECT = "Provider"


def look_at_provider(found: Settings) -> Iterator[Finding]:
    """Reached as the server reaches it, the key good, and credit left."""
    if not found.wavespeed_api_key:
        yield Finding.wrong(
            _SUBJECT,
            "no WAVESPEED_API_KEY in this shell, so jobs of an `up` started in it wait",
            "set it, or try `orchestrator sandbox`",
        )
        return
    url = found.wavespeed_base_url
    try:
        account = asyncio.run(_ask(found))
    except ValueError as error:  # of what reads addresses
        yield Finding.wrong(_SUBJECT, f"{url} is no address: {error}", "see WAVESPEED_BASE_URL")
        return
    if account.trouble:
        yield Finding.wrong(_SUBJECT, f"{url}: {account.trouble}", "")
    else:
        yield Finding.ok(_SUBJECT, f"{url} takes the key; the balance is {account.balance:.2f}")


async def _ask(found: Settings) -> Account:
    from orchestrator.clock import Clock
    from orchestrator.net.clients import provider_client
    from orchestrator.providers.wavespeed import WaveSpeed

    headers = {"authorization": f"Bearer {found.wavespeed_api_key}"}
    async with provider_client(base_url=found.wavespeed_base_url, headers=headers) as client:
        return await WaveSpeed(client, clock=Clock()).account()
