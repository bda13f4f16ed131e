#!/usr/bin/env bash
# Compiles the TypeScript sources to build/, and bundles the supervisor into the one file that the guest image carries.
set -euo pipefail
cd "$(dirname "$0")/.."
node_modules/.bin/tsc
# The banner lets bundled CommonJS packages load Node's own modules.
node_modules/.bin/esbuild build/supervisor/main.js --bundle --format=esm --platform=node --target=node20 \
  --log-level=warning --outfile=build/supervisor.mjs \
  --banner:js="import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);"
