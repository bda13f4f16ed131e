import type { Socket } from 'node:net';
import { answerProblem, type Problem, problem, renderAnswer } from './answer.ts';
import type { Context } from './context.ts';
import type { Client } from './model.ts';

/** Milliseconds that a connection stays open after its last answer, so that a client that still sends can read it. */
export const lingerMs = 1000;

/** Requests that one client may send ahead on a connection before it reads an answer. */
const maxPipelined = 16;

/** Why an exchange was stopped from outside: with a problem to tell the client, or because the client is gone. */
export class Stopped extends Error {
  readonly problem: Problem | undefined;

  constructor(told: Problem | undefined) {
    super(told?.reason ?? 'The client is gone');
    this.name = 'Stopped';
    this.problem = told;
  }
}

/** One request in work. `signal` fires, with a {@link Stopped} as its reason, when it must end early. */
export type Exchange = {
  readonly signal: AbortSignal;
  /** Ends the exchange with `told` as its answer, as far as an answer can still be given. */
  readonly stop: (told: Problem) => void;
  /** Must be called when the request has been answered to its end. */
  readonly end: () => void;
};

/** One client connection: its deadlines, the exchanges on it, and how it is ended. It owns the socket. */
export class Connection {
  readonly socket: Socket;
  readonly client: Client;
  readonly closed: Promise<void>;
  readonly #context: Context;
  readonly #exchanges = new Set<AbortController>();
  #deadline: NodeJS.Timeout | undefined;
  #served = 0;
  #bytesAtRest = 0;
  #refused = false;

  constructor(context: Context, socket: Socket) {
    this.#context = context;
    this.socket = socket;
    this.client = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    // A server that another process handed over accepts sockets that close as soon as the client has sent its last byte.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.setTimeout(context.limits.idleTimeoutMs);
    socket.on('timeout', () => this.#onIdle());
    // What an error means for the exchange is told by 'close', which follows.
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(this.#deadline);
        for (const exchange of this.#exchanges) exchange.abort(new Stopped(undefined));
        resolve();
      });
    });
    this.#armDeadline();
  }

  /** Whether the last answer is given or on its way, so that nothing that comes now is served. */
  get refused(): boolean {
    return this.#refused;
  }

  /** The number of requests in work. */
  get busy(): number {
    return this.#exchanges.size;
  }

  /** Begins a request, or returns `undefined` where the client has sent too many ahead; the connection is ended then. */
  begin(): Exchange | undefined {
    if (this.#exchanges.size >= maxPipelined) {
      this.socket.destroy();
      return undefined;
    }
    clearTimeout(this.#deadline);
    const controller = new AbortController();
    this.#exchanges.add(controller);
    if (this.socket.destroyed) controller.abort(new Stopped(undefined));
    return {
      signal: controller.signal,
      stop: (told) => controller.abort(new Stopped(told)),
      end: () => {
        this.#exchanges.delete(controller);
        this.#served += 1;
        if (this.#exchanges.size === 0) this.#armDeadline();
      },
    };
  }

  /** Answers what is no request: through the one exchange in work, or straight, or not at all where bytes would mix. */
  reject(told: Problem): void {
    const [first, second] = this.#exchanges;
    if (second !== undefined) this.socket.destroy();
    else if (first !== undefined) first.abort(new Stopped(told));
    else this.refuse(told);
  }

  /** Gives `told` as the last answer of this connection, and counts it as invalid. */
  refuse(told: Problem): void {
    if (this.#refused || !this.socket.writable) return;
    const answer = answerProblem(this.#context.name, told);
    this.#context.report.invalid({ client: this.client, status: answer.status, code: told.code, reason: told.reason });
    this.endWith(renderAnswer(answer));
  }

  /** Serves nothing that comes from now on; what is in work goes on. */
  stopServing(): void {
    this.#refused = true;
  }

  /** Sends the last bytes, takes what the client still sends for a moment, and closes. */
  endWith(bytes: Buffer): void {
    this.stopServing();
    if (this.socket.destroyed) return;
    this.socket.end(bytes);
    // Closing with unread bytes makes the kernel send a reset, which discards an answer that the client has not read.
    this.socket.resume();
    this.#destroyAfter(lingerMs);
  }

  /** Sends what is written already and closes, with nothing that says that it is whole. */
  cutShort(): void {
    this.stopServing();
    this.socket.destroySoon();
    this.#destroyAfter(lingerMs);
  }

  #destroyAfter(milliseconds: number): void {
    clearTimeout(this.#deadline);
    if (!this.socket.destroyed) this.#deadline = setTimeout(() => this.socket.destroy(), milliseconds);
  }

  #armDeadline(): void {
    if (this.#refused || this.socket.destroyed) return;
    clearTimeout(this.#deadline);
    this.#bytesAtRest = this.socket.bytesRead;
    this.#deadline = setTimeout(() => this.#onDeadline(), this.#context.limits.headersTimeoutMs);
  }

  #onDeadline(): void {
    // A kept-alive connection that rests is no error, and a 408 there could be taken for the next answer.
    if (this.#served > 0 && this.socket.bytesRead === this.#bytesAtRest) {
      this.socket.destroy();
      return;
    }
    const seconds = this.#context.limits.headersTimeoutMs / 1000;
    this.refuse(problem('REQUEST_TIMEOUT', `No whole request head came within ${seconds} s`, 'Send it faster.'));
  }

  #onIdle(): void {
    const seconds = this.#context.limits.idleTimeoutMs / 1000;
    // A client that reads nothing never takes the answer either.
    this.#destroyAfter(this.#exchanges.size === 0 ? 0 : 3 * lingerMs);
    for (const exchange of this.#exchanges) {
      exchange.abort(
        new Stopped(
          problem('UPSTREAM_TIMEOUT', `No byte passed in either direction for ${seconds} s`, 'Try again later.'),
        ),
      );
    }
  }
}
