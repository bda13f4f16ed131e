/** A text of at most `max` characters; one that was cut is a copy, so that the long one is not kept for its beginning. */
export function bounded(text: string, max: number): string {
  return text.length <= max ? text : `${Buffer.from(text.slice(0, max - 1)).toString()}…`;
}
