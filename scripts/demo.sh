#!/usr/bin/env bash
# `npm run demo`: set-up, then demo/main.ts.
set -euo pipefail
cd "$(dirname "$0")/.."
# Asked first, because what root builds here a user cannot build again.
if [ "$(id -u)" -ne 0 ]; then
  echo "The demo makes network namespaces and a TAP device, which takes root: 'sudo npm run demo'." >&2
  exit 1
fi
bash scripts/bootstrap.sh
exec node build/demo/main.js
