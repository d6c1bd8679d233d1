"""Operations on live tenants run once for each kind of store."""

from conformance.store.conftest import desk

__all__ = ["desk"]
