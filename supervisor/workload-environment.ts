import { workloadUser } from '../init/contract.ts';
import { workloadNet } from './addresses.ts';

/**
 * The environment of a workload's command: a plain one, the proxy's address under every name that programs look for, and
 * over it what the caller asked for.
 *
 * `NODE_USE_ENV_PROXY=1` makes Node 24 and later follow the others.
 */
export function workloadEnvironment(wanted: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const proxy = `http://${workloadNet.supervisorIp4}:${workloadNet.proxyPort}`;
  const own = 'localhost,127.0.0.1,::1';
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: workloadUser.home,
    USER: workloadUser.name,
    LOGNAME: workloadUser.name,
    LANG: 'C.UTF-8',
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: own,
    no_proxy: own,
    NODE_USE_ENV_PROXY: '1',
    ...wanted,
  };
}
