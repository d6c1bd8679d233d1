"""A store on each version of PostgreSQL, and plain connections beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import BUNDLE, add_tenant
from conformance.store.postgres_desk import PostgresDesk
from postgres_server import VERSIONS, PostgresServer, PostgresServers

Connect = Callable[..., psycopg.Connection]


@pytest.fixture(params=[pytest.param("16", marks=pytest.mark.slow), *VERSIONS[1:]])
def server(request: pytest.FixtureRequest, postgres_servers: PostgresServers) -> PostgresServer:
    """A server of each version."""
    return postgres_servers.server(request.param)


@pytest.fixture
def desk(server: PostgresServer) -> Iterator[PostgresDesk]:
    """A database that is empty."""
    desk = PostgresDesk(server)
    yield desk
    desk.drop()


@pytest.fixture
def store(desk: PostgresDesk) -> Iterator[PostgresStore]:
    """A store with one tenant, 't', whose history is empty."""
    desk.initialised().close()
    with PostgresStore(desk.url, wait_s=0.1) as opened:
        opened.put_bundle(BUNDLE)
        add_tenant(opened, "t")
        yield opened


@pytest.fixture
def connect(desk: PostgresDesk) -> Iterator[Connect]:
    """Makes plain connections, in which every statement commits by itself unless told otherwise."""
    with ExitStack() as opened:
        yield lambda **options: opened.enter_context(
            psycopg.connect(desk.url, **({"autocommit": True, "application_name": "plain writer"} | options))
        )


@pytest.fixture
def application(store: PostgresStore, connect: Connect) -> Iterator[psycopg.Connection]:
    """A connection of a role that may insert events and do nothing else, once it has taken that role."""
    owner = connect()
    owner.execute("drop role if exists application; create role application")
    owner.execute("grant usage on schema cicsc to application; grant insert on cicsc.event to application")
    yield connect()
    owner.execute("drop owned by application; drop role application")
