import { signalTests } from '../command/signals.ts';
import { streamTests } from '../command/streams.ts';
import { jailTest } from '../support/jail-test.ts';

for (const [title, body] of [...signalTests, ...streamTests]) jailTest(`jail: ${title}`, body);
