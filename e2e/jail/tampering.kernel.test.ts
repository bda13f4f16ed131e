import { putsRulesetsRight } from '../bypass-detection/tampering.ts';
import { jailTest } from '../support/jail-test.ts';

jailTest('jail: rulesets that root changes are told of and stand again within 1 s', putsRulesetsRight);
