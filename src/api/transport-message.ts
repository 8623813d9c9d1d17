import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import {
  ConnectionSharing as SharingMessage,
  type StdioTransport,
  type UpstreamTransport,
  UpstreamTransportSchema,
} from '../../gen/portcullis/v1/upstream_pb.ts';
import type { ConnectionSharing, Transport } from '../domain/upstream.ts';
import { checkHttpUrl } from './http-url.ts';
import { createValidationError } from './validation.ts';

const SHARINGS: Readonly<Record<ConnectionSharing, SharingMessage>> = {
  per_principal: SharingMessage.PER_PRINCIPAL,
  per_session: SharingMessage.PER_SESSION,
  per_upstream: SharingMessage.PER_UPSTREAM,
};

const DEFAULT_MAX_PROCESSES = 32;
const DEFAULT_IDLE_TIMEOUT_MS = 5 * 60 * 1000;

/** The transport as the API shows it. */
export function toTransportMessage(transport: Transport): UpstreamTransport {
  switch (transport.kind) {
    case 'streamable_http':
      return create(UpstreamTransportSchema, { value: { case: 'streamableHttp', value: { url: transport.url } } });
    case 'sse': {
      const { url, sharing } = transport;
      return create(UpstreamTransportSchema, { value: { case: 'sse', value: { url, sharing: SHARINGS[sharing] } } });
    }
    case 'stdio':
      return create(UpstreamTransportSchema, { value: { case: 'stdio', value: toStdio(transport) } });
  }
}

/**
 * The transport of a request, with defaults for what it leaves unset. Throws `validation_failed` for a URL that is not plain http or https,
 * and for a command that the operator does not allow.
 */
export function fromTransportMessage(message: UpstreamTransport, allowedCommands: readonly string[]): Transport {
  const { case: kind, value } = message.value;
  switch (kind) {
    case 'streamableHttp':
      return { kind: 'streamable_http', url: checkUrl('transport.streamable_http.url', value.url) };
    case 'sse':
      return { kind: 'sse', url: checkUrl('transport.sse.url', value.url), sharing: fromSharing(value.sharing) };
    case 'stdio':
      return fromStdio(value, allowedCommands);
    default:
      throw createValidationError([{ field: 'transport', description: 'must be one of the transports' }]);
  }
}

function checkUrl(field: string, text: string): string {
  if (text.includes('${')) {
    throw createValidationError([
      { field, description: 'must be a valid URI; only templates have places such as ${name}' },
    ]);
  }
  return checkHttpUrl(field, text, 'use auth or headers');
}

function toStdio(transport: Extract<Transport, { kind: 'stdio' }>) {
  return {
    command: transport.command,
    args: [...transport.args],
    workingDirectory: transport.workingDirectory ?? '',
    sharing: SHARINGS[transport.sharing],
    maxProcesses: transport.maxProcesses,
    idleTimeout: durationFromMs(transport.idleTimeoutMs),
  };
}

function fromStdio(message: StdioTransport, allowedCommands: readonly string[]): Transport {
  if (!allowedCommands.includes(message.command)) {
    const description =
      'is not a command that the operator allows; an operator can add it to GATEWAY_STDIO_COMMANDS, word by word as it stands here';
    throw createValidationError([{ field: 'transport.stdio.command', description }]);
  }
  if (message.args.some((text) => text.includes('\0')) || message.workingDirectory.includes('\0')) {
    throw createValidationError([{ field: 'transport.stdio', description: 'must not hold NUL characters' }]);
  }
  return {
    kind: 'stdio',
    command: message.command,
    args: message.args,
    ...(message.workingDirectory === '' ? {} : { workingDirectory: message.workingDirectory }),
    sharing: fromSharing(message.sharing),
    maxProcesses: message.maxProcesses === 0 ? DEFAULT_MAX_PROCESSES : message.maxProcesses,
    idleTimeoutMs: message.idleTimeout === undefined ? DEFAULT_IDLE_TIMEOUT_MS : durationMs(message.idleTimeout),
  };
}

function fromSharing(message: SharingMessage): ConnectionSharing {
  switch (message) {
    case SharingMessage.PER_SESSION:
      return 'per_session';
    case SharingMessage.PER_UPSTREAM:
      return 'per_upstream';
    default:
      return 'per_principal';
  }
}
