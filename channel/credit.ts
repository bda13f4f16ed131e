/** Bytes that may be under way on one stream of one exec before the receiver has asked for more. */
export const initialWindow = 524_288;

/** What a sender may still send on a stream: it waits where the receiver does not keep up, so memory stays bounded. */
export class SendCredit {
  #bytes = initialWindow;
  #waiting: (() => void) | undefined;

  /** The receiver took `bytes` more. */
  grant(bytes: number): void {
    this.#bytes += bytes;
    const wake = this.#waiting;
    this.#waiting = undefined;
    wake?.();
  }

  /** Takes up to `wanted` bytes of credit, at least one, waiting for it where there is none. */
  async take(wanted: number): Promise<number> {
    while (this.#bytes <= 0) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    const taken = Math.min(wanted, this.#bytes);
    this.#bytes -= taken;
    return taken;
  }
}

/** What a receiver has consumed and not yet told the sender of: told in larger steps, not for every piece. */
export class ReceiveCredit {
  #outstanding = initialWindow;
  #consumed = 0;

  /** Whether the sender was allowed to send `bytes` more. */
  accept(bytes: number): boolean {
    this.#outstanding -= bytes;
    return this.#outstanding >= 0;
  }

  /** Notes that `bytes` were passed on; returns the number to grant now, or 0. */
  consume(bytes: number): number {
    this.#consumed += bytes;
    if (this.#consumed < initialWindow / 4) return 0;
    const granted = this.#consumed;
    this.#consumed = 0;
    this.#outstanding += granted;
    return granted;
  }
}
