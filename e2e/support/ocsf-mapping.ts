import type { EventBody } from '../../ocsf/index.ts';

/** What docs/ocsf-mapping.md says of one kind of event. */
export type MappedEvent = {
  /** Its `metadata.event_code`. */
  readonly code: string;
  /** When it is written. */
  readonly when: string;
  /** The sample that stands as its example. */
  readonly sample: string;
  /** What its attributes mean, beside those of {@link commonFields}. `x.*` stands for all that `x` has. */
  readonly fields: Readonly<Record<string, string>>;
};

/** What attributes mean that most events have. */
export const commonFields: Readonly<Record<string, string>> = {
  time: "when it happened or was learnt of, by the host's clock, in epoch milliseconds; it stands first in the line",
  'class_uid, class_name, category_uid, category_name, type_uid, type_name': 'follow from class and activity',
  'activity_id, activity_name': 'what was done; for 99 the name is ours',
  'severity_id, severity': 'how soon a person should look',
  message: 'what happened, in one sentence',
  'status_id, status': 'whether what was tried succeeded: a refusal is a Failure',
  status_code: 'why, for programs',
  status_detail: 'why, and what to change, for people',
  'metadata.version': 'the version of OCSF',
  'metadata.product': 'tapwarden, its version, and in `feature` the part of it that saw the event',
  'metadata.uid': 'unique, and sorted as the log is; the log adds it, as it does the next two',
  'metadata.sequence': 'from 1 in each log, without a gap: a missing number is a missing line',
  'metadata.logged_time': 'when the line was written',
  'metadata.correlation_uid': 'the run: the same from the start of a sandbox to its stop',
  'metadata.event_code': 'what we call the event: the headings below',
  'metadata.log_name': 'the name of the log',
  'metadata.profiles': 'the profiles of which the event has attributes',
  'metadata.labels': '`origin:unverified`, `aggregate`, `loss:possible`',
  'metadata.is_truncated, metadata.untruncated_size': 'there when a text was cut, with the kibibytes before',
  'device.*': 'the sandbox: id, host name, image, kernel; always the host’s word',
  'observables.*': 'values to search for, and where in the event they stand',
  'policy.*': 'the egress policy in force; `version` is the digest of its text',
  'action_id, action': 'Allowed or Denied',
  'disposition_id, disposition': 'Allowed or Blocked',
  is_alert: 'true from severity Medium on',
};

const packet: Readonly<Record<string, string>> = {
  'confidence_id, confidence': 'how sure it is who sent it, Low where nobody is named; that it was refused is certain',
  'observation_point_id, observation_point': 'Source: the fence stands where the packet begins',
  'metadata.log_provider': 'nf_tables, whose rule counted and logged the packet',
  'src_endpoint.*': "the workload's address; `uid` is the sandbox, `interface_name` the way out that was tried",
  'connection_info.*': 'protocol, IP version, direction; `boundary` says whether the destination is outside',
  'traffic.*': 'packets and bytes, with their IP headers',
};

const request: Readonly<Record<string, string>> = {
  'http_request.http_method': 'absent where OCSF does not list it; then it is the name of activity 99',
  'http_request.url.*': 'for a CONNECT host and port; else the whole URL in `url_string`, and its parts',
  'src_endpoint.*': 'the client of the proxy; `uid` is the sandbox',
  'dst_endpoint.*': 'what was asked for, and in `ip` the address that the gateway resolved and checked',
  'connection_info.*': 'always TCP; what the address says, where there is one',
  'proxy_endpoint.name': '`gateway` on the host, or `guest-proxy` in the guest: who decided',
  'firewall_rule.*': "the policy's rule; `default-deny` where none allowed it",
};

const answered = { 'http_response.code': 'what the proxy itself answered; absent where it answered nothing' };

const command: Readonly<Record<string, string>> = {
  'actor.app_name': 'tapwarden, at whose request it ran',
  'process.*': 'command line quoted for a shell, user, directory, pid in the guest; `sandbox` is the sandbox',
  'unmapped.exec.id': 'the exec, by which refused packets name it too',
};

