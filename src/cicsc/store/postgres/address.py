"""Where a database is: its URL taken apart once, and the name that messages call it by, without the password."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cicsc.errors import UsageError

CONNECT_SECONDS_MAX: Final = 10
"""How long a connection may take to be made, unless the URL says otherwise."""


_ENVIRONMENT: Final = MappingProxyType(
    {
        "host": "PGHOST",
        "hostaddr": "PGHOSTADDR",
        "port": "PGPORT",
        "dbname": "PGDATABASE",
        "user": "PGUSER",
        "service": "PGSERVICE",
    }
)
"""Where libpq takes from what a URL leaves out, as far as it is named."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of a connection as libpq knows them, and the name of the database for people."""

    name: str
    parameters: dict[str, str | int] = field(repr=False)


def parse_address(url: str) -> Address:
    """Return the address that a URL ``postgresql://...`` holds; raises UsageError STORE_URL_INVALID."""
    # A password with a bare @ or / would go on as a part of the host or of the database, which messages name.
    if "@" in _after_user(url).partition("?")[0]:
        raise _not_understood()
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # The driver quotes what it does not understand, which may be the password; so its error goes no further.
        raise _not_understood() from None
    parameters: dict[str, str | int] = {"connect_timeout": CONNECT_SECONDS_MAX, "fallback_application_name": "cicsc"}
    parameters.update({name: value for name, value in given.items() if value is not None})
    parameters["client_encoding"] = "UTF8"
    return Address(_name(parameters), parameters)


def _after_user(url: str) -> str:
    """Return what follows the user and the password, which end, as libpq sees it, at the first @ before any /."""
    rest = url.partition("://")[2]
    user, at, after = rest.partition("@")
    return after if at and "/" not in user else rest


def _not_understood() -> UsageError:
    return UsageError(
        "STORE_URL_INVALID",
        "cannot understand the URL of the store: expected postgresql://USER@HOST:PORT/DATABASE",
        hint="percent-encode special characters in names and passwords",
    )


def _name(parameters: dict[str, str | int]) -> str:
    if "service" not in parameters:
        found = {name: os.environ[variable] for name, variable in _ENVIRONMENT.items() if variable in os.environ}
        parameters = {**found, **parameters}
    user = f"{parameters['user']}@" if "user" in parameters else ""
    host = parameters.get("host", parameters.get("hostaddr", ""))
    port = f":{parameters['port']}" if "port" in parameters else ""
    # What else the file of services says is known to libpq alone.
    service = f"?service={parameters['service']}" if "service" in parameters else ""
    return f"postgresql://{user}{host}{port}/{parameters.get('dbname', '')}{service}"
