import { refusesEveryPacket } from '../bypass-detection/packets.ts';
import { letsDirectRulesOut } from '../direct.ts';
import { passesWhatIsAllowed } from '../egress/allowed.ts';
import { jailTest } from '../support/jail-test.ts';

jailTest('jail: every kind of packet around the proxy is refused at once, and told of', refusesEveryPacket);

jailTest('jail: what the policy allows arrives, all else gets 403, and both are events', passesWhatIsAllowed);

jailTest('jail: a direct rule lets its own packets out, masqueraded, and nothing beside it', letsDirectRulesOut);
