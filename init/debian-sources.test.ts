import test from 'ava';
import { renderSources, selectDebianSources } from './debian-sources.ts';

test('selectDebianSources takes this machine’s sources of the suite and no others', (t) => {
  const listed = [
    'Debian|http://mirror.example/debian/|bookworm|main',
    'Debian|http://mirror.example/debian/|bookworm|contrib',
    'Debian|http://mirror.example/debian/|bookworm|main',
    'Debian|http://mirror.example/debian-security/|bookworm-security|main',
    'Debian|http://mirror.example/debian/|trixie|main',
    'Node Source|https://node.example/|nodistro|main',
    '',
  ].join('\n');
  t.is(
    renderSources(selectDebianSources(listed, 'bookworm'), '/k.gpg'),
    'deb [signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib\n' +
      'deb [signed-by=/k.gpg] http://mirror.example/debian-security/ bookworm-security main\n',
  );
});

test('selectDebianSources gives none where the suite itself is not listed', (t) => {
  const listed = 'Debian|http://mirror.example/debian/|bookworm-updates|main\nUbuntu|http://u.example/|bookworm|main\n';
  t.deepEqual(selectDebianSources(listed, 'bookworm'), []);
});
