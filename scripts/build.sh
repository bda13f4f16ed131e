#!/usr/bin/env bash
# Compiles the TypeScript sources to build/, and bundles three programs: the supervisor, into the one file that the guest
# image carries, and the command line and the channel process, which start with every sandbox, where they stand: as one file
# they load in a third of the time. What they name by a path relative to themselves, they name from build/ on.
set -euo pipefail
cd "$(dirname "$0")/.."
node_modules/.bin/tsc

bundle() {
  node_modules/.bin/esbuild "$1" --bundle --platform=node --target=node20 --log-level=warning --outfile="$2" \
    --allow-overwrite "${@:3}"
}
# The banner lets bundled CommonJS packages load Node's own modules.
module() {
  # Native code cannot be bundled. The NATS client is large, and loaded by one command alone.
  bundle "$1" "$1" --format=esm --external:netlink --external:koffi --external:'@nats-io/*' \
    --banner:js="import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);"
}
module build/driver-vm/unprivileged/main.js
module build/cli/main.js
# Node loads a CommonJS module without its loader of ES modules, which under emulation takes a guest 0.2 s to set up. The
# native modules are copied to build/native/, one file each: looking for them costs an emulated guest 0.1 s.
rm -rf build/native
bundle build/supervisor/main.js build/supervisor.cjs --format=cjs --loader:.node=copy --asset-names='native/[name]' \
  --alias:koffi=./scripts/native/koffi.cjs --alias:node-gyp-build=./scripts/native/node-gyp-build.cjs
