import type { Family, TableName } from './model.ts';
import {
  eachAttribute,
  encodeAttribute,
  encodeMessage,
  encodeText,
  netlinkFlags,
  readNumber64,
  readText,
} from './netlink-message.ts';

/**
 * What is asked of nf_tables over netlink, and its answers: tables, named counters, and the elements of sets with their
 * counters.
 *
 * Source: include/uapi/linux/netfilter/nfnetlink.h (struct nfgenmsg, NFNL_SUBSYS_NFTABLES, NFNL_MSG_BATCH_BEGIN, enum nfnl_batch_attributes),
 * include/uapi/linux/netfilter/nf_tables.h (enums nf_tables_msg_types, nft_table_attributes, nft_object_attributes,
 * nft_set_elem_list_attributes, nft_set_elem_attributes, nft_counter_attributes, nft_gen_attributes).
 */

/** A request without its sequence number. */
export type NfnetlinkRequest = { readonly type: number; readonly flags: number; readonly payload: Buffer };

/** Packets and bytes of a named counter. */
export type NamedCounter = { readonly name: string; readonly packets: number; readonly bytes: number };

/** NFPROTO_INET, NFPROTO_NETDEV. */
const families: Readonly<Record<Family, number>> = { inet: 1, netdev: 5 };

const subsystem = 10;
/** The messages of nf_tables that are used here. Source: enum nf_tables_msg_types. */
export const nftMessages = {
  ...{ newTable: message(0), getTable: message(1), deleteTable: message(2) },
  ...{ newChain: message(3), getChain: message(4), deleteChain: message(5) },
  ...{ newRule: message(6), getRule: message(7), deleteRule: message(8) },
  ...{ newSet: message(9), getSet: message(10), deleteSet: message(11) },
  ...{ newElements: message(12), getElements: message(13), deleteElements: message(14) },
  ...{ newGeneration: message(15), getGeneration: message(16) },
  ...{ newObject: message(18), getObject: message(19), deleteObject: message(20) },
} as const;
/** NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END. */
const batchTypes = { begin: 16, end: 17 } as const;
const batchAttributes = { generation: 1 } as const;
const generationAttributes = { id: 1 } as const;
/** Bytes of struct nfgenmsg, which begins every payload. */
const genericBytes = 4;

/** struct nfgenmsg of a batch: the subsystem is its resource, in network order. */
const batchGeneric = Buffer.from([0, 0, 0, subsystem]);

const tableAttributes = { name: 1, handle: 4 } as const;
const objectAttributes = { table: 1, name: 2, type: 3, data: 4 } as const;
const counterObject = 1;
const counterAttributes = { bytes: 1, packets: 2 } as const;
const listAttributes = { table: 1, set: 2, elements: 3 } as const;
const elementAttributes = { key: 1, data: 2, expression: 7, expressions: 11 } as const;
const expressionAttributes = { data: 2 } as const;
const dataValue = 1;
const listElement = 1;

/** Asks for one table. */
export function tableRequest({ family, name }: TableName): NfnetlinkRequest {
  return {
    type: nftMessages.getTable,
    flags: netlinkFlags.request | netlinkFlags.ack,
    payload: Buffer.concat([generic(family), encodeText(tableAttributes.name, name)]),
  };
}

/** Asks for all named counters of a table. A table that does not exist has none. */
export function countersRequest({ family, name }: TableName): NfnetlinkRequest {
  const type = Buffer.alloc(4);
  type.writeUInt32BE(counterObject);
  return {
    type: nftMessages.getObject,
    flags: netlinkFlags.request | netlinkFlags.dump,
    payload: Buffer.concat([
      generic(family),
      encodeText(objectAttributes.table, name),
      encodeAttribute(objectAttributes.type, type),
    ]),
  };
}

/** Asks for all elements of a set. */
export function elementsRequest({ family, name }: TableName, set: string): NfnetlinkRequest {
  return {
    type: nftMessages.getElements,
    flags: netlinkFlags.request | netlinkFlags.dump,
    payload: Buffer.concat([
      generic(family),
      encodeText(listAttributes.table, name),
      encodeText(listAttributes.set, set),
    ]),
  };
}

/** An element of a set or map, as the kernel has it: numbers of the machine in its byte order, those of a packet in the network's. */
export type SetElement = { readonly key: Buffer; readonly data?: Buffer };

/** Adds elements to a set or map. One that is there is an error only where its data is another. */
export function newElementsRequest(
  { family, name }: TableName,
  set: string,
  elements: readonly SetElement[],
): NfnetlinkRequest {
  const encoded = elements.map(({ key, data }) =>
    encodeAttribute(listElement, [
      encodeAttribute(elementAttributes.key, [encodeAttribute(dataValue, key)]),
      ...(data === undefined ? [] : [encodeAttribute(elementAttributes.data, [encodeAttribute(dataValue, data)])]),
    ]),
  );
  return {
    type: nftMessages.newElements,
    flags: netlinkFlags.request | netlinkFlags.create,
    payload: Buffer.concat([
      generic(family),
      encodeText(listAttributes.table, name),
      encodeText(listAttributes.set, set),
      encodeAttribute(listAttributes.elements, encoded),
    ]),
  };
}

