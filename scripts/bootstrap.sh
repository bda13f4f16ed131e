#!/usr/bin/env bash
# Brings a fresh clone to where everything runs: Debian's packages, npm's packages, the build. What is there already is
# left alone, so that running it again costs next to nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# What the host runs, and what it takes images apart and puts them together with. init/programs.ts names the programs.
packages=(
  qemu-system-x86 busybox-static nftables iproute2 bubblewrap util-linux e2fsprogs
  mmdebstrap debian-archive-keyring xz-utils
)

say() { echo "bootstrap: $*" >&2; }
die() {
  say "$1"
  shift
  for line in "$@"; do echo "  $line" >&2; done
  exit 1
}

main() {
  check_node
  install_debian_packages
  install_npm_packages
  build
}

check_node() {
  command -v node >/dev/null || die 'Node is not installed.' 'Install Node 20.20 or newer, as nodejs.org/download says.'
  command -v npm >/dev/null || die 'npm is not installed.' 'It comes with Node; Debian has it as a package of its own.'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 20) ? 0 : 1)' ||
    die "Node $(node --version) is too old." 'Install Node 20.20 or newer.'
  [ "$(uname -sm)" = 'Linux x86_64' ] || die "tapwarden runs on Linux on x86-64 processors; this is $(uname -sm)."
}

install_debian_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die 'This system has no apt.' \
      "tapwarden is made for Debian 12: it takes the guest's kernel and the workload's programs from Debian's packages." \
      "It needs what these packages hold: ${packages[*]}."
  fi
  local missing
  missing=$(comm -23 <(printf '%s\n' "${packages[@]}" | sort) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort))
  # The images are made of packages that apt fetches, so it must know some even if none is missing here.
  if [ -n "$missing" ] || ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
    say 'asking for the newest package lists'
    as_root apt-get -qq update || die "'apt-get update' failed." 'Look at the message above, and at /etc/apt/sources.list.'
  fi
  [ -n "$missing" ] || return 0
  say "installing ${missing//$'\n'/ }"
  # shellcheck disable=SC2086 # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 install $missing >&2 || die 'The packages could not be installed.' 'Look at the message above.'
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@" </dev/null
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die 'Packages are installed as root, and sudo is not there.' "As root: apt-get install ${packages[*]}"
  fi
}

install_npm_packages() {
  local installed=node_modules/.package-lock.json
  if [ -e "$installed" ] && [ ! package-lock.json -nt "$installed" ]; then return; fi
  say 'installing npm packages (npm ci)'
  npm ci --no-progress >&2 || die "'npm ci' failed." 'Look at the message above.'
  # npm leaves the file alone where nothing changed.
  touch "$installed"
}

# Folders count too: theirs is the time at which a source was taken away.
build() {
  local stamp=build/supervisor.cjs
  if [ -e "$stamp" ] && [ -z "$(sources_newer_than "$stamp")" ]; then return; fi
  say 'building'
  # What was made of sources that are gone would be tested still.
  rm -rf build
  bash scripts/build.sh >&2 || die 'The build failed.' 'Look at the message above.'
}

sources_newer_than() {
  find . -maxdepth 1 \( -name '*.ts' -o -name tsconfig.json -o -name package-lock.json \) -newer "$1" -print -quit
  find . -mindepth 1 \( -path ./node_modules -o -path ./build -o -path ./coverage -o -name '.*' \) -prune -o \
    \( -name '*.ts' -o -path ./scripts/build.sh -o -type d \) -newer "$1" -print -quit
}

main
