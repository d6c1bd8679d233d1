"""What a command comes to, as a record, as the receipt that a store keeps, and as a report.

A receipt holds events and snapshot in the columns of the store's encoding, so that what was once
written can be read whatever its depth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from cicsc.canonical import canonical_bytes, sha256_hex
from cicsc.errors import CommandError, StoreError
from cicsc.history.model import Event, event_fields
from cicsc.replay.snapshot import Snapshot
from cicsc.report.models import Execution
from cicsc.store.encoding import event_rows, snapshot_rows, stored_event, stored_snapshot
from cicsc.store.records import Receipt

_REQUEST: Final = "request_digest"


class CommandResult(Struct, frozen=True):
    """What a command did: its events, the snapshot after them, and the seq of the stream's last event.

    `version` is the version of the application that carried it out. `repeated` tells that nothing was
    done now: this is what the receipt of `command_id` says.
    """

    tenant_id: str
    entity_type: str
    entity_id: str
    command: str
    command_id: str | None
    repeated: bool
    version: int
    events: tuple[Event, ...]
    snapshot: Snapshot
    last_seq: int

    def report(self) -> Execution:
        """Return the report of the command, which encodes to JSON."""
        snapshot = self.snapshot
        return Execution(
            ok=True,
            tenant_id=self.tenant_id,
            entity_type=self.entity_type,
            entity_id=self.entity_id,
            command=self.command,
            command_id=self.command_id,
            repeated=self.repeated,
            version=self.version,
            events=[event_fields(event) for event in self.events],
            snapshot={name: getattr(snapshot, name) for name in snapshot.__struct_fields__},
            last_seq=self.last_seq,
        )


def request_digest(*parts: object) -> str:
    """Return the SHA-256 of what a request asks for, by which a repeated request is told from another."""
    return sha256_hex(canonical_bytes(parts))


def receipt_document(result: CommandResult, digest: str) -> dict[str, object]:
    """Return the receipt of a command that was asked for by the request of this digest."""
    return {
        _REQUEST: digest,
        "entity_type": result.entity_type,
        "entity_id": result.entity_id,
        "command": result.command,
        "version": result.version,
        "last_seq": result.last_seq,
        "events": [list(row) for row in event_rows(result.tenant_id, result.events)],
        "snapshot": [list(row) for row in snapshot_rows(result.tenant_id, [result.snapshot])],
    }


def result_of_receipt(receipt: Receipt, digest: str) -> CommandResult:
    """Return what a command answered when it was carried out.

    Raises COMMAND_ID_REUSED when another request was given the receipt, or another program.
    """
    document: Any = receipt.result
    if document.get(_REQUEST) != digest:
        raise CommandError(
            "COMMAND_ID_REUSED",
            f"command id {receipt.command_id!r} of tenant {receipt.tenant_id!r} has the receipt of another request",
            hint="nothing was written; give each request an id of its own, and repeat a request with its id unchanged",
        )
    try:
        return CommandResult(
            tenant_id=receipt.tenant_id,
            entity_type=document["entity_type"],
            entity_id=document["entity_id"],
            command=document["command"],
            command_id=receipt.command_id,
            repeated=True,
            version=document["version"],
            events=tuple(_events(receipt.tenant_id, document["events"])),
            snapshot=stored_snapshot(receipt.tenant_id, tuple(document["snapshot"][0])),
            last_seq=document["last_seq"],
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            "STORE_DAMAGED", f"cannot read receipt {receipt.command_id!r} of tenant {receipt.tenant_id!r}"
        ) from error


def _events(tenant_id: str, rows: Iterable[Any]) -> Iterable[Event]:
    return (stored_event(tenant_id, tuple(row)) for row in rows)