/** The kinds of events, in the order of the page. */
export const mappedEvents: readonly MappedEvent[] = [
  {
    code: 'egress-denied',
    when: 'A packet tried to leave by another way than the proxy, and the fence refused it.',
    sample: 'denied-origin',
    fields: {
      ...packet,
      'firewall_rule.*': 'the rule of the fence that refused; `type` is `reject` or `drop`',
      'raw_data, raw_data_size': "the kernel's line without its prefix; the size is in bytes, before any cut",
      'metadata.log_source, metadata.log_format': 'the kernel log, as the guest read it',
      'metadata.original_event_uid': "the kernel's number of the record",
      'metadata.original_time': "seconds since the guest's boot: the guest's word",
      'actor.user.*': 'owner of the socket, where the kernel named one',
      'actor.process.*':
        'who sent it, where that was found out, with its parents as they started each other; pids are those of the guest',
      'dst_endpoint.*': 'where to; no port where the protocol has none',
      'attacks.*': 'the technique that it would be, were it malicious: of few ports only',
      'unmapped.origin.*':
        'how the sender was found out, why no process is named or why it is less certain, and between which processes it could not be decided; [attribution.md](attribution.md) has the ways and reasons',
      'unmapped.exec.id': 'the exec that the packet mark stands for',
      'unmapped.mark': 'the packet mark',
      'unmapped.icmp.*': 'type and code of an ICMP packet',
    },
  },
  {
    code: 'egress-denied-aggregate',
    when: 'The fence counted refused packets of which no line told: by exec, destination and port while the run goes on, or by kind at its end. The sum of `count` over both codes (1 where it is absent) is the number of packets refused.',
    sample: 'denied-aggregate',
    fields: {
      ...packet,
      count: 'packets, where there are more than one',
      'start_time, end_time, duration': 'the window in which they were refused; `time` is its start',
      'dst_endpoint.*':
        'where to, when they were counted by it; no port where the protocol has none, or it is not known',
      'firewall_rule.*': 'the rule of the fence that refused',
      'attacks.*': 'the technique that one such packet would be, were it malicious: of few destinations only',
      'unmapped.aggregation.*': 'why they have no event of their own, and the window',
      'unmapped.origin.*': 'that the process is not known',
      'unmapped.exec.id': 'the exec that they were counted by',
    },
  },
  {
    code: 'connect-allowed',
    when: 'The policy allowed a request, and the upstream was reached.',
    sample: 'connect-allowed',
    fields: { ...request, ...answered, 'traffic.*': 'payload, as the workload sees it, where it is known' },
  },
  {
    code: 'connect-denied',
    when: 'The policy denied a request. The client got 403 with the same words.',
    sample: 'connect-denied-address',
    fields: { ...request, ...answered, 'attacks.*': 'of requests for the cloud metadata service' },
  },
  {
    code: 'connect-failed',
    when: 'The policy allowed a request, and the upstream could not be reached: action Allowed, status Failure.',
    sample: 'connect-failed',
    fields: { ...request, ...answered },
  },
  {
    code: 'exec-launched',
    when: 'A command started in the sandbox.',
    sample: 'exec-launched',
    fields: { ...command, 'launch_type_id, launch_type': 'always Spawn' },
  },
  {
    code: 'exec-exited',
    when: 'A command ended. Its status is Failure unless it exited with 0.',
    sample: 'exec-exited',
    fields: { ...command, exit_code: 'absent where a signal ended it, which `status_code` names' },
  },
  {
    code: 'sandbox-started',
    when: 'The guest, or the supervisor of a jail, has reported, and its fence stands. That there is no virtual machine stands in the message too.',
    sample: 'sandbox-started',
    fields: {
      'app.*': 'tapwarden',
      'unmapped.isolation': '`vm`; or `jail`, which has no virtual machine around it, and no accelerator',
      'unmapped.accelerator': '`kvm`, or `tcg` for emulation',
      'unmapped.image.*': 'the image of the workload',
      'unmapped.attribution':
        'by what it is known whose a refused packet is: `exec-mark`, which was tried with a packet, or `uid` where the kernel cannot',
    },
  },
  {
    code: 'sandbox-stopped',
    when: 'The VM, or the supervisor of a jail, is gone: the last event of a run.',
    sample: 'sandbox-stopped',
    fields: {
      'app.*': 'tapwarden',
      'unmapped.isolation': '`vm`; or `jail`, which has no virtual machine around it, and no accelerator',
      'unmapped.accelerator': '`kvm`, or `tcg` for emulation',
      'unmapped.image.*': 'the image of the workload',
      'unmapped.reason': 'why it stopped',
      'unmapped.incomplete': 'why the record may not tell of every attempt, a code and what happened for each',
      'unmapped.counts.*':
        'requests allowed, packets denied, distinct attempts among them, packets without an event of their own (`lost`, absent where nobody knows), events that were not valid',
      'unmapped.complete': 'whether the record tells of every attempt',
    },
  },
  {
    code: 'fence-unlogged',
    when: 'The fence stands, but the kernel of the guest cannot log, and the caller accepted that (`--allow-unlogged`).',
    sample: 'fence-unlogged',
    fields: {},
  },
  {
    code: 'telemetry-gap',
    when: "Records of the guest's kernel log were overwritten before they were read.",
    sample: 'telemetry-gap',
    fields: {
      'log_name, log_provider': 'the log that has the gap, and who writes it',
      'unmapped.loss.*': 'how many records are missing, and the numbers of the first and the last',
    },
  },
  {
    code: 'canary-missed',
    when: 'A packet by which the fence is tried was not refused, logged, read or told of: attempts may go untold. One finding is opened, updated while it stays so, and closed when canaries are seen again.',
    sample: 'canary-missed',
    fields: {
      'finding_info.*': 'the finding, the same `uid` in all its events; since when',
      'confidence_id, confidence': 'High',
      'remediation.desc': 'what to do',
      'unmapped.canary.*':
        '`link`: what broke, `sent`, `refused`, `logged`, `read` or `reported`; the packet; how many rounds were missed. All but `reported` is the guest’s word',
    },
  },
  {
    code: 'log-reader-restarted',
    when: "The reader of the guest's kernel log ended, by an overrun or by force, and another one went on.",
    sample: 'log-reader-restarted',
    fields: {
      'log_name, log_provider': 'the log that is read, and who writes it',
      'unmapped.restart.*':
        'the numbers of the last record before and the first after, how many are missing between, and for how long nobody read',
    },
  },
  {
    code: 'events-dropped',
    when: 'The disk took no events for a while, and more came than can be held. Written when it takes events again.',
    sample: 'events-dropped',
    fields: {
      'log_name, log_provider': 'the log that they are missing in, and who writes it',
      'unmapped.loss.*': 'how many are missing',
    },
  },
  {
    code: 'event-invalid',
    when: 'An event was not valid OCSF when it was about to be written, which is a mistake of ours, or none could be made of what the guest told. It is neither lost nor passed off as valid: this one carries it.',
    sample: 'event-invalid',
    fields: {
      'unmapped.invalid.*': 'how many errors there are, and the first of them, each with its path and rule',
      'unmapped.event.*': 'the event, or what it was to be made from, cut to a bounded size',
    },
  },
  {
    code: 'finding',
    when: 'What follows from several events, or from one that is grave. One stands for a whole burst: it is opened (Create), updated while the burst grows, and closed.',
    sample: 'finding-scan',
    fields: {
      'confidence_id, confidence': 'Medium where it rests on what the guest tells, High where the host saw it itself',
      'finding_info.uid': 'the same in all events of a finding',
      'finding_info.types, finding_info.analytic.*':
        '`bypass-burst` (100 refused packets within 10 s), `network-scan` (32 destinations and ports within a minute), `metadata-access` (3 attempts within a minute), `fence-bypassed` (the host dropped what the fence of the guest lets nobody send), `ruleset-changed`, `log-forged` (lines of the kernel log that look like the fence’s and are not)',
      'finding_info.title, finding_info.desc, remediation.desc': 'what it means, and what to do',
      'finding_info.created_time, finding_info.first_seen_time, finding_info.last_seen_time':
        'of what it rests on, in epoch milliseconds',
      'finding_info.related_events.*, finding_info.related_events_count':
        'the first 20 events that it rests on, by their `metadata.uid`, and how many there are',
      'finding_info.attacks.*': 'of a scan, of access to a metadata service, and of a changed ruleset',
      'unmapped.evidence.*':
        'packets and targets, what the host dropped by counter, or forged lines by who made them; `origin` says whose word it is, `guest` or `host`',
    },
  },
  {
    code: 'ruleset-changed',
    when: 'A ruleset that fences the sandbox, or the switch of the guest’s log, is not as it was set, whoever changed it; it was put right, or could not be.',
    sample: 'ruleset-changed',
    fields: {
      'state_id, state': 'Enabled where it stands again, else Disabled',
      'security_level_id, security_level, prev_security_level_id, prev_security_level':
        'At Risk where it stands again, else Compromised',
      'unmapped.ruleset.*':
        '`where` (`slot` on the host, `fence`, `guest` and `log-switch` in the guest), what is missing (`-`) and what was added (`+`), how many such lines, and how many milliseconds it took to load it again',
    },
  },
];

