import type { ObjectOf } from './schema/types.ts';

type Attack = ObjectOf<'attack'>;
type AttackItem = { readonly uid: string; readonly name: string };

/** What is known of a refused packet when its technique is looked up. */
export type AttackInput = {
  /** IANA protocol number. */
  readonly protocol: number;
  readonly port?: number;
  readonly isMetadata: boolean;
  /** The destination is in a private, link-local or unique-local network. */
  readonly isInternal: boolean;
};

/** The ATT&CK release that the ids below belong to. */
export const attackVersion = '19';

const commandAndControl: AttackItem = { uid: 'TA0011', name: 'Command and Control' };
const applicationLayer: AttackItem = { uid: 'T1071', name: 'Application Layer Protocol' };
const lateralMovement: AttackItem = { uid: 'TA0008', name: 'Lateral Movement' };
const remoteServices: AttackItem = { uid: 'T1021', name: 'Remote Services' };

/** The service at which clouds hand out credentials. */
export const metadataApi: Attack = {
  version: attackVersion,
  tactic: { uid: 'TA0006', name: 'Credential Access' },
  technique: { uid: 'T1552', name: 'Unsecured Credentials' },
  sub_technique: { uid: 'T1552.005', name: 'Cloud Instance Metadata API' },
};

const nonApplicationLayer: Attack = {
  version: attackVersion,
  tactic: commandAndControl,
  technique: { uid: 'T1095', name: 'Non-Application Layer Protocol' },
};

const dns = withSub(commandAndControl, applicationLayer, { uid: 'T1071.004', name: 'DNS' });
const web = withSub(commandAndControl, applicationLayer, { uid: 'T1071.001', name: 'Web Protocols' });
const ssh = withSub(lateralMovement, remoteServices, { uid: 'T1021.004', name: 'SSH' });
const smb = withSub(lateralMovement, remoteServices, { uid: 'T1021.002', name: 'SMB/Windows Admin Shares' });

/** Many destinations or ports in a window. */
export const scanAttack: Attack = {
  version: attackVersion,
  tactic: { uid: 'TA0007', name: 'Discovery' },
  technique: { uid: 'T1046', name: 'Network Service Discovery' },
};

/** A change of a ruleset that fences a sandbox. */
export const firewallAttack: Attack = {
  version: attackVersion,
  tactic: { uid: 'TA0112', name: 'Defense Impairment' },
  technique: { uid: 'T1686', name: 'Disable or Modify System Firewall' },
};

/**
 * The ATT&CK technique that a refused packet would belong to, were it malicious; at most one, and none for most
 * ports, because one refused packet proves little. Example: UDP to port 53 is T1071.004.
 * Source: MITRE ATT&CK v19.
 */
export function attacksOf(input: AttackInput): readonly Attack[] | undefined {
  const attack = attackOf(input);
  return attack === undefined ? undefined : [attack];
}

function attackOf({ protocol, port, isMetadata, isInternal }: AttackInput): Attack | undefined {
  if (isMetadata) return metadataApi;
  if (protocol !== 6 && protocol !== 17) return nonApplicationLayer;
  if (port === 53 || port === 853) return dns;
  if (port === 80 || port === 443) return web;
  if (isInternal && protocol === 6 && port === 22) return ssh;
  if (isInternal && protocol === 6 && port === 445) return smb;
  return undefined;
}

function withSub(tactic: AttackItem, technique: AttackItem, sub: AttackItem): Attack {
  return { version: attackVersion, tactic, technique, sub_technique: sub };
}
