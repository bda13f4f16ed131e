import { vmTest } from '../support/vm-test.ts';
import { passesWhatIsAllowed } from './allowed.ts';

vmTest('run: what the policy allows arrives, all else gets 403, and both are events', passesWhatIsAllowed);
