import type { Benchmark } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { measureEvents } from './ocsf-events.ts';
import type { OcsfPart } from './ocsf-part.ts';
import { measureRead } from './ocsf-read.ts';
import { measureWriting } from './ocsf-write.ts';

/**
 * The parts, in the order of the table. To add one: write it in a file `bench/ocsf-NAME.ts`, as a function that takes
 * `say` and gives `{figures, rows}` (`OcsfPart`), and put it in this list. Names of figures are unique over all parts.
 */
const parts: readonly OcsfPart[] = [measureEvents, measureWriting, measureRead];

/** `npm run bench -- ocsf`: how fast events are made, beside what else one could use, and how a large log is read. */
export const ocsfBenchmark: Benchmark = {
  name: 'ocsf',
  summary:
    'events a second: parsed, built, validated, serialised; beside JSON.stringify, pino and Ajv; memory to read 2 GiB',
  options: {},
  measure: async (_values, say) => {
    const measured = [];
    for (const part of parts) measured.push(await part(say));
    return {
      figures: Object.assign({}, ...measured.map(({ figures }) => figures)),
      markdown: [
        `${await describeMachine()}.`,
        '',
        '| what | a second | |',
        '|---|--:|---|',
        ...measured.flatMap(({ rows }) => rows),
      ],
    };
  },
};
