import { type IncomingMessage, request as requestHttp } from 'node:http';
import { type Admitted, admit, type Refusal, refuseByGateway, refuseFailed, refuseThrown } from './admit.ts';
import { answerProblem, type Problem } from './answer.ts';
import { isGatewayAnswer, readGatewayAnswer } from './chain.ts';
import type { Exchange } from './connection.ts';
import type { Context } from './context.ts';
import { forwardRequestHeaders, judgeResponseHead, type RequestHead, readRequestHead } from './headers.ts';
import type { ProxyRequest } from './model.ts';
import { type Pair, partsOf, relayResponse, sendAnswer } from './relay.ts';
import { parseAbsoluteTarget, renderAuthority, type Target } from './target.ts';
import { UpstreamError } from './upstream-error.ts';

/** Serves one request other than CONNECT: decides it, sends it on, and relays the response. */
export async function serveHttp(context: Context, pair: Pair): Promise<void> {
  const { connection } = pair;
  const exchange = connection.begin();
  if (exchange === undefined) return;
  try {
    const judged = judge(pair.incoming);
    if ('code' in judged) {
      const answer = answerProblem(context.name, judged);
      const { code, reason } = judged;
      context.report.invalid({ client: connection.client, status: answer.status, code, reason });
      return await sendAnswer(pair, answer, { hasBody: true, close: true });
    }
    const { head, target } = judged;
    const { host, port, path } = target;
    const method = pair.incoming.method ?? '';
    const request: ProxyRequest = { kind: 'http', host, port, method, path, client: connection.client };
    const admission = await admit(context, request, exchange);
    const work = { context, exchange, pair, head, target, request };
    if (admission.kind === 'refused') await refuse(work, admission);
    else await forward(work, admission);
  } finally {
    exchange.end();
  }
}

/** A request in work and all that belongs to it. */
type Work = {
  readonly context: Context;
  readonly exchange: Exchange;
  readonly pair: Pair;
  readonly head: RequestHead;
  readonly target: Target;
  readonly request: ProxyRequest;
};

function judge(incoming: IncomingMessage): { readonly head: RequestHead; readonly target: Target } | Problem {
  const { httpVersion, rawHeaders, url = '', method = '' } = incoming;
  const target = parseAbsoluteTarget(url, method);
  if (target.kind === 'bad') return target.problem;
  const head = readRequestHead({ method, httpVersion, rawHeaders });
  return 'code' in head ? head : { head, target: target.value };
}

async function refuse(work: Work, refusal: Refusal): Promise<void> {
  work.context.report.outcome(refusal.outcome);
  await sendAnswer(work.pair, refusal.answer, { hasBody: hasBody(work), close: false });
}

async function forward(work: Work, admitted: Admitted): Promise<void> {
  const { context, exchange, pair, request } = work;
  const begun = context.now();
  const up = { bytes: 0 };
  // Over the gateway the request is open when the gateway has let it through, which its answer tells.
  const chained = context.upstream.kind === 'chain';
  let open = false;
  let closing = { bytesDown: 0, complete: false };
  let status: number | undefined;
  try {
    if (!chained) {
      if (!reportOpen(work, admitted)) return await answerUnrecorded(work, admitted);
      open = true;
    }
    const response = await send(work, admitted, up);
    if (chained) {
      if (isGatewayAnswer(response)) {
        const { answer, denial } = await readGatewayAnswer(response, exchange.signal);
        return await refuse(work, refuseByGateway(request, admitted.rule, answer, denial));
      }
      if (!reportOpen(work, admitted)) return await answerUnrecorded(work, admitted);
      open = true;
    }
    const broken = judgeResponseHead(partsOf(response));
    if (broken !== undefined) {
      throw new UpstreamError('UPSTREAM_MALFORMED', `The response of the upstream is refused: ${broken}`);
    }
    status = response.statusCode ?? 0;
    closing = await relayResponse(context, pair, response, {
      hasBody: hasBody(work),
      upstream: admitted.socket,
      signal: exchange.signal,
    });
  } catch (thrown) {
    admitted.socket.destroy();
    const refusal = refuseThrown(context, request, admitted.rule, thrown);
    if (!open) return await refuse(work, refusal);
    if (!pair.incoming.socket.destroyed) status = refusal.answer.status;
    await sendAnswer(pair, refusal.answer, { hasBody: hasBody(work), close: true });
  } finally {
    admitted.socket.destroy();
    if (open) {
      const durationMs = context.now() - begun;
      context.report.closed({
        request,
        bytesUp: up.bytes,
        ...closing,
        durationMs,
        ...(status === undefined ? {} : { status }),
      });
    }
  }
}

