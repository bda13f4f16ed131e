#!/usr/bin/env bash
# Installs the programs that the sinks are tested against. Tests start them in folders and on ports of their own; the
# machine must not get daemons from them, neither now nor at its next boot.
#
#   bash scripts/test-peers.sh           installs what is missing
#   bash scripts/test-peers.sh --check   prints what is missing, and installs nothing
set -euo pipefail

packages=(nats-server rsyslog rsyslog-gnutls nginx openssl)
declare -A services=([nats-server]=nats-server [rsyslog]=rsyslog [nginx]=nginx)
policy=/usr/sbin/policy-rc.d

say() { echo "test-peers: $*" >&2; }

main() {
  local missing
  mapfile -t missing < <(comm -23 <(printf '%s\n' "${packages[@]}" | sort) <(installed | sort))
  if [ "${1:-}" = --check ]; then
    echo "${missing[*]}"
    return
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "not root, so these are not installed: ${missing[*]}"
    return 1
  fi
  say "installing ${missing[*]}"
  forbid_starts
  apt-get -qq update
  # Another syslog daemon is the machine's, and is not removed for the sake of a test.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 \
    install "${missing[@]}" </dev/null >&2
  forbid_at_boot "${missing[@]}"
}

installed() {
  dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed //p'
}

# Source: invoke-rc.d(8); status 101 says that the action is forbidden. A policy that stands there already, as in
# containers, is the machine's: it is moved aside and put back.
forbid_starts() {
  local kept=
  if [ -e "$policy" ] || [ -L "$policy" ]; then
    kept=$(mktemp -d "$policy.XXXXXX")
    mv "$policy" "$kept/"
  fi
  # shellcheck disable=SC2064 # the value of now
  trap "rm -f $policy; ${kept:+mv $kept/policy-rc.d $policy; rmdir $kept}" EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

# Only for what was not installed before: what was is the machine's own business.
forbid_at_boot() {
  local package service
  for package in "$@"; do
    service=${services[$package]:-}
    [ -n "$service" ] || continue
    if command -v systemctl >/dev/null; then systemctl --quiet disable "$service" >&2 || say "$service could not be disabled"; fi
    if [ -e "/etc/init.d/$service" ]; then update-rc.d "$service" disable >&2 || say "$service could not be disabled"; fi
  done
}

main "$@"
