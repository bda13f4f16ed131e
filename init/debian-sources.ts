/** One package source. `components` example: `['main']`. */
export type DebianSource = { readonly uri: string; readonly suite: string; readonly components: readonly string[] };

/** The format to ask `apt-get indextargets` for: one line for each component of each source. */
export const indexTargetsFormat = '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)';

/**
 * The sources of this machine that hold Debian's `suite`, its updates and its security updates.
 *
 * `listed` is what `apt-get indextargets --format` prints for {@link indexTargetsFormat}, for example
 * `Debian|http://mirror.example/debian/|bookworm|main`. Sources of others, with packages of their own, are left out.
 * Empty where the machine has none for the suite itself.
 */
export function selectDebianSources(listed: string, suite: string): readonly DebianSource[] {
  const components = new Map<string, string[]>();
  for (const line of listed.split('\n')) {
    const [origin, uri, release, component] = line.split('|');
    if (origin !== 'Debian' || uri === undefined || release === undefined || component === undefined) continue;
    if (![suite, `${suite}-updates`, `${suite}-security`].includes(release)) continue;
    const key = `${uri} ${release}`;
    components.set(key, [...new Set([...(components.get(key) ?? []), component])]);
  }
  const found = [...components].map(([key, names]): DebianSource => {
    const [uri = '', release = ''] = key.split(' ');
    return { uri, suite: release, components: names };
  });
  return found.some((source) => source.suite === suite) ? found : [];
}

/**
 * Renders sources as sources.list has them; `keyring` is the file whose keys sign them.
 * Example: `deb [signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian bookworm main`.
 * Source: sources.list(5)
 */
export function renderSources(sources: readonly DebianSource[], keyring?: string): string {
  const options = keyring === undefined ? '' : `[signed-by=${keyring}] `;
  return sources
    .map(({ uri, suite, components }) => `deb ${options}${uri} ${suite} ${components.join(' ')}\n`)
    .join('');
}
