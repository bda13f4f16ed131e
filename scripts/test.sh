#!/usr/bin/env bash
# All checks, after their own set-up: lint, types, and the tests tier by tier. A check that fails does not keep the others
# from running. The last line is `N passed, N failed`, whatever happens before it.
#
#   bash scripts/test.sh [lint|types|unit|kernel|vm]…     those alone, in this order
#   REQUIRE=kernel,vm bash scripts/test.sh                a tier that cannot run here is a failure, not a skip
set -uo pipefail
cd "$(dirname "$0")/.."

checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(lint types unit kernel vm)
passed=0
failed=0
lines=()
counted=false

main() {
  trap finish EXIT
  for check in "${checks[@]}"; do
    case $check in
    lint | types | unit | kernel | vm) ;;
    *)
      echo "There is no check '$check': lint, types, unit, kernel, vm" >&2
      exit 1
      ;;
    esac
  done
  bash scripts/bootstrap.sh || {
    lines+=('set-up  failed')
    exit 1
  }
  # Without them their tests are skipped, or fail where they are required.
  if [[ " ${checks[*]} " == *' kernel '* ]]; then bash scripts/test-peers.sh || echo 'test-peers: not installed' >&2; fi
  for check in "${checks[@]}"; do
    echo "== $check"
    case $check in
    lint) plain lint node_modules/.bin/biome check --error-on-warnings . ;;
    types) plain types node_modules/.bin/tsc --noEmit ;;
    *) tier "$check" ;;
    esac
  done
  counted=true
  [ "$failed" -eq 0 ]
}

# A check without tests of its own: only its failure counts.
plain() {
  local name=$1
  shift
  if "$@"; then
    lines+=("$(printf '%-7s ok' "$name")")
  else
    failed=$((failed + 1))
    lines+=("$(printf '%-7s failed' "$name")")
  fi
}

tier() {
  local name=$1 reason began=$SECONDS sums status
  reason=$(obstacle "$name")
  if [ -n "$reason" ]; then
    if required "$name"; then
      failed=$((failed + 1))
      lines+=("$(printf '%-7s failed: it is required, and cannot run here: %s' "$name" "$reason")")
    else
      lines+=("$(printf '%-7s SKIPPED: %s' "$name" "$reason")")
    fi
    echo "${lines[-1]}"
    return
  fi
  sums=$(mktemp)
  TAPWARDEN_TIER=$name node_modules/.bin/ava --tap </dev/null | show_tap "$sums"
  status=${PIPESTATUS[0]}
  local good=0 bad=0 skipped=0
  read -r good bad skipped <"$sums"
  rm -f "$sums"
  # A failure without a test that failed: a crash of the runner, or no tests at all.
  if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$good" -eq 0 ]; }; then
    echo "ava ended with status $status after $good tests that passed" >&2
    bad=1
  fi
  passed=$((passed + good))
  failed=$((failed + bad))
  lines+=("$(printf '%-7s %d passed, %d failed, %d skipped (%d s)' "$name" "$good" "$bad" "$skipped" $((SECONDS - began)))")
}

# Why a tier cannot run here; nothing when it can.
obstacle() {
  case $1 in
  unit) return ;;
  esac
  if [ "$(id -u)" -ne 0 ]; then
    echo 'not root'
  elif ! unshare --net --mount true 2>/dev/null; then
    echo 'no namespaces can be made here'
  elif ! command -v nft >/dev/null; then
    echo 'nft is not installed'
  elif [ "$1" = vm ] && ! command -v qemu-system-x86_64 >/dev/null; then
    echo 'QEMU is not installed'
  elif [ "$1" = vm ] && [ ! -c /dev/net/tun ]; then
    echo 'there is no /dev/net/tun'
  fi
}

required() {
  case ",${REQUIRE:-}," in
  *",$1,"*) return 0 ;;
  esac
  return 1
}

# Reads TAP, which is made for counting, and prints what a person wants of it. Source: testanything.org, version 13.
show_tap() {
  awk -v sums="$1" '
    /^(ok|not ok) [0-9]+ - .*# (SKIP|TODO)/ { skipped++; sub(/^(not )?ok [0-9]+ - /, ""); print "  - " $0; next }
    /^ok [0-9]+ - / { good++; sub(/^ok [0-9]+ - /, ""); print "  ✔ " $0; next }
    /^not ok [0-9]+ - / { bad++; sub(/^not ok [0-9]+ - /, ""); print "  ✘ " $0; next }
    /^(TAP version|1\.\.[0-9]+$|# (tests|pass|fail|skip|todo) [0-9]+$|$)/ { next }
    /^# .* hook( for .*)?$/ { next }
    { print "    " $0 }
    { fflush() }
    END { print good + 0, bad + 0, skipped + 0 > sums }
  '
}

finish() {
  local status=$?
  # The script ended before all checks were counted.
  if [ "$counted" = false ] && [ "$failed" -eq 0 ]; then failed=1; fi
  echo
  [ ${#lines[@]} -eq 0 ] || printf '%s\n' "${lines[@]}"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] || status=1
  exit "$status"
}

main