function reportOpen({ context, request }: Work, { rule, address }: Admitted): boolean {
  const resolved = address === undefined ? {} : { resolvedAddress: address };
  return context.report.outcome({ request, by: context.name, result: 'open', rule, ...resolved });
}

async function answerUnrecorded(work: Work, { rule }: Admitted): Promise<void> {
  const failure = { code: 'PROXY_INTERNAL', message: 'The request could not be recorded' } as const;
  const { answer } = refuseFailed(work.context, work.request, rule, failure);
  await sendAnswer(work.pair, answer, { hasBody: hasBody(work), close: true });
}

/** Sends the request over the admitted connection and waits for the head of the response; the body goes on beside. */
function send(work: Work, { socket }: Admitted, up: { bytes: number }): Promise<IncomingMessage> {
  const { context, exchange, pair, head, target, request } = work;
  const { incoming, outgoing } = pair;
  const { method } = request;
  const chained = context.upstream.kind === 'chain';
  return new Promise((resolve, reject) => {
    const upstream = requestHttp({
      method,
      path: chained ? absoluteForm(target) : target.path,
      headers: forwardRequestHeaders(
        { method, httpVersion: incoming.httpVersion, rawHeaders: incoming.rawHeaders },
        head,
        target,
        context.name,
      ),
      createConnection: () => socket,
      maxHeaderSize: context.limits.maxHeaderBytes,
      insecureHTTPParser: false,
      joinDuplicateHeaders: false,
    });
    exchange.signal.addEventListener('abort', () => reject(exchange.signal.reason), { once: true });
    if (exchange.signal.aborted) reject(exchange.signal.reason);
    upstream.once('response', resolve);
    upstream.on('continue', () => {
      if (head.expectsContinue && !outgoing.headersSent) outgoing.writeContinue();
    });
    upstream.once('upgrade', (_response, switched) => {
      switched.destroy();
      reject(new UpstreamError('UPSTREAM_MALFORMED', 'The upstream changed the protocol unasked'));
    });
    upstream.on('error', (cause: NodeJS.ErrnoException) => reject(sendError(chained, cause)));
    if (!hasBody(work)) {
      upstream.end();
      return;
    }
    // The head must not wait for the body: the client may wait for 100 Continue.
    upstream.flushHeaders();
    incoming.on('error', () => upstream.destroy());
    incoming.on('data', (chunk: Buffer) => {
      up.bytes += chunk.length;
    });
    incoming.pipe(upstream);
  });
}

function sendError(chained: boolean, cause: NodeJS.ErrnoException): UpstreamError {
  if (chained) return new UpstreamError('GATEWAY_UNREACHABLE', 'The gateway broke off', cause);
  const malformed = cause.code?.startsWith('HPE_') ?? false;
  return malformed
    ? new UpstreamError('UPSTREAM_MALFORMED', 'The response of the upstream is not valid HTTP', cause)
    : new UpstreamError('UPSTREAM_UNREACHABLE', 'The upstream broke off before it answered', cause);
}

function absoluteForm(target: Target): string {
  return `http://${renderAuthority(target, 80)}${target.path === '*' ? '' : target.path}`;
}

function hasBody({ head }: Work): boolean {
  return head.framing.kind !== 'none';
}
