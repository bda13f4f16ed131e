import { incompleteTests } from '../bypass-detection/incomplete.ts';
import { jailTest } from '../support/jail-test.ts';

for (const [title, body] of incompleteTests('jail')) jailTest(`jail: ${title}`, body);
