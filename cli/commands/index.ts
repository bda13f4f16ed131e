import type { Command } from '../context.ts';
import { doctorCommand } from './doctor.ts';
import { eventsCommand } from './events.ts';
import { gcCommand } from './gc.ts';
import { rulesCommand } from './rules.ts';
import { runCommand } from './run.ts';
import { shipCommand } from './ship.ts';

/** All commands, in the order of the overview. */
export const commands: readonly Command[] = [
  runCommand,
  eventsCommand,
  shipCommand,
  rulesCommand,
  doctorCommand,
  gcCommand,
];
