export { type AttackInput, attacksOf, attackVersion } from './attack.ts';
export { type ActivityId, type ClassUid, categories, classes, profiles } from './classes.ts';
export type { EventContext, Feature } from './context.ts';
export { type AggregateReason, type DeniedAggregateInput, deniedAggregate } from './denied-aggregate.ts';
export { type DeniedPacketInput, deniedPacket, type PacketEnd } from './denied-packet.ts';
export { classifyAddress, type Destination, isMetadataHost, protocolName } from './destination.ts';
export { type EnumId, type EnumName, enums } from './enums.ts';
export type * from './event.ts';
export { type ExecEnd, type ExecInput, execExited, execLaunched } from './exec.ts';
export type { FenceRule, Verdict } from './fence-rule.ts';
export { finish } from './finish.ts';
export { inspectLog, type LogEnd, type PreparedLog, prepareLog } from './inspect-log.ts';
export { EventLog, type EventLogEnvironment, type FromFdOptions } from './jsonl-writer.ts';
export { maxLineBytes } from './line-cap.ts';
export { type EventLine, parseEventLine, sequenceOf } from './log/event-line.ts';
export type { LogLine } from './log/line-splitter.ts';
export { type LogPiece, type LogPosition, positionBehind, type ReadOptions, readLog } from './log/reader.ts';
export {
  type Allowed,
  type ConnectInput,
  connectAllowed,
  connectDenied,
  connectFailed,
  type Denied,
} from './proxy-decision.ts';
export { type FenceUnloggedInput, fenceUnlogged, type TelemetryGapInput, telemetryGap } from './record-health.ts';
export {
  type RunCounts,
  type SandboxStartedInput,
  type SandboxStoppedInput,
  sandboxStarted,
  sandboxStopped,
} from './sandbox-lifecycle.ts';
export { renderShort, type ShorthandOptions } from './shorthand.ts';
export type { BackoffLimits } from './sinks/backoff.ts';
export { CursorFile, type CursorOptions } from './sinks/cursor-file.ts';
export type { QueueLimits } from './sinks/event-queue.ts';
export type { HttpFormat } from './sinks/http-body.ts';
export { type HttpOptions, openHttp } from './sinks/http-transport.ts';
export { readEntries } from './sinks/log-entries.ts';
export type {
  BatchSize,
  Credentials,
  LogEntry,
  ShipCounters,
  ShipReport,
  ShipState,
  ShipStatus,
  Transport,
} from './sinks/model.ts';
export { type NatsOptions, openNats } from './sinks/nats-transport.ts';
export { isSecure, openTransport, type SinkSettings, type SinkStream } from './sinks/open-transport.ts';
export { type OutgoingEvent, outgoingEvent } from './sinks/outgoing-event.ts';
export { SecretFile } from './sinks/secret-file.ts';
export { Shipper, type ShipperOptions } from './sinks/shipper.ts';
export { parseSinkAddress, type SinkAddress } from './sinks/sink-address.ts';
export { openStream, type StreamOptions } from './sinks/stream-transport.ts';
export type { SyslogAddress } from './sinks/syslog-connection.ts';
export { openSyslog, type SyslogOptions } from './sinks/syslog-transport.ts';
export { type TlsFiles, type TlsMaterial, tlsFiles } from './sinks/tls-files.ts';
export { createUidSource, type UidParts } from './uid.ts';
