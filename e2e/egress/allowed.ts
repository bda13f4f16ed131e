import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type LoggedEvent, withCode } from '../support/record.ts';
import type { Bench } from '../support/sandbox-bench.ts';
import { closedPort, startEchoUpstream, startHttpUpstream } from '../support/upstream.ts';

const workload = readFileSync('e2e/egress/testdata/requests.py', 'utf8');

/** What curl said: the body, its codes of the response and of the CONNECT, and its exit status. */
type CurlAnswer = { readonly body: string; readonly codes: string; readonly status: number };
type Answer = { readonly status: number; readonly body: string };

/** What testdata/requests.py prints. */
type Report = Readonly<Record<string, CurlAnswer>> & {
  readonly 'kept-alive': readonly Answer[];
  readonly echo: Answer;
  readonly environment: Readonly<Record<string, string | null>>;
};

/** What the policy allows arrives, all else gets 403, and both are events. */
export async function passesWhatIsAllowed(t: ExecutionContext, bench: Bench): Promise<void> {
  const upstream = await startHttpUpstream();
  // Nobody may reach this one: a test that only looks at the answer would not see a request that arrived all the same.
  const other = await startHttpUpstream();
  const echo = await startEchoUpstream();
  const closed = await closedPort();
  const policy = join(bench.folder, 'policy.yaml');
  await writeFile(
    policy,
    `version: 1
resolve:
  upstream.test: 127.0.0.1
  sneaky.test: 127.0.0.1
rules:
  - name: upstream
    hosts: [upstream.test]
    addresses: [127.0.0.1]
    ports: [${upstream.port}, ${echo.port}, ${closed}]
  - name: sneaky
    hosts: [sneaky.test]
    ports: [${other.port}]
`,
  );
  const ports = [upstream.port, other.port, echo.port, closed, other.port].map(String);
  const { status, stdout, stderr, result, events } = await bench.run(
    ['--policy', policy, '--', 'python3', '-', ...ports],
    { input: workload },
  );
  await Promise.all([upstream.close(), other.close(), echo.close()]);
  t.is(status, 0, stderr);
  const report = JSON.parse(stdout.toString('utf8')) as Report;
  const host = `upstream.test:${upstream.port}`;

  // What arrives, with the Host of the URI whatever the client wrote.
  t.deepEqual(report['allowed'], { body: `hello from ${host} /a?b=c\n`, codes: '200 000', status: 0 });
  t.deepEqual(report['allowed-post'], { body: `hello from ${host} /post\n`, codes: '200 000', status: 0 });
  t.deepEqual(report['tunnel'], { body: `hello from ${host} /tunnelled\n`, codes: '200 200', status: 0 });
  t.deepEqual(report.echo, { status: 200, body: 'HELLO THROUGH THE TUNNEL' });
  t.deepEqual(
    upstream.arrived.map(({ method, url, host: name, body }) => [method, url, name, body]),
    [
      ['GET', '/a?b=c', host, ''],
      ['POST', '/post', host, 'x=1'],
      ['GET', '/tunnelled', host, ''],
      ['GET', '/first', host, ''],
      ['GET', '/third', host, ''],
    ],
  );
  t.deepEqual(other.arrived, [], 'nothing that was denied arrived');

  // What is denied, with a code that says why.
  t.deepEqual(denialOf(report['other-port']), ['403 000', 'PORT_NOT_ALLOWED', 'guest-proxy']);
  t.deepEqual(denialOf(report['other-host']), ['403 000', 'HOST_NOT_ALLOWED', 'guest-proxy']);
  t.deepEqual(denialOf(report['loopback-name']), ['403 000', 'ADDRESS_FORBIDDEN', 'gateway']);
  t.deepEqual(denialOf(report['loopback-address']), ['403 000', 'ADDRESS_NOT_ALLOWED', 'guest-proxy']);
  t.deepEqual(denialOf(report['unreachable']), ['502 000', 'UPSTREAM_UNREACHABLE', 'gateway']);
  t.is(report['tunnel-refused']?.codes, '000 403');
  t.deepEqual(denialOf(report['loopback-mapped']), ['403 000', 'PORT_NOT_ALLOWED', 'guest-proxy']);
  t.deepEqual(
    report['kept-alive'].map((answer) => answer.status),
    [200, 403, 200],
  );
  for (const name of ['two-lengths', 'origin-form']) t.is((report[name] as unknown as Answer).status, 400, name);
  const proxy = 'http://10.200.0.1:3128';
  t.deepEqual(report.environment, {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: 'localhost,127.0.0.1,::1',
    NODE_USE_ENV_PROXY: '1',
  });

  // The same as events: each well-formed request once, whichever of the two proxies answered it.
  t.deepEqual(withCode(events, 'connect-allowed').map(targetOf), [
    `Get ${host}`,
    `Post ${host}`,
    `Connect ${host}`,
    `Get ${host}`,
    `Get ${host}`,
    `Connect upstream.test:${echo.port}`,
  ]);
  t.true(withCode(events, 'connect-allowed').every(({ firewall_rule: rule }) => rule?.name === 'upstream'));
  t.true(withCode(events, 'connect-allowed').every(({ dst_endpoint: end }) => end?.ip === '127.0.0.1'));
  t.deepEqual(withCode(events, 'connect-denied').map(targetOf), [
    `Get upstream.test:${other.port}`,
    'Get evil.test:80',
    `Get sneaky.test:${other.port}`,
    `Get 127.0.0.2:${other.port}`,
    `Get ::ffff:127.0.0.1:${other.port}`,
    'Connect evil.test:80',
    'Get evil.test:80',
  ]);
  t.deepEqual(withCode(events, 'connect-failed').map(targetOf), [`Get upstream.test:${closed}`]);
  t.deepEqual(
    [...withCode(events, 'connect-denied'), ...withCode(events, 'connect-failed')].map(
      ({ class_uid: uid, http_response: answered }) => [uid, answered?.code],
    ),
    [...Array.from({ length: 7 }, () => [4002, 403]), [4002, 502]],
  );
  t.is(withCode(events, 'connect-allowed')[0]?.http_request?.url.url_string, `http://${host}/a?b=c`);
  t.is(withCode(events, 'connect-denied').at(-1)?.http_request?.url.url_string, 'http://evil.test:80/second');
  t.is(result?.allowed, 6);
  t.deepEqual([result?.denied, result?.attempts, result?.lost], [0, 0, 0], 'nothing went around the proxy');
  t.regex(stderr, /6 requests allowed, 7 denied; 0 packets refused/);
}

function denialOf(answer: CurlAnswer | undefined): readonly (string | undefined)[] {
  const body = answer?.body.startsWith('{')
    ? (JSON.parse(answer.body) as { error: { code: string; by: string } })
    : undefined;
  return [answer?.codes, body?.error.code, body?.error.by];
}

function targetOf({ activity_name: activity, dst_endpoint: end }: LoggedEvent): string {
  return `${activity} ${end?.hostname ?? end?.ip}:${end?.port}`;
}
