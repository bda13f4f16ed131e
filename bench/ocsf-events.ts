import pino from 'pino';
import type { DeniedPacketFact } from '../channel/index.ts';
import { Recorder } from '../driver-vm/unprivileged/recorder.ts';
import { deniedPacketOf, type RefusedContext } from '../driver-vm/unprivileged/refused-packets.ts';
import { schemaAvailable, validateBySchema as validateByAjv } from '../e2e/support/ocsf-schema.ts';
import { encodeLogPrefix } from '../nft/index.ts';
import {
  checkEvent,
  createEventSerializer,
  type DeniedPacketInput,
  deepFreeze,
  deniedPacket,
  type EventBody,
  type EventContext,
  type JsonlWriter,
  validateEvent,
} from '../ocsf/index.ts';
import { parseKernelLogRecord } from '../supervisor/kernel-log-record.ts';
import { deniedPacketFact } from '../supervisor/monitor.ts';
import { measureSideBySide, type PartMeasured, type Rounds, rowOf, type Work } from './ocsf-part.ts';

const context: EventContext = deepFreeze({
  ...{ ocsfVersion: '1.8.0', productVersion: '0.1.0', logName: 'events.jsonl', sandboxId: 'vm1', hostname: 'vm1' },
  ...{ runId: '0b0e0c1e-3c8e-4f7e-9a55-0d4b5a0d6f11', hypervisor: 'qemu', kernelRelease: '6.1.0-40-amd64' },
  bootUid: 'b6f0c1f2-7d53-4a0e-8f7e-1f2a3b4c5d6e',
  image: { name: 'debian', uid: 'sha256:4be1' },
  policy: { uid: 'default', name: 'default', version: 'sha256:9f86d081884c7d65' },
} as const);
const tag = 'corpus22corpus22';
const rule = deepFreeze({ name: 'refuse', comment: 'everything but the proxy is refused' });
const begin = 1_790_000_000_000;

/**
 * Measures what becomes of a refused packet, from the kernel's line to the text of its event, and its steps beside what
 * else one could use for them. Every text is written into memory, as a log would have it: until then it is in pieces.
 */
export async function measureEvents(say: (line: string) => void, rounds?: Rounds): Promise<PartMeasured> {
  const unavailable = schemaAvailable();
  const rates = measureSideBySide(
    [...ourWorks(), ...otherWorks(), ...(unavailable === undefined ? [ajvWork()] : [])],
    rounds ?? { rounds: 15, roundMs: 200 },
  );
  for (const [name, { perSecond }] of Object.entries(rates)) say(`${name}: ${Math.round(perSecond)} a second`);
  const bytes = Buffer.byteLength(JSON.stringify(eventNumber(0)));
  return {
    figures: Object.fromEntries(
      Object.entries(rates).map(([name, { perSecond }]) => [`${name}_per_s`, Math.round(perSecond)]),
    ),
    rows: [
      ...Object.values(rates).map(rowOf),
      ...(unavailable === undefined ? [] : [`| Ajv validates the same event | left out | ${unavailable} |`]),
      `| size of that event | ${bytes} bytes | without what the log adds |`,
    ],
  };
}

/** `pipeline` and `build` are what has to have a certain speed; the others say where the time goes. */
function ourWorks(): readonly Work[] {
  const record = recording();
  // Each has a serialiser of its own, as the log of a sandbox has.
  const [serialize, serializeBuilt] = [createEventSerializer(), createEventSerializer()];
  const events = someEvents();
  // What is built from is there before: to make it is not what is measured.
  const inputs = Array.from({ length: 1024 }, (_, number) => inputNumber(number));
  return [
    {
      name: 'pipeline',
      what: "a line of the kernel's log is parsed, built into an event, validated and serialised",
      once: (number) => {
        const now = begin + number;
        const event = deniedPacketOf(factNumber(number), runAt(now));
        write(serialize(checkEvent(event, context, now).body));
      },
    },
    {
      name: 'recorder',
      what: 'the same in the recorder, which counts it, sums it up and looks for bursts',
      once: (number) => record.fact(factNumber(number)),
    },
    {
      name: 'build',
      what: 'a denied packet (4001) is built and serialised',
      once: (number) => write(serializeBuilt(deniedPacket(context, pick(inputs, number)))),
    },
    {
      name: 'build_json',
      what: 'the same with JSON.stringify',
      once: (number) => write(JSON.stringify(deniedPacket(context, pick(inputs, number)))),
    },
    {
      name: 'validate',
      what: 'a denied packet is validated',
      once: (number) => {
        if (validateEvent(pick(events, number), { warnings: false }).errors.length > 0) throw new Error('Not valid');
      },
    },
  ];
}

