import { matchParts, type TemplatePart } from './uri-template-match.ts';

/** Work that may still be spent on matching, in steps of about a character; shared by the templates that are tried for one URI. */
export interface MatchBudget {
  left: number;
}

/** A URI template (RFC 6570, levels 1 to 3, and `*` and `:n` of level 4) that tells which URIs it could have made. */
export interface UriTemplate {
  /** How many characters of a URI it fixes: of two templates for a URI, the one that fixes more means it more. */
  readonly fixedLength: number;
  /** False also when it would cost more than what is left. Takes time in proportion to the length of the URI, whatever is in it. */
  matches(uri: string, budget: MatchBudget): boolean;
}

const MAX_TEMPLATE_LENGTH = 1024;
const MAX_VARIABLES = 32;

const expression = /^([+#./;?&]?)([\w.%-]+(?:\*|:\d{1,4})?(?:,[\w.%-]+(?:\*|:\d{1,4})?)*)$/;

/** Reads a template; undefined when it is not one that RFC 6570 defines, or has more than 1,024 characters or 32 variables. */
export function parseUriTemplate(template: string): UriTemplate | undefined {
  const isReadable = template.length <= MAX_TEMPLATE_LENGTH && hasPairedBraces(template);
  const parts = isReadable ? parseParts(template) : undefined;
  if (parts === undefined) {
    return undefined;
  }
  const fixedLength = parts.reduce((length, part) => length + (part.kind === 'literal' ? part.text.length : 0), 0);
  const [first] = parts;
  const beginning = first?.kind === 'literal' ? first.text : '';
  function matches(uri: string, budget: MatchBudget): boolean {
    if (!uri.startsWith(beginning)) {
      return false;
    }
    budget.left -= template.length * uri.length;
    return budget.left >= 0 && matchParts(parts ?? [], uri);
  }
  return { fixedLength, matches };
}

/** True when opening and closing braces alternate and the last one closes. */
function hasPairedBraces(template: string): boolean {
  const braces = template.replace(/[^{}]/g, '');
  return braces === '{}'.repeat(braces.length / 2);
}

function parseParts(template: string): readonly TemplatePart[] | undefined {
  const parts: TemplatePart[] = [];
  let variables = 0;
  for (const [index, piece] of template.split(/[{}]/).entries()) {
    // Between braces stand the odd pieces: `a{b}c` is `a`, `b`, `c`.
    const isExpression = index % 2 === 1;
    const part: TemplatePart | undefined = isExpression ? parseExpression(piece) : { kind: 'literal', text: piece };
    if (part === undefined) {
      return undefined;
    }
    variables += isExpression ? piece.split(',').length : 0;
    if (piece !== '') {
      parts.push(part);
    }
  }
  return variables <= MAX_VARIABLES ? parts : undefined;
}

function parseExpression(text: string): TemplatePart | undefined {
  const [, operator, list] = expression.exec(text) ?? [];
  if (operator === undefined || list === undefined) {
    return undefined;
  }
  const variables = list.split(',');
  const names = variables.map((variable) => variable.replace(/\*$|:\d+$/, ''));
  const isExploded = variables.some((variable) => variable.endsWith('*'));
  switch (operator) {
    case '+':
      return { kind: 'run', opening: '', stops: '' };
    case '#':
      return { kind: 'run', opening: '#', stops: '' };
    case '.':
    case ';':
      return { kind: 'run', opening: operator, stops: '/?#' };
    case '/':
      return isExploded ? { kind: 'run', opening: '/', stops: '?#' } : { kind: 'segments', count: variables.length };
    case '?':
    case '&':
      return isExploded ? { kind: 'run', opening: operator, stops: '#' } : { kind: 'pairs', opening: operator, names };
    default:
      return { kind: 'run', opening: '', stops: isExploded ? '?#' : '/?#' };
  }
}
