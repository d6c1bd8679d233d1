#!/bin/sh
# One migration of a purchase order history, told through: ./run.sh [FOLDER]
# Needs `cicsc` on the path. Writes only into FOLDER (default: a temporary folder), which may hold no store yet.
set -eu

if ! command -v cicsc >/dev/null; then
    printf 'run.sh: cicsc is not on the path; make demo sets it up\n' >&2
    exit 127
fi

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(CDPATH='' cd -- "$out" && pwd)

if [ -e "$out/shop.db" ]; then
    printf 'run.sh: %s holds the store of an earlier run; name another folder\n' "$out" >&2
    exit 2
fi

item=2000000005_00002 # an item that is ordered and waits for its goods

heading() {
    printf '\n\n== %s\n\n' "$1"
}

# Shows a command, runs it with the readable summary, and keeps its JSON report in the file named first.
show() {
    report=$1
    shift
    printf '$ %s\n\n' "$*" | awk '{ gsub(/ --/, " \\\n      --"); print }'
    "$@" --summary always >"$out/$report"
}

# The same for a command whose verdict must be no: exit code 1, and no other.
show_refused() {
    status=0
    show "$@" || status=$?
    if [ "$status" -ne 1 ]; then
        printf 'expected exit code 1 (the verdict is no), found %s\n' "$status" >&2
        exit 1
    fi
    printf '\nexit code 1: refused, as it must be\n'
}

cd "$here" # so that the commands shown are short, and can be repeated in this folder

heading '1. Are the two versions of the application valid?'
show bundles.json cicsc bundle-validate bundle.v1.json bundle.v2.json

heading '2. Is the history intact, and does version 1 replay it?'
show history.json cicsc history-verify --events events.jsonl --bundle bundle.v1.json

heading '3. Preflight: may the history become one of version 2?'
show preflight.json cicsc migration-preflight --from bundle.v1.json --to bundle.v2.json \
    --events events.jsonl --migration v1_to_v2

heading '4. Dry run: the same, recorded in an artifact, and the migrated history written'
show dry_run.json cicsc migration-dry-run --from bundle.v1.json --to bundle.v2.json \
    --events events.jsonl --migration v1_to_v2 \
    --artifact "$out/artifact.json" --out-events "$out/events.v2.jsonl" --out-positions "$out/positions.jsonl"

heading '5. A slip: a cancelled receipt counts up instead of down. Every event still has a reducer'
show_refused refused.json cicsc migration-preflight --from bundle.v1.json --to bundle.v2.broken.json \
    --events events.jsonl --migration v1_to_v2

heading '6. Rollback: a version that only renames, forward and back to the very history'
show forward.json cicsc migration-dry-run --from bundle.v1.json --to bundle.v2.reversible.json \
    --events events.jsonl --migration v1_to_v2 --out-events "$out/events.renamed.jsonl"
printf '\n'
show rollback.json cicsc migration-rollback --from bundle.v1.json --to bundle.v2.reversible.json \
    --events "$out/events.renamed.jsonl" --migration v1_to_v2 --out-events "$out/events.back.jsonl"
printf '\n'
digest=$(sed -n 's/^ *"digest": "\([0-9a-f]*\)".*/\1/p' "$out/history.json")
show back.json cicsc history-verify --events "$out/events.back.jsonl" --bundle bundle.v1.json --expected-hash "$digest"

heading '7. A live tenant: created, its history imported, and a command carried out on version 1'
CICSC_STORE=sqlite:///$out/shop.db
export CICSC_STORE
show store.json cicsc store-init
printf '\n'
show created.json cicsc tenant-create --tenant coatings-nl --bundle bundle.v1.json
printf '\n'
show imported.json cicsc history-import --events events.jsonl
printf '\n'
show executed.json cicsc tenant-execute --tenant coatings-nl --type purchase_order_item --id "$item" \
    --command book_goods_receipt --actor mira --role warehouse

heading '8. Cutover: recorded, rehearsed, carried out while the tenant may be written to, and looked at'
show planned.json cicsc migration-dry-run --to bundle.v2.reversible.json --migration v1_to_v2 \
    --tenant coatings-nl --artifact "$out/plan.json"
printf '\n'
show rehearsed.json cicsc migration-cutover --to bundle.v2.reversible.json --migration v1_to_v2 \
    --tenant coatings-nl --artifact "$out/plan.json"
printf '\n'
show cutover.json cicsc migration-cutover --to bundle.v2.reversible.json --migration v1_to_v2 \
    --tenant coatings-nl --artifact "$out/plan.json" --execute
printf '\n'
show status.json cicsc migration-status

heading '9. A command on version 2, then all the way back, the new event included'
show executed2.json cicsc tenant-execute --tenant coatings-nl --type purchase_order_item --id "$item" \
    --command cancel_goods_receipt --actor mira --role warehouse
printf '\n'
show live_rollback.json cicsc migration-rollback --tenant coatings-nl --migration v1_to_v2 --execute
printf '\n'
show checked.json cicsc store-check

heading 'Done'
printf 'reports, artifact and histories: %s\n' "$out"
