import type { Socket } from 'node:net';
import { assertNever } from '../base/index.ts';
import { type Answer, answerDenial, answerProblem, type ProblemCode, problem } from './answer.ts';
import { connectThroughGateway, dialGateway } from './chain.ts';
import { type Exchange, Stopped } from './connection.ts';
import type { Context } from './context.ts';
import {
  type Denial,
  DialError,
  type DialFailure,
  type Dialled,
  type Failure,
  type Outcome,
  type ProxyRequest,
  type Verdict,
} from './model.ts';
import { unlessAborted } from './unless-aborted.ts';
import { UpstreamError } from './upstream-error.ts';

/** A request that may go out, with the connection that it goes out by. `head` came from the upstream already. */
export type Admitted = {
  readonly kind: 'admitted';
  readonly rule: string;
  readonly socket: Socket;
  readonly address?: string;
  readonly head: Buffer;
};

/** A request that may not, or cannot, with what the client and the caller of the proxy are told. */
export type Refusal = { readonly kind: 'refused'; readonly answer: Answer; readonly outcome: Outcome };

/** The status in an {@link Outcome} of a client that left before its answer; nobody is sent it. */
export const clientGoneStatus = 499;

/**
 * Decides a request and connects it, within `connectTimeoutMs` for both. It throws nothing: what goes wrong is a
 * refusal, so that a request is never let through by an error.
 */
export async function admit(context: Context, request: ProxyRequest, exchange: Exchange): Promise<Admitted | Refusal> {
  const { connectTimeoutMs } = context.limits;
  const timer = setTimeout(() => {
    const reason = `No connection to the upstream within ${connectTimeoutMs / 1000} s`;
    exchange.stop(problem('UPSTREAM_TIMEOUT', reason, 'Try again, or check that the upstream is up.'));
  }, connectTimeoutMs);
  let rule: string | undefined;
  try {
    const verdict = await unlessAborted(exchange.signal, decide(context, request));
    if (verdict.kind === 'deny') {
      const denial = { code: verdict.code, reason: verdict.reason, hint: verdict.hint };
      const answer = answerDenial(context.name, denial, request);
      return {
        kind: 'refused',
        answer,
        outcome: { request, by: context.name, result: 'denied', status: answer.status, denial },
      };
    }
    rule = verdict.rule;
    return await connect(context, request, rule, exchange.signal);
  } catch (thrown) {
    return refuseThrown(context, request, rule, thrown);
  } finally {
    clearTimeout(timer);
  }
}

/** The refusal that tells `code` and `message` to the client, as a failure by this proxy. */
export function refuseFailed(
  context: Context,
  request: ProxyRequest,
  rule: string | undefined,
  failure: Failure & { readonly code: ProblemCode },
): Refusal {
  const answer = answerProblem(
    context.name,
    problem(failure.code, failure.message, hints[failure.code] ?? ''),
    request,
  );
  return {
    kind: 'refused',
    answer,
    outcome: { request, by: context.name, result: 'failed', status: answer.status, failure, ...ruleOf(rule) },
  };
}

/** The refusal for what was thrown while a request was decided, connected or sent. */
export function refuseThrown(
  context: Context,
  request: ProxyRequest,
  rule: string | undefined,
  thrown: unknown,
): Refusal {
  if (thrown instanceof DialError) return refuseDial(context, request, rule, thrown.failure);
  if (thrown instanceof Stopped) {
    if (thrown.problem === undefined) return refuseGone(context, request, rule, thrown.message);
    const answer = answerProblem(context.name, thrown.problem, request);
    const failure = { code: thrown.problem.code, message: thrown.problem.reason };
    return {
      kind: 'refused',
      answer,
      outcome: { request, by: context.name, result: 'failed', status: answer.status, failure, ...ruleOf(rule) },
    };
  }
  if (thrown instanceof UpstreamError) {
    const { code, message, errno } = thrown;
    return refuseFailed(context, request, rule, { code, message, ...(errno === undefined ? {} : { errno }) });
  }
  context.report.internalError(thrown);
  const message = 'The proxy could not decide or connect the request';
  return refuseFailed(context, request, rule, { code: 'PROXY_INTERNAL', message });
}

