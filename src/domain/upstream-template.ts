import type { ProjectId, UpstreamTemplateId } from './ids.ts';
import type { Transport } from './upstream.ts';

/** `url` is an absolute http or https URL, `path` an absolute path of the machine that the gateway runs on. */
export type SettingType = 'string' | 'number' | 'integer' | 'boolean' | 'url' | 'path';

export type SettingValue = string | number | boolean;

/** A value that an upstream made from a template needs or may have. */
export interface TemplateSetting {
  readonly name: string;
  readonly description: string;
  readonly type: SettingType;
  /** An upstream can't be made without it, unless it has a default. */
  readonly required: boolean;
  /** Never shown again; it stands in headers and variables only. */
  readonly secret: boolean;
  readonly defaultValue?: SettingValue;
  /** The only values that are allowed, as text; empty = all of the type. */
  readonly choices: readonly string[];
}

/** What an upstream made from a template gets. A place for a setting is `${name}`, and `$${` a literal `${`. */
export interface TemplateContent {
  /** With places in the URL and in the arguments. */
  readonly transport: Transport;
  /** Values with places, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Values with places, by name. */
  readonly env: Readonly<Record<string, string>>;
  readonly settings: readonly TemplateSetting[];
}

/** An entry of the catalogue from which upstreams are created. */
export interface TemplateEntry {
  readonly slug: string;
  readonly displayName: string;
  readonly description: string;
  /** Empty = nowhere. */
  readonly documentationUrl: string;
  readonly content: TemplateContent;
}

/** A template of a project, unlike those that the server ships with. It never changes. */
export interface UpstreamTemplate extends TemplateEntry {
  readonly id: UpstreamTemplateId;
  readonly projectId: ProjectId;
  readonly createTime: number;
}
