import test from 'ava';
import { asFirst, keyOf, sandboxRules, silencesTasks } from './audit-rule.ts';
import { obstacleOf } from './audit-trail.ts';

const rules = sandboxRules({ first: 1000, last: 2000 }, 'tapwarden.1.2');
/** Numbers of the system calls in a rule's mask. */
const numbersOf = (rule: Buffer): readonly number[] =>
  Array.from({ length: 2048 }, (_, number) => number).filter(
    (number) => (rule.readUInt32LE(12 + 4 * (number >> 5)) & (1 << (number & 31))) !== 0,
  );
/** Type, operator and value of each field, as include/uapi/linux/audit.h numbers them. */
const fieldsOf = (rule: Buffer): readonly (readonly number[])[] =>
  Array.from({ length: rule.readUInt32LE(8) }, (_, index) =>
    [268, 780, 524].map((offset) => rule.readUInt32LE(offset + 4 * index)),
  );

test('sandboxRules: four for each architecture, of the ids alone', (t) => {
  t.deepEqual(rules.map(numbersOf), [
    [42, 44, 46, 307],
    [42],
    [1, 20, 40, 275, 328],
    [59, 322],
    [102, 345, 362, 369, 370],
    [362],
    [4, 146, 187, 239, 313, 379],
    [11, 358],
  ]);
  const [equal, atLeast, atMost] = [0x40000000, 0x60000000, 0x50000000];
  const [first] = rules;
  t.deepEqual(first && fieldsOf(first), [
    [11, equal, 0xc000003e],
    [9, atLeast, 1000],
    [9, atMost, 2000],
    [104, equal, 0],
    [210, equal, 13],
  ]);
  for (const rule of rules) {
    t.is(keyOf(rule), 'tapwarden.1.2');
    t.is(rule.readUInt32LE(0), 4);
    t.is(asFirst(rule).readUInt32LE(0), 0x14);
    t.false(silencesTasks(rule));
  }
});

test('keyOf: a key after another text, and none', (t) => {
  const rule = Buffer.alloc(1040 + 8);
  rule.writeUInt32LE(2, 8);
  // A path (105) of five bytes, then the key.
  for (const [index, [type, length]] of [
    [105, 5],
    [210, 3],
  ].entries()) {
    rule.writeUInt32LE(type ?? 0, 268 + 4 * index);
    rule.writeUInt32LE(length ?? 0, 524 + 4 * index);
  }
  rule.write('/pathkey', 1040);
  t.is(keyOf(rule), 'key');
  t.is(keyOf(Buffer.alloc(1040)), undefined);
  t.is(keyOf(Buffer.alloc(3)), undefined);
});

test('obstacleOf: locked, ids that may not change, and a rule that silences all', async (t) => {
  const status = { enabled: 1, pid: 0, backlogLimit: 64, lost: 0, backlogWaitTime: 0 };
  const never = Buffer.alloc(1040);
  never.writeUInt32LE(1, 0);
  const socket = (isImmutable: boolean, list: readonly Buffer[]) => ({
    isIdImmutable: async () => isImmutable,
    listRules: async () => list,
  });
  t.is(await obstacleOf(socket(false, rules), status, 0xffffffff), undefined);
  t.is(await obstacleOf(socket(false, []), { ...status, enabled: 2 }, 0xffffffff), 'locked');
  t.is(await obstacleOf(socket(false, []), status, undefined), 'absent');
  t.is(await obstacleOf(socket(true, []), status, 1000), 'ids-immutable');
  t.is(await obstacleOf(socket(true, []), status, 0xffffffff), undefined);
  t.is(await obstacleOf(socket(false, [...rules, never]), status, 0xffffffff), 'tasks-silenced');
});
