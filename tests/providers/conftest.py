"""What the adapters' tests share."""

from __future__ import annotations

import pytest

# Before the first import of it: a conformance suite whose asserts tell nothing is of little use.
pytest.register_assert_rewrite("tests.providers.conformance")
