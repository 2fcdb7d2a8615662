#!/usr/bin/env bash
# Carries the state directory from one runner to the next, in one encrypted file: it holds signed transactions, and
# tokens where they go to files. Without it nothing is done twice, so whatever is wrong with the file is told and no more.
#
#   state.sh save       the directory into the file     FLEETCTL_STATE      directory (.fleetctl)
#   state.sh restore    the file into the directory     FLEETCTL_STATE_FILE file (fleet-state.enc)
#                                                       FLEETCTL_STATE_KEY  passphrase; without it nothing is carried
set -euo pipefail
umask 077
state=${FLEETCTL_STATE:-.fleetctl} file=${FLEETCTL_STATE_FILE:-fleet-state.enc}
export FLEETCTL_STATE_KEY=${FLEETCTL_STATE_KEY:-}
cipher=(openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -pass env:FLEETCTL_STATE_KEY)

# CBC proves nothing about who wrote the file. The passphrase goes by the environment: arguments are seen by everybody.
seal() {
  python3 -c 'import hashlib, hmac, os, sys
key = hashlib.scrypt(os.environb[b"FLEETCTL_STATE_KEY"], salt=b"fleetctl state seal", n=16384, r=8, p=1)
print(hmac.new(key, sys.stdin.buffer.read(), "sha256").hexdigest())' <"$1"
}

without() {
  echo "$1; going on without it: nothing is done twice for that." >&2
  exit 0
}

save() {
  [[ -d $state ]] || without "there is no state to save"
  tar -C "$state" -cf - . | "${cipher[@]}" -salt -out "$file.body"
  { seal "$file.body" && cat -- "$file.body"; } >"$file.new"
  rm -f -- "$file.body"
  mv -f -- "$file.new" "$file"
}

restore() {
  [[ -f $file ]] || without "no state of an earlier run was found"
  local scratch
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf -- '$scratch'" EXIT
  tail -c +66 -- "$file" >"$scratch/body"
  [[ $(head -c 64 -- "$file" | tr -d '\0') == "$(seal "$scratch/body")" ]] ||
    without "the state of an earlier run was not written with this key"
  mkdir "$scratch/state"
  "${cipher[@]}" -d -in "$scratch/body" | tar -C "$scratch/state" -xf -
  mkdir -p -- "$state"
  cp -a -- "$scratch/state/." "$state/"
}

[[ -n $FLEETCTL_STATE_KEY ]] || without "there is no FLEETCTL_STATE_KEY, so state is not carried"
case ${1:-} in
save | restore) "$1" ;;
*)
  echo "state.sh: say save or restore" >&2
  exit 64
  ;;
esac
