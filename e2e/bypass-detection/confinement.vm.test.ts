import { vmTest } from '../support/vm-test.ts';
import { isConfined } from './confinement.ts';

vmTest('bypass-detection: a workload gets neither privileges nor devices nor sight of the guest', isConfined);
