import { closeSync, openSync, read, readdirSync, readFileSync, write } from 'node:fs';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { TapwardenError } from '../base/index.ts';

const portsFolder = '/sys/class/virtio-ports';
const readSize = 65_536;

/**
 * Opens the virtio port of that name. Ports appear some time after their driver is loaded, and their device numbers
 * depend on their order, so the name is looked up, and waited for.
 *
 * @throws CHANNEL_CLOSED when no such port appears within 5 s
 */
export async function openPort(name: string): Promise<PortStream> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const device = findPort(name);
    if (device !== undefined) return new PortStream(`/dev/${device}`);
    await sleep(10);
  }
  throw new TapwardenError('CHANNEL_CLOSED', { message: `No virtio port named ${name} appeared` });
}

function findPort(name: string): string | undefined {
  return listFolder(portsFolder).find((device) => {
    try {
      return readFileSync(`${portsFolder}/${device}/name`, 'utf8').trim() === name;
    } catch {
      // A port without a name has no such file.
      return false;
    }
  });
}

function listFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/**
 * A virtio port as a stream. Node has no event for this device, so one blocking read waits in a thread of its own; it
 * returns 0 bytes while the host's end is closed, which ends the stream: the guest does not outlive its host's process.
 */
export class PortStream extends Duplex {
  readonly #fd: number;

  constructor(path: string) {
    super({ readableHighWaterMark: readSize, writableHighWaterMark: 4 * readSize });
    this.#fd = openSync(path, 'r+');
  }

  override _read(): void {
    const buffer = Buffer.allocUnsafe(readSize);
    read(this.#fd, buffer, 0, readSize, null, (error, bytes) => {
      if (error !== null) this.destroy(error);
      else this.push(bytes === 0 ? null : buffer.subarray(0, bytes));
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    write(this.#fd, chunk, 0, chunk.length, null, (error, bytes) => {
      if (error !== null || bytes === chunk.length) callback(error);
      else this._write(chunk.subarray(bytes), 'buffer' as BufferEncoding, callback);
    });
  }

  /** What came while a write went on goes in one: each wakes the host, and a thread of this process. */
  override _writev(pieces: readonly { readonly chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(pieces.map(({ chunk }) => chunk)), 'buffer' as BufferEncoding, callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    try {
      closeSync(this.#fd);
    } catch {
      // It is closed already.
    }
    callback(error);
  }
}
