#!/usr/bin/env node
const { join } = require('node:path');
const { loadProgram } = require('./load-program.cjs');

const { main } = loadProgram(join(__dirname, '../build/cli/main.cjs'));

main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
