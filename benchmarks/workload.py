"""A synthetic history for the benchmarks: parcels and couriers, with a migration between two versions.

`python benchmarks/workload.py EVENTS FOLDER` writes from.json, to.json and events.jsonl. The same
arguments give the same bytes. Streams of 3 to 40 events are interleaved in time order, as an
append-only log holds them; payloads are 120 to 200 bytes. The migration renames event types, maps
two payloads, drops a no-op and renames states; two constraints hold on both sides.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

MIGRATION = "v1_to_v2"
_OPEN_STREAMS = 400
_PLACES = ["depot", "north", "harbour", "station", "airport", "market", "bridge", "square", "tower", "mill", "quay"]
_PINGED_SHARE = 0.1
_PARCEL_SHARE = 0.8


def literal(value: object) -> dict[str, object]:
    """Return a literal expression."""
    kinds = {bool: "bool", int: "int", float: "float", str: "string"}
    return {"lit": {"null": True} if value is None else {kinds[type(value)]: value}}


def payload(path: str) -> dict[str, object]:
    """Return the reading of a payload path."""
    return {"var": {"e_payload": {"path": path}}}


def attribute(name: str) -> dict[str, object]:
    """Return the reading of an attribute."""
    return {"var": {"attrs": {"field": name}}}


def increment(name: str) -> dict[str, object]:
    """Return the operation that counts an attribute up."""
    return {"set_attr": {"name": name, "expr": {"add": [{"coalesce": [attribute(name), literal(0)]}, literal(1)]}}}


def keep(name: str, path: str) -> dict[str, object]:
    """Return the operation that keeps a payload field as an attribute."""
    return {"set_attr": {"name": name, "expr": payload(path)}}


def become(state: str) -> dict[str, object]:
    """Return the operation that sets the state."""
    return {"set_state": {"expr": literal(state)}}


SPEEDS = {"standard": 1, "express": 2, "overnight": 3}
PARCEL = {
    "recipient": {"type": "string"},
    "weight_g": {"type": "int"},
    "speed": {"type": "int"},
    "last_place": {"type": "string", "optional": True},
    "scans": {"type": "int", "optional": True},
    "signed_by": {"type": "string", "optional": True},
}


def bundle(version: int, names: dict[str, str], states: list[str], speed: dict[str, object]) -> dict[str, object]:
    """Return the bundle of one version; `names` are its event types, `speed` how it reads a speed."""
    waiting, moving, delivered = states
    parcel = {
        "id_type": "string",
        "states": states,
        "initial_state": waiting,
        "attrs": PARCEL,
        "commands": {},
        "reducer": {
            names["registered"]: [
                keep("recipient", "recipient"),
                keep("weight_g", "weight_g"),
                {"set_attr": {"name": "speed", "expr": speed}},
            ],
            names["scanned"]: [become(moving), keep("last_place", "place"), increment("scans")],
            names["delivered"]: [become(delivered), keep("signed_by", "signed_by")],
        },
    }
    if version == 1:
        parcel["reducer"]["parcel_pinged"] = []
    courier = {
        "id_type": "string",
        "states": ["off", "on"],
        "initial_state": "off",
        "attrs": {"name": {"type": "string"}, "shifts": {"type": "int", "optional": True}},
        "commands": {},
        "reducer": {"courier_hired": [keep("name", "name")], "shift_began": [become("on"), increment("shifts")]},
    }
    signed = {"or": [{"ne": [{"var": {"row": {"field": "state"}}}, literal(delivered)]},
                     {"not": {"is_null": attribute("signed_by")}}]}  # fmt: skip
    weightless = {"lt": [{"var": {"row": {"field": "weight_g"}}}, literal(1)]}
    constraints = {
        "delivered_is_signed": {"kind": "snapshot", "on_type": "Parcel", "expr": signed},
        "no_weightless_parcel": {
            "kind": "bool_query",
            "on_type": "Parcel",
            "args": {},
            "query": {"source": {"snap": {"type": "Parcel"}}, "pipeline": [{"filter": weightless}]},
            "assert": {"eq": [{"var": {"rows_count": True}}, literal(0)]},
        },
    }
    core = {"version": 0, "types": {"Parcel": parcel, "Courier": courier}, "constraints": constraints}
    return {"bundle_version": version, "core_ir": core}


def bundles() -> tuple[dict[str, object], dict[str, object]]:
    """Return both bundles, the second with the migration."""
    old = {name: f"parcel_{name}" for name in ("registered", "scanned", "delivered")}
    new = {name: f"shipment_{name}" for name in old}
    speed = {"map_enum": {"expr": payload("speed"), "mapping": SPEEDS}}
    before = bundle(1, old, ["waiting", "moving", "delivered"], speed)
    after = bundle(2, new, ["announced", "in_transit", "done"], payload("speed"))
    registered = {"recipient": payload("recipient"), "weight_g": payload("weight_g"), "speed": speed,
                  "registered_at": {"var": {"e_time": True}}}  # fmt: skip
    scanned = {
        "place": payload("place"),
        "by": {"var": {"e_actor": True}},
        "late": {"gt": [payload("delay_s"), literal(60)]},
    }
    after["core_ir"]["migrations"] = {
        MIGRATION: {
            "from_version": 1,
            "to_version": 2,
            "on_type": "Parcel",
            "event_transforms": {
                "parcel_registered": {"emit_as": new["registered"], "payload_map": registered},
                "parcel_scanned": {"emit_as": new["scanned"], "payload_map": scanned},
                "parcel_delivered": {"emit_as": new["delivered"]},
                "parcel_pinged": {"drop": True},
            },
            "state_map": {"waiting": "announced", "moving": "in_transit", "delivered": "done"},
        }
    }
    return before, after


def event(draw: random.Random, parcel: bool, seq: int, length: int) -> tuple[str, dict[str, object]]:
    """Draw the type and payload of a stream's next event."""
    reference = f"{draw.getrandbits(96):024x}"
    if not parcel:
        name = f"Courier {draw.getrandbits(32):08x}"
        note = " ".join(draw.choices(_PLACES, k=9))
        return ("courier_hired" if seq == 1 else "shift_began"), {"name": name, "note": note, "reference": reference}
    if seq == 1:
        address = " ".join(draw.choices(_PLACES, k=6))
        recipient = f"r-{draw.getrandbits(32):08x}"
        sizes = {"weight_g": draw.randint(20, 30_000), "speed": draw.choice(list(SPEEDS))}
        return "parcel_registered", {"recipient": recipient, **sizes, "address": address, "reference": reference}
    if seq == length:
        signed_by = f"r-{draw.getrandbits(32):08x}"
        remark = " ".join(draw.choices(_PLACES, k=8))
        return "parcel_delivered", {"signed_by": signed_by, "reference": reference, "remark": remark}
    if draw.random() < _PINGED_SHARE:
        return "parcel_pinged", {"probe": f"{draw.getrandbits(256):064x}", "reference": reference}
    return "parcel_scanned", {"place": draw.choice(_PLACES), "delay_s": draw.randint(0, 600), "reference": reference,
                              "remark": " ".join(draw.choices(_PLACES, k=9))}  # fmt: skip


