import type { Command } from '../context.ts';
import { doctorCommand } from './doctor.ts';
import { eventsCommand } from './events.ts';
import { gcCommand } from './gc.ts';
import { ocsfCommand } from './ocsf.ts';
import { rulesCommand } from './rules.ts';
import { runCommand } from './run.ts';
import { shipCommand } from './ship.ts';

/** All commands, in the order of the overview. */
export const commands: readonly Command[] = [
  runCommand,
  eventsCommand,
  ocsfCommand,
  shipCommand,
  rulesCommand,
  doctorCommand,
  gcCommand,
];
