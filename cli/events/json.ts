const deceptive =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g;

/**
 * The same JSON with every character as `\\uXXXX` that could change how a terminal or a person reads it. Control characters
 * stand between values only, where JSON allows them; inside texts it has them escaped already.
 */
export function visibleJson(text: string): string {
  return text.replace(/[\t\r]/g, ' ').replace(deceptive, (match) =>
    match
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
