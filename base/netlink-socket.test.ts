import test from 'ava';
import { openNetlinkSocket } from './netlink-socket.ts';

const route = 0;

/** Asks for the links of this namespace, which anybody may. Source: rtnetlink(7), RTM_GETLINK. */
function linksRequest(): Buffer {
  const request = Buffer.alloc(32);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(18, 4);
  // NLM_F_REQUEST and NLM_F_DUMP
  request.writeUInt16LE(0x301, 6);
  return request;
}

// The native module crashes where its socket is closed at this point.
test('NetlinkSocket: one can be closed by who is told of a message, also while another is still to be sent', async (t) => {
  const socket = openNetlinkSocket(route);
  const told: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.on('message', (message) => {
      told.push(message);
      socket.close();
      resolve();
    });
    socket.send(linksRequest(), {}, () => socket.send(linksRequest(), {}, () => undefined));
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is(told.length, 1, 'nothing is told of after it');
  t.throws(() => socket.send(linksRequest()), { message: 'The netlink socket is closed' });
  t.notThrows(() => socket.close());
});