const hints: Partial<Readonly<Record<ProblemCode, string>>> = {
  NAME_UNRESOLVED: 'Check the spelling of the host name.',
  UPSTREAM_UNREACHABLE: 'The policy allows this host; check that it is up and serves this port.',
  UPSTREAM_MALFORMED: 'The policy allows this host, but what it answered is not valid HTTP/1.1.',
  UPSTREAM_TIMEOUT: 'The policy allows this host; check that it is up and serves this port.',
  GATEWAY_UNREACHABLE: 'The gateway on the host is not reachable; the sandbox has no egress without it.',
  PROXY_INTERNAL: 'Read the log of the proxy.',
};

async function decide(context: Context, request: ProxyRequest): Promise<Verdict> {
  return await context.decide(request);
}

async function connect(
  context: Context,
  request: ProxyRequest,
  rule: string,
  signal: AbortSignal,
): Promise<Admitted | Refusal> {
  const { upstream } = context;
  if (upstream.kind === 'direct') {
    const { socket, address } = await unlessAborted(signal, upstream.dial(request, signal), discard);
    // An injected dial may return a socket with Node's defaults.
    socket.allowHalfOpen = true;
    socket.on('error', () => undefined);
    return { kind: 'admitted', rule, socket, address, head: Buffer.alloc(0) };
  }
  if (upstream.kind === 'chain') {
    if (request.kind === 'http') {
      return { kind: 'admitted', rule, socket: await dialGateway(upstream, signal), head: Buffer.alloc(0) };
    }
    const reached = await connectThroughGateway(context, upstream, request, signal);
    if (reached.kind === 'open') return { kind: 'admitted', rule, socket: reached.socket, head: reached.head };
    return refuseByGateway(request, rule, reached.answer, reached.denial);
  }
  return assertNever(upstream);
}

/** The refusal that passes the gateway's own answer on. 403 with a denial is the policy's; all else is a failure. */
export function refuseByGateway(
  request: ProxyRequest,
  rule: string,
  answer: Answer,
  denial: Denial | undefined,
): Refusal {
  const { status } = answer;
  if (status === 403 && denial !== undefined) {
    return { kind: 'refused', answer, outcome: { request, by: 'gateway', rule, result: 'denied', status, denial } };
  }
  const failure = {
    code: denial?.code ?? 'GATEWAY_REFUSED',
    message: denial?.reason ?? `The gateway answered with status ${status}`,
  };
  return { kind: 'refused', answer, outcome: { request, by: 'gateway', rule, result: 'failed', status, failure } };
}

function refuseDial(
  context: Context,
  request: ProxyRequest,
  rule: string | undefined,
  dialFailure: DialFailure,
): Refusal {
  if (dialFailure.kind === 'denied') {
    const { denial, address } = dialFailure;
    const answer = answerDenial(context.name, denial, request);
    const outcome: Outcome = {
      request,
      by: context.name,
      result: 'denied',
      status: answer.status,
      denial,
      ...ruleOf(rule),
      ...(address === undefined ? {} : { resolvedAddress: address }),
    };
    return { kind: 'refused', answer, outcome };
  }
  const codes = {
    unresolved: 'NAME_UNRESOLVED',
    unreachable: 'UPSTREAM_UNREACHABLE',
    timeout: 'UPSTREAM_TIMEOUT',
  } as const;
  const { kind, message } = dialFailure;
  const errno = kind !== 'timeout' && dialFailure.errno !== undefined ? { errno: dialFailure.errno } : {};
  return refuseFailed(context, request, rule, { code: codes[kind], message, ...errno });
}

function refuseGone(context: Context, request: ProxyRequest, rule: string | undefined, message: string): Refusal {
  return {
    kind: 'refused',
    answer: { status: clientGoneStatus, headers: [], body: Buffer.alloc(0) },
    outcome: {
      request,
      by: context.name,
      result: 'failed',
      status: clientGoneStatus,
      failure: { code: 'CLIENT_GONE', message },
      ...ruleOf(rule),
    },
  };
}

function ruleOf(rule: string | undefined): { readonly rule?: string } {
  return rule === undefined ? {} : { rule };
}

function discard(late: Dialled): void {
  late.socket.on('error', () => undefined);
  late.socket.destroy();
}
