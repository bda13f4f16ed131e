import { vmTest } from '../support/vm-test.ts';
import { incompleteTests } from './incomplete.ts';

for (const [title, body] of incompleteTests('vm')) vmTest(`bypass-detection: ${title}`, body);
