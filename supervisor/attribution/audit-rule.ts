import { architectures, type SystemCall, systemCalls } from './system-calls.ts';

/**
 * Rules of the audit system in the kernel's binary form, `struct audit_rule_data`.
 * Source: include/uapi/linux/audit.h.
 */

/** Audit session ids (`auid`), first and last, which belong to one sandbox. */
export type AuditIds = { readonly first: number; readonly last: number };

const maskWords = 64;
const maxFields = 64;
const at = { flags: 0, action: 4, count: 8, mask: 12, fields: 268, values: 524, operators: 780, length: 1036 } as const;
const fixedBytes = 1040;

/** AUDIT_FILTER_EXIT; with AUDIT_FILTER_PREPEND before the rules that stand already, of which one may say `never`. */
const exitFilter = 0x04;
const prepend = 0x10;
const always = 2;
const taskFilter = 0x01;
const never = 0;

const fieldTypes = { auid: 9, architecture: 11, exit: 103, success: 104, key: 210 } as const;
const operators = { equal: 0x40000000, atLeast: 0x60000000, atMost: 0x50000000 } as const;

type Field = {
  readonly type: number;
  readonly operator: number;
  readonly value: number;
};

/**
 * The rules that record what the processes of `ids` try: each connect, each send that fails, each write that a fence
 * refuses (EPERM, which nothing else gives a write), and each program that is started. For both architectures, since a
 * 32-bit program has numbers of its own.
 */
export function sandboxRules(ids: AuditIds, key: string): readonly Buffer[] {
  return (['b64', 'b32'] as const).flatMap((name) => {
    const rule = (calls: readonly SystemCall[], field: Field): Buffer =>
      encodeRule({
        numbers: calls.flatMap((call) => systemCalls[name][call]),
        fields: [
          { type: fieldTypes.architecture, operator: operators.equal, value: architectures[name] },
          { type: fieldTypes.auid, operator: operators.atLeast, value: ids.first },
          { type: fieldTypes.auid, operator: operators.atMost, value: ids.last },
          field,
        ],
        key,
      });
    const success = (value: 0 | 1): Field => ({ type: fieldTypes.success, operator: operators.equal, value });
    return [
      rule(['connect', 'send', 'socket-call'], success(0)),
      // Where a datagram goes that is written to a connected socket, its own record does not say.
      rule(['connect'], success(1)),
      rule(['write'], { type: fieldTypes.exit, operator: operators.equal, value: 0xffffffff }),
      rule(['execute'], success(1)),
    ];
  });
}

/** A rule as it is to be added: before all others. A rule is deleted, and listed, without this flag. */
export function asFirst(rule: Buffer): Buffer {
  const copy = Buffer.from(rule);
  copy.writeUInt32LE(exitFilter | prepend, at.flags);
  return copy;
}

/** The key of a rule, by which its owner knows it; `undefined` where it has none. */
export function keyOf(rule: Buffer): string | undefined {
  if (rule.length < fixedBytes) return undefined;
  const count = rule.readUInt32LE(at.count);
  let offset = fixedBytes;
  for (let index = 0; index < Math.min(count, maxFields); index += 1) {
    const type = rule.readUInt32LE(at.fields + 4 * index);
    const length = rule.readUInt32LE(at.values + 4 * index);
    if (type === fieldTypes.key) return rule.toString('latin1', offset, offset + length);
    if (isTextField(type)) offset += length;
  }
  return undefined;
}

/** Whether a rule says that no process is to have its system calls recorded, which some distributions load. */
export function silencesTasks(rule: Buffer): boolean {
  return (
    rule.length >= fixedBytes &&
    (rule.readUInt32LE(at.flags) & 0x0f) === taskFilter &&
    rule.readUInt32LE(at.action) === never &&
    rule.readUInt32LE(at.count) === 0
  );
}

/** Fields whose value is a text of that length: labels (13 to 17, 19 to 23), paths, executables, keys. */
function isTextField(type: number): boolean {
  return (type >= 13 && type <= 17) || (type >= 19 && type <= 23) || [105, 107, 112, 210].includes(type);
}

function encodeRule(rule: {
  readonly numbers: readonly number[];
  readonly fields: readonly Field[];
  readonly key: string;
}): Buffer {
  const key = Buffer.from(rule.key, 'latin1');
  const bytes = Buffer.alloc(fixedBytes + key.length);
  bytes.writeUInt32LE(exitFilter, at.flags);
  bytes.writeUInt32LE(always, at.action);
  for (const number of rule.numbers) {
    const word = at.mask + 4 * (number >> 5);
    if (number >> 5 < maskWords) bytes.writeUInt32LE((bytes.readUInt32LE(word) | (1 << (number & 31))) >>> 0, word);
  }
  const fields = [...rule.fields, { type: fieldTypes.key, operator: operators.equal, value: key.length }];
  bytes.writeUInt32LE(fields.length, at.count);
  for (const [index, field] of fields.entries()) {
    bytes.writeUInt32LE(field.type, at.fields + 4 * index);
    bytes.writeUInt32LE(field.value, at.values + 4 * index);
    bytes.writeUInt32LE(field.operator, at.operators + 4 * index);
  }
  bytes.writeUInt32LE(key.length, at.length);
  key.copy(bytes, fixedBytes);
  return bytes;
}
