import { namesProcesses } from '../bypass-detection/attribution.ts';
import { jailTest } from '../support/jail-test.ts';

jailTest('jail: each refused packet names its process, which is gone, and how that was found out', namesProcesses);
