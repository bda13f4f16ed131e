'use strict';
// Loads a program that is one file, a CommonJS module, with the code that V8 made of it before, where that is there: what V8
// need not compile is a fifth of a start, and more in an emulated guest. The code stands beside the program, as FILE.code. V8
// takes none that another version of itself made, or one with other flags, and compiles as always.
//
//   node load-program.cjs FILE          runs FILE
//   node load-program.cjs --make FILE   makes FILE.code
//
// Source: https://nodejs.org/api/vm.html, cachedData.
const { readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

/** Runs the program and returns what it exports. `file` is an absolute path. */
function loadProgram(file) {
  const script = new Script(textOf(file), { filename: file, cachedData: codeOf(file) });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  return module.exports;
}

/** Compiles all of the program, and keeps the code. */
function makeCode(file) {
  rmSync(`${file}.code`, { force: true });
  // Else a function is compiled when it is called first, and what is not compiled is not kept.
  setFlagsFromString('--no-lazy');
  const script = new Script(textOf(file), { filename: file });
  // V8 compares flags too.
  setFlagsFromString('--lazy');
  writeFileSync(`${file}.code.new`, script.createCachedData());
  renameSync(`${file}.code.new`, `${file}.code`);
}

/** As Node itself wraps a module. */
function textOf(file) {
  return `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'utf8')}\n})`;
}

function codeOf(file) {
  try {
    return readFileSync(`${file}.code`);
  } catch {
    return undefined;
  }
}

module.exports = { loadProgram, makeCode };

if (require.main === module) {
  const [first, second] = process.argv.slice(2);
  if (first === '--make') makeCode(second);
  else loadProgram(first);
}
