import { vmTest } from '../support/vm-test.ts';
import { refusesEveryPacket } from './packets.ts';

vmTest('bypass-detection: every kind of packet around the proxy is refused at once, and told of', refusesEveryPacket);
