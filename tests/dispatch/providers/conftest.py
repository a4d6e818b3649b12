"""The contract's assertions are shown as a test file's are."""

import pytest

pytest.register_assert_rewrite("tests.dispatch.providers.contract")
