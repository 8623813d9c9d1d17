import type { TemplateSetting } from '../domain/upstream-template.ts';
import type { TemplateText } from './places.ts';

/** A setting with its value as text, and what of it can't stand where its place is. */
export interface SettingProblem {
  readonly setting: string;
  readonly description: string;
}

/** Looks a setting up, by a name that the text has a place for. */
export type FindSetting = (name: string) => Pick<TemplateSetting, 'type'> | undefined;

const IN_AUTHORITY = /^https?:\/\/[^/?#]*$/i;
const PART_OF_HOST = /^[A-Za-z0-9._-]+$/;

/**
 * Fills the places of a URL, all of which have values. A value is percent-encoded as a whole, so that it can change neither the host nor
 * the structure of the path; one of the type `url` that the text begins with stands as it is, and what is a part of the host may hold
 * nothing else.
 */
export function fillUrl(
  text: TemplateText,
  find: FindSetting,
  valueOf: (setting: string) => string,
): { readonly url: string; readonly problems: readonly SettingProblem[] } {
  const problems: SettingProblem[] = [];
  let url = '';
  for (const [index, part] of text.entries()) {
    if ('literal' in part) {
      url += part.literal;
      continue;
    }
    const { setting } = part;
    const value = valueOf(setting);
    if (isBase(text, index, find)) {
      const next = text[1];
      if (next !== undefined && /[?#]/.test(value)) {
        problems.push({ setting, description: 'must have neither a query nor a fragment, because more follows it' });
      }
      url = next !== undefined && 'literal' in next && next.literal.startsWith('/') ? value.replace(/\/$/, '') : value;
    } else if (!IN_AUTHORITY.test(url)) {
      url += encodeURIComponent(value);
    } else {
      if (!PART_OF_HOST.test(value)) {
        problems.push({
          setting,
          description:
            'must be made of letters, digits, hyphens, underscores and dots, because it is part of a host name',
        });
      }
      url += value;
    }
  }
  return { url, problems: [...problems, ...findDots(url, text, valueOf)] };
}

/** True when a part is the place of a `url` setting that the text begins with. */
export function isBase(text: TemplateText, index: number, find: FindSetting): boolean {
  const part = text[index];
  return index === 0 && part !== undefined && 'setting' in part && find(part.setting)?.type === 'url';
}

/** True when a segment of the path of a URL leads to another one, as `..` does. */
export function hasDotSegment(url: string): boolean {
  const path = url.replace(/^[^/?#]*\/\/[^/?#]*/, '').split(/[?#]/)[0] ?? '';
  return path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment));
}

function findDots(url: string, text: TemplateText, valueOf: (setting: string) => string): SettingProblem[] {
  if (!hasDotSegment(url)) return [];
  const description = 'must not make a segment of the path that leads to another one, such as ".."';
  return text.flatMap((part) =>
    'setting' in part && /^\.*$/.test(valueOf(part.setting)) ? [{ setting: part.setting, description }] : [],
  );
}
