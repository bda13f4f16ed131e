import type { IncomingMessage } from 'node:http';
import { admit, refuseFailed } from './admit.ts';
import { renderAnswer } from './answer.ts';
import type { Connection } from './connection.ts';
import type { Context } from './context.ts';
import { readRequestHead } from './headers.ts';
import type { ProxyRequest } from './model.ts';
import { splice } from './splice.ts';
import { parseConnectTarget } from './target.ts';

/** Serves one CONNECT request, to the end of its tunnel. `clientHead` is what the client sent after the request head. */
export async function serveConnect(
  context: Context,
  connection: Connection,
  incoming: IncomingMessage,
  clientHead: Buffer,
): Promise<void> {
  const { httpVersion, rawHeaders, url = '' } = incoming;
  const head = readRequestHead({ method: 'CONNECT', httpVersion, rawHeaders });
  if ('code' in head) return connection.refuse(head);
  const target = parseConnectTarget(url);
  if (target.kind === 'bad') return connection.refuse(target.problem);
  const exchange = connection.begin();
  if (exchange === undefined) return;
  const request: ProxyRequest = { kind: 'connect', ...target.value, method: 'CONNECT', client: connection.client };
  try {
    const admission = await admit(context, request, exchange);
    if (admission.kind === 'refused') {
      context.report.outcome(admission.outcome);
      return connection.endWith(renderAnswer(admission.answer));
    }
    const { rule, socket: upstream, address, head: upstreamHead } = admission;
    const resolved = address === undefined ? {} : { resolvedAddress: address };
    if (!context.report.outcome({ request, by: context.name, result: 'open', status: 200, rule, ...resolved })) {
      upstream.destroy();
      const message = 'The request could not be recorded';
      return connection.endWith(
        renderAnswer(refuseFailed(context, request, rule, { code: 'PROXY_INTERNAL', message }).answer),
      );
    }
    const begun = context.now();
    connection.socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    const ends = { client: connection.socket, clientHead, upstream, upstreamHead };
    const spliced = await splice(ends, exchange.signal);
    context.report.closed({ request, ...spliced, durationMs: context.now() - begun });
  } finally {
    exchange.end();
  }
}
