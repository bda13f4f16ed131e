#!/usr/bin/env bash
# Compiles the TypeScript sources to build/, and bundles three programs, each into one file of CommonJS, which Node loads in a
# third of the time that their modules take, and without its loader of ES modules: the command line and the channel process,
# which start with every sandbox, and the supervisor, which the guest image carries. A bundle stands where its main module
# does, so that what it names by a path relative to itself it names from build/ on.
set -euo pipefail
cd "$(dirname "$0")/.."
node_modules/.bin/tsc

bundle() {
  rm -f "$2.code"
  node_modules/.bin/esbuild "$1" --bundle --platform=node --target=node20 --format=cjs --log-level=warning --outfile="$2" \
    --supported:dynamic-import=false "${@:3}"
}
# Native code is not bundled: what stands in for koffi names it where npm put it. Two packages are large, and few need them.
koffi=--alias:koffi=./scripts/native/koffi.cjs
program() {
  bundle "$1" "$2" --external:'*.node' --external:netlink --external:'@nats-io/*' "$koffi" \
    --define:import.meta.url=__bundleUrl \
    --banner:js="const __bundleUrl = require('node:url').pathToFileURL(__filename).href;"
}
program build/driver-vm/unprivileged/main.js build/driver-vm/unprivileged/main.cjs
program build/cli/main.js build/cli/main.cjs
# The native modules of the guest are copied to build/native/, one file each: looking for them costs it 0.1 s.
rm -rf build/native
bundle build/supervisor/main.js build/supervisor.cjs --loader:.node=copy --asset-names='native/[name]' "$koffi" \
  --alias:node-gyp-build=./scripts/native/node-gyp-build.cjs
# What V8 makes of them, which it need not make again at each start.
for made in build/cli/main.cjs build/driver-vm/unprivileged/main.cjs build/supervisor.cjs; do
  node bin/load-program.cjs --make "$made"
done
