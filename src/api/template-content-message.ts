import { create } from '@bufbuild/protobuf';
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import {
  type TemplateSetting as SettingMessage,
  TemplateSettingSchema,
  SettingType as TypeMessage,
  type UpstreamTemplateContent,
  UpstreamTemplateContentSchema,
} from '../../gen/portcullis/v1/upstream_template_pb.ts';
import type { SettingType, SettingValue, TemplateContent, TemplateSetting } from '../domain/upstream-template.ts';
import { fromEnumMessage } from './enum-message.ts';
import { toTransportMessage } from './transport-message.ts';

const TYPES: Readonly<Record<SettingType, TypeMessage>> = {
  string: TypeMessage.STRING,
  number: TypeMessage.NUMBER,
  integer: TypeMessage.INTEGER,
  boolean: TypeMessage.BOOLEAN,
  url: TypeMessage.URL,
  path: TypeMessage.PATH,
};

/** The content of a template as the API shows it. */
export function toTemplateContentMessage(content: TemplateContent): UpstreamTemplateContent {
  return create(UpstreamTemplateContentSchema, {
    transport: toTransportMessage(content.transport),
    headers: { ...content.headers },
    env: { ...content.env },
    settings: content.settings.map(toTemplateSettingMessage),
  });
}

/** A setting as the API shows it. */
export function toTemplateSettingMessage(setting: TemplateSetting): SettingMessage {
  const { name, description, type, required, secret, choices, defaultValue } = setting;
  return create(TemplateSettingSchema, {
    name,
    description,
    type: TYPES[type],
    required,
    secret,
    choices: [...choices],
    ...(defaultValue === undefined ? {} : { defaultValue: toValueMessage(defaultValue) }),
  });
}

/** The setting that a request describes; its default may be of any JSON type yet. */
export function fromTemplateSettingMessage(message: SettingMessage): TemplateSetting {
  const { name, description, required, secret, choices, defaultValue } = message;
  const type = fromEnumMessage(TYPES, message.type) ?? 'string';
  const setting = { name, description, type, required, secret, choices };
  // The rules of templates tell whether the default is of the setting's type.
  return defaultValue === undefined ? setting : { ...setting, defaultValue: readValue(defaultValue) as SettingValue };
}

/** The text, number or boolean of a value; null for anything else, which no setting takes. */
export function readValue({ kind }: Value): SettingValue | null {
  switch (kind.case) {
    case 'stringValue':
    case 'numberValue':
    case 'boolValue':
      return kind.value;
    default:
      return null;
  }
}

function toValueMessage(value: SettingValue): Value {
  if (typeof value === 'string') return create(ValueSchema, { kind: { case: 'stringValue', value } });
  if (typeof value === 'number') return create(ValueSchema, { kind: { case: 'numberValue', value } });
  return create(ValueSchema, { kind: { case: 'boolValue', value } });
}
