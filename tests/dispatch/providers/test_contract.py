"""Every provider passes the contract."""

from tests.dispatch.providers.contract import ProviderContract, lanes, provider, stub, way

__all__ = ["TestEveryProvider", "lanes", "provider", "stub", "way"]


class TestEveryProvider(ProviderContract):
    """See `contract.py`."""