function otherWorks(): readonly Work[] {
  const events = someEvents();
  const logger = pino({ base: null, timestamp: false }, { write });
  return [
    {
      name: 'pino',
      what: 'pino writes an event that was built before',
      once: (number) => logger.info(pick(events, number)),
    },
  ];
}

function ajvWork(): Work {
  const events = someEvents();
  return {
    name: 'ajv',
    what: 'Ajv validates the same event',
    once: (number) => {
      if (validateByAjv(pick(events, number)).length > 0) throw new Error('Not valid');
    },
  };
}

/** A recorder as in the channel process, that writes into memory. */
function recording(): Recorder {
  const serialize = createEventSerializer();
  const log = { append: (body: EventBody) => write(serialize(body)) } as unknown as JsonlWriter;
  let now = begin;
  const budget = { perSecond: 1e9, atOnce: 1e9 };
  return new Recorder({ context, log, accelerator: 'tcg', workloadUid: 1000, now: () => (now += 1), budget });
}

/** What the recorder says of a run, made anew for each packet as there. */
function runAt(now: number): RefusedContext {
  return { context, now, exec: 42, logging: true, gaps: false, beyondBudget: 0 };
}

function factNumber(number: number): DeniedPacketFact {
  const parsed = parseKernelLogRecord(lineNumber(number));
  const fact = parsed && deniedPacketFact(parsed.text, tag, parsed.sequence, parsed.microseconds);
  if (fact === undefined) throw new Error('The line is not one of the fence');
  return fact;
}

function lineNumber(number: number): string {
  const [id, port] = [number & 0xffff, 32_768 + (number & 0x3fff)];
  return `6,${number},${4_723_383_459 + number},-;${encodeLogPrefix({ tag })}IN= OUT=eth0 SRC=10.200.0.2 DST=203.0.113.${number & 0xff} LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=${id} DF PROTO=TCP SPT=${port} DPT=4444 WINDOW=64240 RES=0x00 SYN URGP=0 UID=1000 GID=1000 MARK=0x2a `;
}

/** A denied packet like any other. */
export function eventNumber(number: number): EventBody {
  return deniedPacket(context, inputNumber(number));
}

/** What it is built from. */
function inputNumber(number: number): DeniedPacketInput {
  const ip = `203.0.113.${number & 0xff}`;
  return {
    time: begin + number,
    originalTime: `1843.${100_000 + (number & 0xffff)}`,
    protocol: 6,
    source: { ip: '10.200.0.2', port: 32_768 + (number & 0x3fff) },
    destination: { ip, port: 4444 },
    interfaceOut: 'eth0',
    length: 60,
    uid: 1000,
    gid: 1000,
    mark: 42,
    tcpFlags: 2,
    sequence: number,
    rawLine: `IN= OUT=eth0 SRC=10.200.0.2 DST=${ip} LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=${number & 0xffff} DF PROTO=TCP`,
    rule,
    verdict: 'tcp-reset',
  };
}

function someEvents(): readonly EventBody[] {
  return Array.from({ length: 256 }, (_, number) => eventNumber(number));
}

function pick<T>(list: readonly T[], number: number): T {
  return list[number % list.length] as T;
}

const memory = Buffer.alloc(65_536);

function write(text: string): void {
  memory.write(text);
}