def write_events(path: Path, events_count: int, seed: int = 11) -> None:
    """Write `events_count` events as JSON Lines."""
    draw = random.Random(seed)
    streams: list[list[object]] = []  # [is a parcel, id, seq, length]
    planned = number = 0
    ts = 1_700_000_000_000
    with path.open("w") as file:
        for _ in range(events_count):
            while len(streams) < _OPEN_STREAMS and planned < events_count:
                length = min(draw.randint(3, 40), events_count - planned)
                planned += length
                number += 1
                streams.append([draw.random() < _PARCEL_SHARE, number, 0, length])
            chosen = draw.randrange(len(streams))
            stream = streams[chosen]
            stream[2] += 1
            parcel, identity, seq, length = stream
            ts += draw.randint(0, 3)
            event_type, content = event(draw, parcel, seq, length)
            fields = {"tenant_id": "tenant-1", "entity_type": "Parcel" if parcel else "Courier",
                      "entity_id": f"{'P' if parcel else 'C'}-{identity:08d}", "seq": seq, "event_type": event_type,
                      "payload": content, "ts": ts, "actor_id": f"actor-{draw.randint(1, 5000):04d}"}  # fmt: skip
            file.write(json.dumps(fields, separators=(",", ":")) + "\n")
            if seq == length:
                streams[chosen] = streams[-1]
                streams.pop()


def write(events_count: int, folder: Path) -> None:
    """Write both bundles and a history of `events_count` events into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in zip(("from.json", "to.json"), bundles(), strict=True):
        (folder / name).write_text(json.dumps(document, indent=1))
    write_events(folder / "events.jsonl", events_count)


if __name__ == "__main__":
    write(int(sys.argv[1]), Path(sys.argv[2]))
