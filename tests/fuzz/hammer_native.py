"""Give a native module, named on the command line, many damaged texts, and ask it for everything that it made of them."""

from __future__ import annotations

import importlib.util
import json
import random
import sys


def native_at(path: str):
    spec = importlib.util.spec_from_file_location("cicsc.history._native", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(chance: random.Random) -> bytes:
    names = {name: chance.choice(("t", "é\U0001f600", 'a"\\\n', "x" * 40)) for name in ("tenant_id", "entity_type")}
    payload = {chance.choice("abc"): chance.choice((1, -2.5, "é" * 9, None, True, [1, {"a": []}], {"b": "\\"}))}
    event = {**names, "entity_id": str(chance.randrange(9)), "seq": chance.randrange(-2, 70_000), "event_type": "paid"}
    event |= {"payload": payload, "ts": chance.randrange(9), "actor_id": "me"}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def damaged(chance: random.Random, text: bytes) -> bytes:
    if chance.random() < 0.3:
        return text
    data = bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.randrange(3)] = bytes(
            chance.choices(b'"\\{}[],:0-.e\n\x00\x1f\x80\xc3\xed\xf0\xff', k=chance.randrange(3))
        )
    return bytes(data)


def row(chance: random.Random) -> bytes:
    payload = record(chance).partition(b'"payload":')[2].partition(b',"ts"')[0].replace(b"\\", b"\\\\")
    name = chance.choice((b"t", "é\U0001f600".encode(), b"x" * 40))
    return b"\t".join([b"12", name, b"7", b"1", b"paid", payload, b"-5", b"me", b"\\N"])


def main(path: str, rounds: int) -> None:
    chance = random.Random("cicsc")
    native = native_at(path)
    taken = given_back = rows_taken = written = 0
    for _ in range(rounds):
        rows = [damaged(chance, row(chance)) for _ in range(chance.randrange(1, 3))]
        rows_taken += native.records_of_rows(b"\n".join([*rows, b""]), b'"t"') is not None
        gatherer = native.Gatherer()
        for _ in range(chance.randrange(1, 4)):
            texts = [damaged(chance, record(chance)) for _ in range(chance.randrange(1, 30))]
            native.canonical_lines(b"\n".join(texts))
            place = [chance.choice((0, -1, 2**63 - 1, -(2**63)))]
            line = texts[0].replace(b"\n", b"") + b"\n"
            tenant = chance.choice((b'"t"', b'"t"', line[13:17]))
            written += native.rows_of_records(line, tenant, b"t\t3\t", place, place) is not None
            count, _, others = gatherer.take(b"\n".join([*texts, b""]))
            taken += count
            given_back += len(others)
        gatherer.sort()
        place = (0, 0)
        while (found := gatherer.blocks(place, (chance.randrange(1, 5), chance.randrange(400)), 200)) is not None:
            place = found[0]
        if chance.random() < 0.5:
            gatherer.clear()
    sys.stdout.write(f"{taken} {given_back} {rows_taken} {written}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
