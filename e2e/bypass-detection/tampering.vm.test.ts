import { vmTest } from '../support/vm-test.ts';
import { putsRulesetsRight } from './tampering.ts';

vmTest(
  'bypass-detection: rulesets that root changes, in the guest or on the host, are told of and stand again',
  putsRulesetsRight,
);
