import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Node, Parser, parseDocument } from 'yaml';
import { escapeText, quoteText } from '../base/escape.ts';
import { policyLimits } from './model.ts';
import type { Place, Problems } from './problem.ts';
import { childPath, type SourceMap, type SourceNode } from './source-tree.ts';

/**
 * Reads YAML 1.2 (of which JSON is a part) as a tree of values with their places. Text that could cost much time or
 * memory, and YAML that makes a policy mean something else than it seems to (aliases, tags, merge keys, a second
 * document), is a problem. `undefined` when there is no tree to go on with.
 */
export function parseSource(text: string, problems: Problems): SourceNode | undefined {
  const lines = new LineCounter();
  const placeOf = (offset: number, path: string): Place => {
    const { line, col } = lines.linePos(offset);
    return { path, line, column: col };
  };
  const bytes = Buffer.byteLength(text);
  if (bytes > policyLimits.fileBytes) {
    problems.add(
      { path: '', line: 1, column: 1 },
      { message: `The policy has ${bytes} bytes; ${policyLimits.fileBytes} are allowed` },
    );
    return undefined;
  }
  const excess = findExcess(text, lines);
  if (excess !== undefined) {
    problems.add(placeOf(excess.offset, ''), { message: excess.message });
    return undefined;
  }
  const document = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    // Duplicates are found below, in linear time and with both places.
    uniqueKeys: false,
    // With 'silent' a second document is ignored without a word.
    logLevel: 'error',
  });
  for (const { code, message, pos } of document.errors) {
    problems.add(
      placeOf(pos[0], ''),
      code === 'MULTIPLE_DOCS'
        ? { message: 'A second YAML document begins here', hint: 'A policy is one document.' }
        : { message: `This is not YAML: ${escapeText(message, 300)}` },
    );
  }
  if (document.errors.length > 0) return undefined;
  if (document.contents === null || isEmptyScalar(document.contents)) {
    problems.add(placeOf(0, ''), { message: 'The policy is empty', hint: "Begin with 'version: 1' and 'rules: []'." });
    return undefined;
  }
  return readNode(document.contents, '', { problems, placeOf });
}

type ReadContext = { readonly problems: Problems; readonly placeOf: (offset: number, path: string) => Place };

/**
 * Looks for more tokens or deeper nesting than a policy has. The composer of the tree calls itself for each level, so
 * text of many brackets would end the process; the lexer and the parser in front of it do not.
 */
function findExcess(
  text: string,
  lines: LineCounter,
): { readonly offset: number; readonly message: string } | undefined {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  let tokens = 0;
  for (const lexeme of new Lexer().lex(text)) {
    // The parser yields whole documents; only how deep it stands is wanted here.
    for (const _ of parser.next(lexeme));
    tokens += 1;
    if (tokens > policyLimits.tokens) {
      return { offset: parser.offset, message: `The policy has more than ${policyLimits.tokens} YAML tokens` };
    }
    if (parser.stack.length > policyLimits.depth) {
      return { offset: Math.max(parser.offset - 1, 0), message: 'The policy is nested too deeply' };
    }
  }
  return undefined;
}

function readNode(node: Node, path: string, context: ReadContext): SourceNode {
  const { problems, placeOf } = context;
  const at = placeOf(node.range?.[0] ?? 0, path);
  if (isAlias(node)) {
    problems.add(at, { message: 'Aliases are not allowed in a policy', hint: 'Write the value out.' });
    return { kind: 'refused', at };
  }
  if (node.tag !== undefined) {
    problems.add(at, { message: `The tag ${quoteText(node.tag, 80)} is not allowed`, hint: 'Leave it out.' });
    return { kind: 'refused', at };
  }
  if (isMap(node)) return { kind: 'map', at, entries: readEntries(node.items, path, context) };
  if (isSeq(node)) {
    const items = node.items.map((item, index) => readNode(item as Node, `${path}[${index}]`, context));
    return { kind: 'list', at, items };
  }
  const type = typeof node.value === 'string' ? 'string' : typeof node.value === 'number' ? 'number' : 'other';
  return { kind: 'scalar', at, type, text: typeof node.value === 'string' ? node.value : (node.source ?? '') };
}

function readEntries(
  pairs: readonly { readonly key: unknown; readonly value: unknown }[],
  path: string,
  context: ReadContext,
): SourceMap['entries'] {
  const { problems, placeOf } = context;
  const seen = new Map<string, Place>();
  return pairs.flatMap((pair) => {
    const keyNode = pair.key as Node;
    const key = isScalar(keyNode) && keyNode.tag === undefined ? (keyNode.source ?? String(keyNode.value)) : undefined;
    const keyPath = key === undefined ? path : childPath(path, key);
    const keyAt = placeOf(keyNode.range?.[0] ?? 0, keyPath);
    if (key === undefined) {
      problems.add(keyAt, { message: 'A key must be plain text' });
      return [];
    }
    if (key === '<<') {
      problems.add(keyAt, { message: 'Merge keys are not allowed in a policy', hint: 'Write the values out.' });
      return [];
    }
    const first = seen.get(key);
    if (first !== undefined) {
      problems.add(keyAt, {
        message: `The key ${quoteText(key, 80)} stands twice`,
        hint: `It is first on line ${first.line}.`,
      });
      return [];
    }
    seen.set(key, keyAt);
    // JSON-like flow maps may leave the value out altogether, as in `{version}`.
    const value: SourceNode =
      pair.value === null
        ? { kind: 'scalar', at: keyAt, type: 'other', text: '' }
        : readNode(pair.value as Node, keyPath, context);
    return [{ key, keyAt, value }];
  });
}

function isEmptyScalar(node: Node): boolean {
  return isScalar(node) && node.value === null && (node.source ?? '') === '';
}
