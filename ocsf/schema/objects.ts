import { findingObjects } from './objects-finding.ts';
import { hostObjects } from './objects-host.ts';
import { networkObjects } from './objects-network.ts';

/** Every object of the table, by name. The notation is that of `notation.ts`. */
export const objects = { ...networkObjects, ...hostObjects, ...findingObjects } as const;

/** A key of {@link objects}, for example `network_endpoint`. */
export type ObjectName = keyof typeof objects;
