export { type Advice, type AdviceKind, adviceOf, programAdvice, type RefusedTarget } from './advice.ts';
export { type AttackInput, attacksOf, attackVersion } from './attack.ts';
export { buildEvent } from './build-event.ts';
export { type CanaryLink, type CanaryMissedInput, canaryMissed } from './canary-missed.ts';
export { type ClassName, captions, classNames } from './captions.ts';
export { type Checked, carryUnmade, checkEvent } from './check-event.ts';
export type { EventContext, Feature } from './context.ts';
export { type AggregateReason, type DeniedAggregateInput, deniedAggregate } from './denied-aggregate.ts';
export { deniedPacket } from './denied-packet.ts';
export { classifyAddress, type Destination, isMetadataHost, protocolName } from './destination.ts';
export type * from './event.ts';
export { type EventPath, parseEventPath, someValue } from './event-path.ts';
export { type ExecEnd, type ExecInput, execExited, execLaunched } from './exec.ts';
export type { FenceRule, Verdict } from './fence-rule.ts';
export { type FindingInput, type FindingKind, finding, maxRelated, type RelatedEvent } from './finding.ts';
export { finish } from './finish.ts';
export { deepFreeze } from './frozen.ts';
export { maxLineBytes } from './line-cap.ts';
export { type EventLine, parseEventLine, sequenceOf } from './log/event-line.ts';
export { type FromFdOptions, type JsonlOptions, JsonlWriter } from './log/jsonl-writer.ts';
export { LineSplitter, type LineStart, type LogLine } from './log/line-splitter.ts';
export type { FsyncPolicy, LogStatus, Rotate } from './log/line-writer.ts';
export { inspectLog, type LogEnd } from './log/log-end.ts';
export { makeLogFolder, type PreparedLog, prepareLog } from './log/prepare.ts';
export { type LogPiece, type LogPosition, positionBehind, type ReadOptions, readLog } from './log/reader.ts';
export { applyRetention, isRotationDue, putInPlace, type Retention, type Rotation, rotateIn } from './log/rotation.ts';
export { unwritable } from './log/unwritable.ts';
export type { DeniedPacketInput, PacketEnd } from './packet.ts';
export {
  type Allowed,
  type ConnectInput,
  connectAllowed,
  connectDenied,
  connectFailed,
  type Denied,
} from './proxy-decision.ts';
export {
  type EventsDroppedInput,
  eventsDropped,
  type FenceUnloggedInput,
  fenceUnlogged,
  logReaderRestarted,
  type TelemetryGapInput,
  telemetryGap,
} from './record-health.ts';
export { type RulesetChangeInput, rulesetChanged } from './ruleset-change.ts';
export {
  type RunCounts,
  type SandboxStartedInput,
  type SandboxStoppedInput,
  sandboxStarted,
  sandboxStopped,
} from './sandbox-lifecycle.ts';
export type { EventClassUid } from './schema/classes.ts';
export { isEventClassUid } from './schema/table.ts';
export type { ActivityOf, EventOf, IdOf, ObjectOf } from './schema/types.ts';
export { defaultVersion, isSchemaVersion, type SchemaVersion, schemaVersions } from './schema/versions.ts';
export {
  createEventSerializer,
  type EventSerializer,
  type LogParts,
  serializeEvent,
  withLogParts,
} from './serialize.ts';
export { safeText } from './short-text.ts';
export {
  maxShortLength,
  paintSeverity,
  paintVerdict,
  renderShort,
  type ShortFields,
  type ShorthandOptions,
  shortFields,
} from './shorthand.ts';
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
export { allowDirect, allowRequest, type Ports, type Suggestion } from './suggestion.ts';
export { EventSummary, maxDestinations } from './summary/event-summary.ts';
export type { Destination as TriedDestination, EventsSummary, FindingLine, Sender } from './summary/model.ts';
export { renderBrief, renderSummary, type SummaryOptions } from './summary/render.ts';
export type { Completeness } from './summary/run-records.ts';
export { createUidSource, type UidParts } from './uid.ts';
export type { Findings, Problem } from './validate/problem.ts';
export { type ValidateOptions, validateEvent } from './validate/validate-event.ts';
