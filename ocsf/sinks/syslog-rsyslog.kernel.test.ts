import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { isTapwardenError } from '../../base/index.ts';
import {
  freePort,
  makeCertificate,
  type Peer,
  peerTest,
  scratchFolder,
  startPeer,
  textOf,
} from '../../e2e/support/peer.ts';
import { assertArrived, eventCount, eventLines, shipThroughKills } from '../../e2e/support/ship-through.ts';
import { openTransport } from './open-transport.ts';
import { outgoingEvent } from './outgoing-event.ts';
import { parseSinkAddress } from './sink-address.ts';

type Files = { readonly cert: string; readonly key: string };

/**
 * rsyslog that writes the message of each record, and nothing else, to a file. The buffer holds a whole transaction, so
 * that a kill hardly ever cuts a line in the file.
 */
async function startRsyslog(
  t: ExecutionContext,
  folder: string,
  template: string,
  tls?: Files,
): Promise<{ readonly peer: Peer; readonly port: number; readonly output: string }> {
  const port = await freePort();
  const output = join(folder, 'received');
  const config = join(folder, 'rsyslog.conf');
  const driver =
    tls === undefined
      ? ''
      : `DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="${tls.cert}" DefaultNetstreamDriverCertFile="${tls.cert}" DefaultNetstreamDriverKeyFile="${tls.key}"`;
  const mode = tls === undefined ? '' : 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"';
  await writeFile(
    config,
    `global(workDirectory="${folder}" maxMessageSize="1m" ${driver})
module(load="imtcp" ${mode})
template(name="message" type="string" string="${template}\\n")
ruleset(name="ocsf") { action(type="omfile" file="${output}" template="message" ioBufferSize="1m") }
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="ocsf")
`,
  );
  const peer = await startPeer(t, ['rsyslogd', '-n', '-f', config, '-i', join(folder, 'rsyslog.pid')], port);
  return { peer, port, output };
}

/** The lines of a file once there are `count` different ones that count. rsyslog writes them some time after it read them. */
async function linesOf(
  path: string,
  count: number,
  counts: (line: string) => boolean = () => true,
): Promise<readonly string[]> {
  for (let tries = 0; ; tries += 1) {
    const lines = (await textOf(path)).trimEnd().split('\n');
    if (new Set(lines.filter(counts)).size >= count || tries === 100) return lines;
    await sleep(50);
  }
}

function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

for (const secure of [false, true]) {
  const scheme = secure ? 'syslog+tls' : 'syslog+tcp';
  const programs = secure ? ['rsyslogd', 'openssl'] : ['rsyslogd'];
  peerTest(programs, `${scheme}: rsyslog is killed twice, and all events arrive`, async (t) => {
    const folder = await scratchFolder(t);
    const tls = secure ? await makeCertificate(folder, 'rsyslog') : undefined;
    const { peer, port, output } = await startRsyslog(t, folder, '%msg%', tls);
    const lines = eventLines(eventCount);
    const settings = tls === undefined ? {} : { ca: tls.cert };
    await shipThroughKills(t, { lines, to: `${scheme}://127.0.0.1:${port}`, settings, folder, peer });
    const received = await linesOf(output, lines.length, isWhole);
    // What rsyslog was killed in the midst of writing is sent again; the next line follows on the same one.
    const whole = received.filter(isWhole);
    t.true(received.length - whole.length <= 2, 'a line for each time that it was killed');
    assertArrived(t, lines, whole);
  });
}

peerTest(
  ['rsyslogd'],
  'syslog+tcp: rsyslog reads facility, severity, time, name and class from the header',
  async (t) => {
    const folder = await scratchFolder(t);
    const header =
      '%syslogfacility-text% %syslogseverity-text% %timereported:::date-rfc3339% %app-name% %msgid% %procid%';
    const { port, output } = await startRsyslog(t, folder, `${header} %msg%`);
    const json = '{"time":1790000000123,"class_name":"Network Activity","severity_id":5,"message":"⛔ a  b"}';
    const address = parseSinkAddress(`syslog+tcp://127.0.0.1:${port}`);
    const transport = await openTransport(address, {}, { stream: process.stdout, onGone: () => undefined });
    await transport.send([outgoingEvent(JSON.parse(json), Buffer.from(json))], new AbortController().signal);
    await transport.close();
    t.deepEqual(await linesOf(output, 1), [
      `local0 crit 2026-09-21T14:13:20.123Z tapwarden network_activity - ${json}`,
    ]);
  },
);

peerTest(
  ['rsyslogd', 'openssl'],
  'syslog+tls: a receiver whose certificate is not vouched for gets nothing',
  async (t) => {
    const folder = await scratchFolder(t);
    const tls = await makeCertificate(folder, 'rsyslog');
    const other = await makeCertificate(folder, 'other');
    const { port, output } = await startRsyslog(t, folder, '%msg%', tls);
    const address = parseSinkAddress(`syslog+tls://127.0.0.1:${port}`);
    const transport = await openTransport(
      address,
      { ca: other.cert },
      { stream: process.stdout, onGone: () => undefined },
    );
    const error = await t.throwsAsync(
      transport.send([outgoingEvent({}, Buffer.from('{}'))], new AbortController().signal),
      { message: /self-signed certificate/ },
    );
    t.true(isTapwardenError(error, 'SINK_UNAVAILABLE'));
    await transport.close();
    t.is(await textOf(output), '');
  },
);
