#!/usr/bin/env bash
# Installs what tests of the kernel tier ship events to, and the audit daemon that others may run: real programs from
# Debian's packages. Tests start them on loopback and in temporary folders; the services that the packages bring are
# neither started nor enabled.
# Where this is not Debian, or not root, nothing is done, and the tests say what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(auditd nats-server nginx openssl rsyslog rsyslog-gnutls)
services=(auditd nats-server nginx rsyslog)
policy=/usr/sbin/policy-rc.d

main() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then return; fi
  local missing=() package
  for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "test-peers: installing ${missing[*]}" >&2
  apt-get -qq update >&2
  forbid_services
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 install "${missing[@]}" \
    </dev/null >&2
  for package in "${services[@]}"; do
    if [[ " ${missing[*]} " == *" $package "* ]] && command -v systemctl >/dev/null; then
      systemctl --quiet disable "$package.service" 2>/dev/null || true
    fi
  done
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# What packages ask before they start a service; 101 forbids it. A policy that is there already is the machine's own.
# Source: invoke-rc.d(8)
forbid_services() {
  [ ! -e "$policy" ] || return 0
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

main
