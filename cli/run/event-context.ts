import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import type { WorkloadImage } from '../../init/index.ts';
import { packageVersion } from '../package-info.ts';
import type { LoadedPolicy } from '../policy-file.ts';
import type { RunOptions } from './options.ts';

/** What all events of a run have in common. */
export function eventContext(options: RunOptions, { policy, name }: LoadedPolicy, image: WorkloadImage | undefined) {
  const digest = createHash('sha256').update(JSON.stringify(policy)).digest('hex');
  return {
    ocsfVersion: '1.8.0',
    productVersion: packageVersion,
    logName: basename(options.eventsFile),
    sandboxId: options.id,
    runId: randomUUID(),
    hostname: hostname(),
    ...(options.jail ? {} : { hypervisor: 'qemu' as const }),
    ...(image === undefined ? {} : { image: { name: image.name, uid: image.path } }),
    policy: { uid: `sha256:${digest.slice(0, 16)}`, name, version: `sha256:${digest}` },
  } as const;
}
