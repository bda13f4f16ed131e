import type { Command } from '../context.ts';

/** A command in the list, with what loads its program. */
export type ListedCommand = {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** Not before it is called: what all of them need together takes as long to load as Node takes to start. */
  readonly load: () => Promise<Command>;
};

/** All commands, in the order of the overview. */
export const commands: readonly ListedCommand[] = [
  {
    name: 'run',
    summary: 'run a command in a microVM, or a jail, whose only way out is the policy proxy',
    load: async () => (await import('./run.ts')).runCommand,
  },
  {
    name: 'events',
    summary: 'print an event log, one line an event; filter it, follow it, count',
    load: async () => (await import('./events.ts')).eventsCommand,
  },
  {
    name: 'ocsf',
    summary: 'validate OCSF events, of tapwarden or of others',
    load: async () => (await import('./ocsf.ts')).ocsfCommand,
  },
  {
    name: 'ship',
    summary: 'send an event log to a SIEM, a syslog server or a message queue',
    load: async () => (await import('./ship.ts')).shipCommand,
  },
  {
    name: 'rules',
    summary: 'print the nftables rulesets that a run would load',
    load: async () => (await import('./rules.ts')).rulesCommand,
  },
  {
    name: 'doctor',
    summary: 'say what a sandbox needs, what of it is there, and what to do',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'gc',
    summary: 'take away what a killed tapwarden left behind',
    load: async () => (await import('./gc.ts')).gcCommand,
  },
];
