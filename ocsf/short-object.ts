import { at, numberAt, prefixed, safeText, shortLimits, textAt, wordAt } from './short-text.ts';

const { target } = shortLimits;
const maxAnswers = 4;
const maxStates = 4;

/** What an event is about, in words that are safe to print, in order. Empty where the event names no object. */
export function objectOf(event: object): readonly string[] {
  return objects[numberAt(event, 'class_uid') ?? -1]?.(event) ?? processObject(event) ?? networkObject(event);
}

/**
 * The objects of the classes, by `class_uid`; `undefined` where an event of the class does not name what is usual. The
 * class alone decides, so that a request does not look like a packet because it has an address too.
 */
const objects: Readonly<Record<number, (event: object) => readonly string[] | undefined>> = {
  0: carriedObject,
  1007: processObject,
  1008: eventLogObject,
  2004: findingObject,
  4001: networkObject,
  4002: httpObject,
  4003: dnsObject,
  5019: configObject,
  6002: applicationObject,
};

function processObject(event: object): readonly string[] | undefined {
  // A command of no words is a command too, and is shown as such.
  const commandLine = at(event, 'process.cmd_line');
  const command =
    typeof commandLine === 'string'
      ? safeText(commandLine, target)
      : textAt(event, ['process.name', 'process.file.path', 'process.pid'], target);
  return command === undefined ? undefined : [command, ...prefixed('', textAt(event, 'status_code'))];
}

function networkObject(event: object): readonly string[] {
  const end = endOf(event, 'dst_endpoint');
  const protocol = protocolOf(event);
  if (end === undefined && protocol === undefined) return [];
  return [protocol ?? '-', end ?? '(no destination)', ...viaOf(event)];
}

function httpObject(event: object): readonly string[] | undefined {
  // A method that OCSF has no activity for stands in the name of the activity alone.
  const method = textAt(event, ['http_request.http_method', 'activity_name']);
  const url = urlOf(event) ?? endOf(event, 'dst_endpoint');
  if (method === undefined && url === undefined) return undefined;
  const answer = numberAt(event, 'http_response.code');
  return [method ?? '-', url ?? '(no URL)', ...prefixed('answer=', answer), ...viaOf(event)];
}

/** The URL, or the parts of it that the event has. */
function urlOf(event: object): string | undefined {
  const whole = at(event, 'http_request.url.url_string');
  if (typeof whole === 'string' && whole !== '') return safeText(whole, target);
  const [scheme, hostname, path] = ['scheme', 'hostname', 'path'].map((key) => {
    const value = at(event, `http_request.url.${key}`);
    return typeof value === 'string' && value !== '' ? value : undefined;
  });
  if (hostname === undefined) return path === undefined ? undefined : safeText(path, target);
  const port = numberAt(event, 'http_request.url.port');
  const host = hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname;
  return safeText(
    `${scheme === undefined ? '' : `${scheme}://`}${host}${port === undefined ? '' : `:${port}`}${path ?? ''}`,
    target,
  );
}

function dnsObject(event: object): readonly string[] | undefined {
  const name = textAt(event, 'query.hostname', target);
  if (name === undefined) return undefined;
  const answers = at(event, 'answers');
  const data = Array.isArray(answers)
    ? answers.slice(0, maxAnswers).flatMap((_, index) => prefixed('', textAt(event, `answers.${index}.rdata`)))
    : [];
  const more = Array.isArray(answers) && answers.length > maxAnswers ? [`+${answers.length - maxAnswers}`] : [];
  return [
    textAt(event, 'query.type') ?? '-',
    name,
    ...prefixed('', textAt(event, ['rcode', 'rcode_id'])),
    ...[data.length === 0 ? [] : [`answers=${data.join(',')}`], more].flat(),
    ...prefixed('at ', endOf(event, 'dst_endpoint')),
  ];
}

function findingObject(event: object): readonly string[] | undefined {
  const title = textAt(event, ['finding_info.title', 'finding_info.uid'], target);
  if (title === undefined) return undefined;
  const protocol = textAt(event, 'evidences.0.connection_info.protocol_name');
  const end = endOf(event, 'evidences.0.dst_endpoint');
  const related = at(event, 'finding_info.related_events');
  const count = numberAt(event, 'finding_info.related_events_count');
  return [
    title,
    ...(end === undefined ? [] : [`to ${[protocol, end].filter((part) => part !== undefined).join(' ')}`]),
    ...prefixed('finding=', textAt(event, 'finding_info.uid')),
    ...prefixed('events=', count ?? (Array.isArray(related) ? related.length : undefined)),
  ];
}

function configObject(event: object): readonly string[] | undefined {
  const [before, after] = [wordAt(event, 'prev_security_level'), wordAt(event, 'security_level')];
  const states = at(event, 'security_states');
  const words = Array.isArray(states)
    ? states.slice(0, maxStates).flatMap((_, index) => prefixed('', wordAt(event, `security_states.${index}.state`)))
    : [];
  const parts = [
    ...prefixed('', wordAt(event, 'state')),
    ...prefixed('level=', before === undefined || after === undefined ? after : `${before}->${after}`),
    ...(words.length === 0 ? [] : [`states=${words.join(',')}`]),
  ];
  return parts.length === 0 ? undefined : parts;
}

function eventLogObject(event: object): readonly string[] | undefined {
  const name = textAt(event, ['log_name', 'unmapped.loss.source', 'metadata.log_source', 'metadata.log_name']);
  if (name === undefined) return undefined;
  const [first, last] = [numberAt(event, 'unmapped.loss.first'), numberAt(event, 'unmapped.loss.last')];
  return [
    name,
    ...prefixed(
      'missing=',
      numberAt(event, 'unmapped.loss.missing_records') ?? numberAt(event, 'unmapped.loss.missing_events'),
    ),
    ...(first === undefined || last === undefined ? [] : [`records=${first}-${last}`]),
  ];
}

/** The event that a Base Event carries because it is not valid. */
function carriedObject(event: object): readonly string[] | undefined {
  const errors = numberAt(event, 'unmapped.invalid.errors');
  if (errors === undefined) return undefined;
  return ['an-event', ...prefixed('class=', textAt(event, 'unmapped.event.class_uid')), `errors=${errors}`];
}

/** The application of a lifecycle event, unless it is the program that writes the log: then the sandbox is the object. */
function applicationObject(event: object): readonly string[] {
  const name = at(event, 'app.name');
  if (name === undefined || name === at(event, 'metadata.product.name')) return [];
  return [...prefixed('', textAt(event, 'app.name')), ...prefixed('', textAt(event, 'app.version'))];
}

/** Host and port of the endpoint at a path, or `undefined` where it names no host. */
export function endOf(event: object, path: string): string | undefined {
  const ip = textAt(event, `${path}.ip`);
  const name = textAt(
    event,
    [`${path}.hostname`, ...(ip === undefined ? [`${path}.domain`, `${path}.name`] : [])],
    target,
  );
  const port = numberAt(event, `${path}.port`);
  if (name === undefined && ip === undefined) return undefined;
  if (port === undefined) return name ?? ip;
  return `${name ?? (ip?.includes(':') === true ? `[${ip}]` : ip)}:${port}`;
}

function protocolOf(event: object): string | undefined {
  const name = textAt(event, ['connection_info.protocol_name', 'connection_info.protocol_num']);
  return name !== undefined && /^\d+$/.test(name) ? `protocol-${name}` : name;
}

function viaOf(event: object): readonly string[] {
  return prefixed('via ', textAt(event, ['proxy_endpoint.name', 'proxy_endpoint.hostname', 'proxy_endpoint.ip']));
}
