// The tiers by file name: x.test.ts needs no privilege, x.kernel.test.ts root and namespaces, x.vm.test.ts a guest.
const tier = process.env['TAPWARDEN_TIER'] ?? 'unit';
const files = {
  unit: ['build/**/*.test.js', '!build/**/*.kernel.test.js', '!build/**/*.vm.test.js'],
  kernel: ['build/**/*.kernel.test.js'],
  vm: ['build/**/*.vm.test.js'],
}[tier];
if (files === undefined) throw new Error(`TAPWARDEN_TIER must be unit, kernel or vm: current value is '${tier}'`);

const config = {
  files,
  timeout: tier === 'vm' ? '10m' : '60s',
  // Guests are slow under emulation and share two cores: one file at a time.
  ...(tier === 'unit' ? {} : { concurrency: 1, serial: tier === 'vm' }),
};

export { config as default };
