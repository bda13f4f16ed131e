import { run } from '../../base/index.ts';

/** The names of the host's network namespaces. Source: ip-netns(8). */
export async function namespaces(): Promise<readonly string[]> {
  // A line may have an id behind the name, which no namespace here looks like.
  return (await run(['ip', 'netns', 'list'])).stdout.split(/\s+/);
}
