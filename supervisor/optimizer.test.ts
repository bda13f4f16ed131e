import test from 'ava';
import { run } from '../base/index.ts';

/** Calls a function so often that V8 compiles it, at rest and at work, and says what it does in between. */
const script = `
const { optimizer } = await import('./build/supervisor/optimizer.js');
const hot = (rounds, of) => { let sum = 0; for (let i = 0; i < rounds; i += 1) sum += of(i); return sum; };
optimizer.rest();
hot(2e6, (i) => i % 7);
console.log('at work');
optimizer.work();
hot(2e6, (i) => i % 9);
`;

test('optimizer: TurboFan compiles nothing at rest, and what runs often at work', async (t) => {
  const argv = [process.execPath, '--trace-opt', '--input-type=module', '-e', script] as const;
  const [rest = '', work = ''] = (await run(argv)).stdout.split('at work\n');
  t.notRegex(rest, /TURBOFAN/);
  t.regex(work, /TURBOFAN/);
});
