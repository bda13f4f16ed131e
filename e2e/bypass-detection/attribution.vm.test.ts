import { vmTest } from '../support/vm-test.ts';
import { namesProcesses } from './attribution.ts';

vmTest('in a guest each refused packet names its process, which is gone, and how that was found out', namesProcesses);
