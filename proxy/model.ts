import type { Server, Socket } from 'node:net';
import type { ProblemCode } from './answer.ts';

/** Which of the two proxies speaks: it stands in `Via`, in `Proxy-Status` and in the JSON body of a refusal. */
export type ProxyName = 'guest-proxy' | 'gateway';

/** Where a request came from. `address` is empty when the client has gone already. */
export type Client = { readonly address: string; readonly port: number };

/**
 * One request for egress, as it is decided.
 *
 * `host` is lower-case and without brackets: a name (`example.com`, a trailing dot kept), an IPv4 dotted quad or an
 * IPv6 address. `path` is there for `http` alone and holds visible ASCII, at most `maxHeaderBytes` of it.
 * Example: `{kind: 'connect', host: 'example.com', port: 443, method: 'CONNECT', client: {address: '10.0.128.2', port: 40112}}`.
 */
export type ProxyRequest = {
  readonly kind: 'connect' | 'http';
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path?: string;
  readonly client: Client;
};

/** Why a request is refused: a stable code, a sentence, and what the reader can do about it. */
export type Denial = { readonly code: string; readonly reason: string; readonly hint: string };

/** What the policy says about a request, with the name of the rule that allows it. */
export type Verdict = { readonly kind: 'allow'; readonly rule: string } | ({ readonly kind: 'deny' } & Denial);

/** Decides one request. It is called once for each request, on a kept-alive connection too. */
export type Decide = (request: ProxyRequest) => Verdict | Promise<Verdict>;

/** A connection to the upstream and the address that it went to, for example `203.0.113.7`. */
export type Dialled = { readonly socket: Socket; readonly address: string };

/**
 * Connects to the upstream of an allowed request. `signal` fires when the answer is no longer wanted; a socket that
 * comes later is destroyed by the proxy.
 *
 * @throws DialError when the address is refused, or does not answer
 */
export type Dial = (request: ProxyRequest, signal: AbortSignal) => Promise<Dialled>;

/** Why a dial gave no connection. `address` is the refused address, `errno` for example `'ECONNREFUSED'`. */
export type DialFailure =
  | { readonly kind: 'denied'; readonly denial: Denial; readonly address?: string }
  | { readonly kind: 'unresolved'; readonly message: string; readonly errno?: string }
  | { readonly kind: 'unreachable'; readonly message: string; readonly errno?: string }
  | { readonly kind: 'timeout'; readonly message: string };

/** What a {@link Dial} throws. It is an answer to the client and not a failure of tapwarden, so it has no `ErrorCode`. */
export class DialError extends Error {
  readonly failure: DialFailure;

  constructor(failure: DialFailure, options?: ErrorOptions) {
    super(failure.kind === 'denied' ? failure.denial.reason : failure.message, options);
    this.name = 'DialError';
    this.failure = failure;
  }
}

/** Where allowed requests go: to the upstream itself, or to the next proxy at `host` (an address) and `port`. */
export type Upstream =
  | { readonly kind: 'direct'; readonly dial: Dial }
  | { readonly kind: 'chain'; readonly host: string; readonly port: number };

/** What a client may take of the proxy. */
export type ProxyLimits = {
  /** Client connections at one time; one more is answered 503. @default 512 */
  readonly maxConnections: number;
  /** Milliseconds for a client to send a whole request head; then 408. @default 10000 */
  readonly headersTimeoutMs: number;
  /** Milliseconds without a byte in either direction until a tunnel or an exchange is ended. @default 600000 */
  readonly idleTimeoutMs: number;
  /** Milliseconds for the decision and the connection to the upstream together; then 504. @default 15000, or 20000 before a gateway */
  readonly connectTimeoutMs: number;
  /** Bytes of a request head, and of a response head; then 431 or 502. @default 16384 */
  readonly maxHeaderBytes: number;
};

/** What went wrong with a request that the policy allowed. */
export type Failure = { readonly code: string; readonly message: string; readonly errno?: string };

/**
 * How a request was answered, told once for each well-formed request.
 *
 * `by` says who answered: a proxy that chains to the gateway passes the gateway's refusals on with `by: 'gateway'`, and
 * the gateway tells the same refusal with the same `by`, so that each is reported once by taking one's own alone.
 * `status` is the HTTP status that the client gets; an open `http` request has none yet and tells it in {@link Closed}.
 * `rule` is absent where the proxy's own policy did not allow the request.
 */
export type Outcome = { readonly request: ProxyRequest; readonly by: ProxyName; readonly rule?: string } & (
  | { readonly result: 'open'; readonly rule: string; readonly status?: number; readonly resolvedAddress?: string }
  | { readonly result: 'denied'; readonly status: number; readonly denial: Denial; readonly resolvedAddress?: string }
  | { readonly result: 'failed'; readonly status: number; readonly failure: Failure; readonly resolvedAddress?: string }
);

/**
 * The end of a request that was open, told once for each `result: 'open'`.
 *
 * `bytesUp` and `bytesDown` count a tunnel's bytes, or the bodies of an `http` request and its response. `status` is
 * that of the response; it is absent for tunnels and where no response came. `complete` is `false` when a side broke off.
 */
export type Closed = {
  readonly request: ProxyRequest;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly durationMs: number;
  readonly complete: boolean;
  readonly status?: number;
};

/** A request that was no well-formed proxy request, so that there was nothing to decide. `reason` is printable. */
export type Invalid = {
  readonly client: Client;
  readonly status: number;
  readonly code: ProblemCode;
  readonly reason: string;
};

/** What a proxy is made of. Callbacks are called in the order of events and must not throw. */
export type ProxyOptions = {
  readonly name: ProxyName;
  readonly decide: Decide;
  readonly upstream: Upstream;
  readonly limits?: Partial<ProxyLimits>;
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly onClose?: (closed: Closed) => void;
  readonly onInvalid?: (invalid: Invalid) => void;
  /** Called with what a callback or `decide` threw, which is a bug of the caller; the request gets 500. */
  readonly onInternalError?: (thrown: unknown) => void;
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly now?: () => number;
};

/**
 * What a proxy listens on: an address, a listening descriptor, or a listening server that another process handed over.
 * The proxy owns it from then on.
 */
export type ListenTarget =
  | { readonly kind: 'address'; readonly host: string; readonly port: number }
  | { readonly kind: 'fd'; readonly fd: number }
  | { readonly kind: 'server'; readonly server: Server };

/** Requests by what became of them, and the open requests of this moment. `allowed` counts every `open` outcome. */
export type ProxyStats = {
  readonly allowed: number;
  readonly denied: number;
  readonly failed: number;
  readonly invalid: number;
  readonly active: number;
};

/** A running proxy. */
export type ProxyServer = {
  /**
   * Starts to take connections and returns the address in use; port 0 lets the kernel choose.
   *
   * @throws PORT_IN_USE when the address and port are taken
   * @throws LISTEN_FAILED when the address cannot be listened on for another reason
   * @throws STATE_ILLEGAL when the proxy listens already or is closed
   */
  readonly listen: (target: ListenTarget) => Promise<{ readonly address: string; readonly port: number }>;
  /** Stops listening, ends all connections and returns when none is left. A second call waits for the same end. */
  readonly close: () => Promise<void>;
  readonly stats: () => ProxyStats;
};