/** The generated part of docs/ocsf-mapping.md. */
export function renderMapping(samples: Readonly<Record<string, EventBody>>): string {
  const sections = mappedEvents.map(({ code, when, sample, fields }) => {
    const event = samples[sample];
    if (event === undefined) throw new Error(`There is no sample ${sample}`);
    const example = JSON.stringify(event, null, 2);
    const title = `${event.class_name} ${event.class_uid}, ${activitiesOf(code, samples)}`;
    const own = Object.keys(fields).length === 0 ? [] : [...table(fields), ''];
    return [`### ${code}`, '', `${title}. ${when}`, '', ...own, '```json', example, '```', ''].join('\n');
  });
  return [
    '### Attributes of most events',
    '',
    ...table(commonFields),
    '',
    ...sections.flatMap((section) => section.split('\n')),
  ]
    .join('\n')
    .trimEnd();
}

function table(fields: Readonly<Record<string, string>>): readonly string[] {
  return [
    '| attribute | meaning |',
    '|---|---|',
    ...Object.entries(fields).map(([names, meaning]) => {
      const quoted = names.split(', ').map((name) => `\`${name}\``);
      return `| ${quoted.join(', ')} | ${meaning} |`;
    }),
  ];
}

/** The activities that samples of a code have. Example: `activity 1 Connect, 3 Get`. */
function activitiesOf(code: string, samples: Readonly<Record<string, EventBody>>): string {
  const events = Object.entries(samples)
    .filter(([name, { metadata }]) => metadata.event_code === code && !name.includes('hostile'))
    .map(([, event]) => event);
  const found = new Map(events.map((event) => [event.activity_id, `${event.activity_id} ${event.activity_name}`]));
  return `activity ${[...found.values()].sort().join(', ')}`;
}