/** The element of a map of type `cgroupsv2 : mark`; `cgroup` is the number of the cgroup's folder. */
export function cgroupMark(cgroup: bigint, mark: number): SetElement {
  const [key, data] = [Buffer.alloc(8), Buffer.alloc(4)];
  key.writeBigUInt64LE(cgroup);
  data.writeUInt32LE(mark);
  return { key, data };
}

/** Asks for the number of the ruleset's generation. */
export const generationRequest: NfnetlinkRequest = {
  type: nftMessages.getGeneration,
  flags: netlinkFlags.request | netlinkFlags.ack,
  payload: Buffer.alloc(genericBytes),
};

/** The number in an answer to {@link generationRequest}. */
export function parseGeneration(payload: Buffer): number | undefined {
  let generation: number | undefined;
  eachAttribute(payload, genericBytes, payload.length, (type, from) => {
    if (type === generationAttributes.id) generation = payload.readUInt32BE(from);
  });
  return generation;
}

/**
 * A transaction. All of its messages have one number, so that any of them can tell of an error; the last one tells of the end.
 *
 * @param generation which the ruleset must have; another one is refused with ERESTART
 */
export function encodeBatch(
  requests: readonly NfnetlinkRequest[],
  sequence: number,
  generation: number | undefined,
): Buffer {
  const mark = (type: number, ...attributes: readonly Buffer[]): Buffer =>
    encodeMessage({
      type,
      flags: netlinkFlags.request,
      sequence,
      payload: Buffer.concat([batchGeneric, ...attributes]),
    });
  const id = Buffer.alloc(4);
  id.writeUInt32BE(generation ?? 0);
  return Buffer.concat([
    mark(batchTypes.begin, ...(generation === undefined ? [] : [encodeAttribute(batchAttributes.generation, id)])),
    ...requests.map(({ type, flags, payload }, index) =>
      encodeMessage({
        ...{ type, sequence, payload },
        flags: index === requests.length - 1 ? flags | netlinkFlags.ack : flags,
      }),
    ),
    mark(batchTypes.end),
  ]);
}

/** The lower 16 bits of the ruleset's generation, which each transaction raises; the kernel puts them into each answer. */
export function generationOf(payload: Buffer): number {
  return payload.readUInt16BE(2);
}

/** The table's handle, which the kernel gives once: a table that was deleted and made again has another one. */
export function parseTableHandle(payload: Buffer): number | undefined {
  let handle: number | undefined;
  eachAttribute(payload, genericBytes, payload.length, (type, from) => {
    if (type === tableAttributes.handle) handle = readNumber64(payload, from);
  });
  return handle;
}

/** The named counter of an answer to {@link countersRequest}; `undefined` where it is another object. */
export function parseCounter(payload: Buffer): NamedCounter | undefined {
  let name: string | undefined;
  let isCounter = false;
  let counts = { packets: 0, bytes: 0 };
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (type === objectAttributes.name) name = readText(payload, from, to);
    else if (type === objectAttributes.type) isCounter = payload.readUInt32BE(from) === counterObject;
    else if (type === objectAttributes.data) counts = readCounts(payload, from, to);
  });
  return isCounter && name !== undefined ? { name, ...counts } : undefined;
}

/**
 * Calls `visit` with the key and the packets of each element of an answer to {@link elementsRequest}. The key is that of
 * the kernel, each of its parts padded to four bytes, as a string of one character a byte, fit to be the key of a map;
 * `packets` is 0 where the set counts nothing.
 */
export function eachElement(payload: Buffer, visit: (key: string, packets: number) => void): void {
  eachAttribute(payload, genericBytes, payload.length, (type, from, to) => {
    if (type !== listAttributes.elements) return;
    eachAttribute(payload, from, to, (_, start, end) => {
      let key = '';
      let packets = 0;
      eachAttribute(payload, start, end, (part, begin, stop) => {
        if (part === elementAttributes.key) key = readKey(payload, begin, stop);
        else if (part === elementAttributes.expression) packets = readExpression(payload, begin, stop);
        else if (part === elementAttributes.expressions) {
          // Each entry of the list is an expression; the sets here have one.
          eachAttribute(payload, begin, stop, (_entry, first, last) => {
            packets = readExpression(payload, first, last);
          });
        }
      });
      visit(key, packets);
    });
  });
}

function message(number: number): number {
  return (subsystem << 8) | number;
}

/** family, version 0, resource id 0 */
function generic(family: Family): Buffer {
  return Buffer.from([families[family], 0, 0, 0]);
}

function readKey(bytes: Buffer, start: number, end: number): string {
  let key = '';
  eachAttribute(bytes, start, end, (type, from, to) => {
    if (type === dataValue) key = bytes.toString('latin1', from, to);
  });
  return key;
}

function readExpression(bytes: Buffer, start: number, end: number): number {
  let packets = 0;
  eachAttribute(bytes, start, end, (type, from, to) => {
    if (type === expressionAttributes.data) ({ packets } = readCounts(bytes, from, to));
  });
  return packets;
}

function readCounts(bytes: Buffer, start: number, end: number): { packets: number; bytes: number } {
  const counts = { packets: 0, bytes: 0 };
  eachAttribute(bytes, start, end, (type, from) => {
    if (type === counterAttributes.packets) counts.packets = readNumber64(bytes, from);
    else if (type === counterAttributes.bytes) counts.bytes = readNumber64(bytes, from);
  });
  return counts;
}
