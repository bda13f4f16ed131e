import test from 'ava';
import { isTapwardenError } from '../base/errors.ts';
import { moduleName, parseModuleDependencies, planLoadOrder, stripSignature } from './kernel-modules.ts';

const graph: Readonly<Record<string, readonly string[]>> = {
  nft_log: ['nf_tables'],
  nf_tables: ['nfnetlink', 'libcrc32c'],
  nfnetlink: [],
  libcrc32c: [],
  loop1: ['loop2'],
  loop2: ['loop1'],
  torn: ['gone'],
};
const lookup = (name: string) => {
  const dependencies = graph[name];
  return dependencies === undefined ? undefined : { name, dependencies };
};

test('planLoadOrder puts every module after what it depends on, once', (t) => {
  t.deepEqual(planLoadOrder(['nft_log', 'nf_tables'], lookup), {
    modules: ['nfnetlink', 'libcrc32c', 'nf_tables', 'nft_log'],
    absent: [],
  });
});

test('planLoadOrder leaves out what is loaded and reports what is not there', (t) => {
  t.deepEqual(planLoadOrder(['virtio_rng', 'nft_log'], lookup, ['nf_tables']), {
    modules: ['nft_log'],
    absent: ['virtio_rng'],
  });
});

for (const name of ['loop1', 'torn']) {
  test(`planLoadOrder refuses a broken graph: ${name}`, (t) => {
    t.true(
      isTapwardenError(
        t.throws(() => planLoadOrder([name], lookup)),
        'IMAGE_BUILD_FAILED',
      ),
    );
  });
}

test('parseModuleDependencies reads the modinfo section', (t) => {
  const ko = (text: string) => Buffer.from(`\x7fELF\0license=GPL\0${text}\0name=x\0`, 'latin1');
  t.deepEqual(parseModuleDependencies(ko('depends=nf_tables,virtio-ring')), ['nf_tables', 'virtio_ring']);
  t.deepEqual(parseModuleDependencies(ko('depends=')), []);
  t.deepEqual(parseModuleDependencies(ko('alias=y')), []);
});

test('moduleName is the name that the kernel uses', (t) => {
  t.is(moduleName('virtio-rng.ko.xz'), 'virtio_rng');
  t.is(moduleName('nf_tables.ko'), 'nf_tables');
});

const marker = '~Module signature appended~\n';

test('stripSignature takes away exactly the signature', (t) => {
  const signed = Buffer.from(`ELF code${'s'.repeat(5)}${'\0'.repeat(11)}\x05${marker}`, 'latin1');
  t.is(Buffer.from(stripSignature(signed)).toString('latin1'), 'ELF code');
  t.is(Buffer.from(stripSignature(Buffer.from('ELF code'))).toString('latin1'), 'ELF code');
});

test('stripSignature refuses a signature that is longer than its module', (t) => {
  const torn = Buffer.from(`ELF${'\0'.repeat(11)}\xff${marker}`, 'latin1');
  t.true(
    isTapwardenError(
      t.throws(() => stripSignature(torn)),
      'IMAGE_BUILD_FAILED',
    ),
  );
});
