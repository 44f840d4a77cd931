"""WaveSpeed's webhook signature, version v3. Written apart from the orchestrator's own, on purpose."""

from __future__ import annotations

import hashlib
import hmac


def secret_of(api_key: str) -> str:
    """The signing secret of an account: always the same for the same key, also after a restart."""
    return "whsec_" + hashlib.sha256(b"webhook secret of " + api_key.encode()).hexdigest()[:40]


def sign(*, secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v3,<hex>` over `{id}.{timestamp}.{body}`; the key is the ASCII text after `whsec_`, not base64."""
    key = secret.removeprefix("whsec_").encode("ascii")
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v3," + hmac.new(key, signed, hashlib.sha256).hexdigest()
