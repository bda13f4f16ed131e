/**
 * The fixed addresses of the guest's inner network: the supervisor's end and the workload's end of the veth pair between
 * the guest's own namespace and the workload's. The same in every guest, since no two guests share a network.
 */
export const workloadNet = {
  namespace: 'workload',
  /** The veth end in the guest's own namespace, where the proxy listens. */
  supervisorLink: 'tw-work',
  /** The veth end in the workload's namespace. */
  workloadLink: 'eth0',
  supervisorMac: '02:74:77:01:00:01',
  workloadMac: '02:74:77:01:00:02',
  supervisorIp4: '10.200.0.1',
  workloadIp4: '10.200.0.2',
  prefix4: 30,
  supervisorIp6: 'fd74:7761:776f::1',
  workloadIp6: 'fd74:7761:776f::2',
  prefix6: 126,
  proxyPort: 3128,
} as const;
