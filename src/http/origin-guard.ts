import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../domain/errors.ts';

export interface OriginGuardOptions {
  /** Host names that requests may name, without port; `*` allows any. */
  readonly allowedHosts: readonly string[];
  /** Origins of web pages that may call, such as `https://console.example.com`; `*` allows any. */
  readonly corsOrigins: readonly string[];
}

export type OriginGuard = ReturnType<typeof createOriginGuard>;

/**
 * Refuses requests that a web page of another site made a browser send (specification 2026-07-28, basic/transports/streamable-http,
 * section Security & Endpoint): Host must be a name of this gateway, Origin one that is configured or the gateway's own.
 */
export function createOriginGuard(options: OriginGuardOptions) {
  const hosts = new Set(options.allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(options.corsOrigins);
  const okHosts = new Map<string, boolean>();

  /** @throws GatewayError `permission_denied` that names the setting which would allow the request */
  function check(headers: IncomingHttpHeaders): void {
    const host = headers.host ?? authorityOf(headers);
    if (!isAllowedHost(host)) {
      const message = `The host '${host}' is not a name of this gateway. If it is, add it to GATEWAY_ALLOWED_HOSTS.`;
      throw new GatewayError('permission_denied', message);
    }
    const origin = headers.origin;
    if (origin !== undefined && !isAllowedOrigin(origin)) {
      const message = `The origin '${origin}' may not call this gateway. If it should, add it to GATEWAY_CORS_ORIGINS.`;
      throw new GatewayError('permission_denied', message);
    }
  }

  function isAllowedHost(host: string): boolean {
    let allowed = okHosts.get(host);
    if (allowed === undefined) {
      allowed = hosts.has('*') || hosts.has(nameOf(host));
      if (okHosts.size < 100) {
        okHosts.set(host, allowed);
      }
    }
    return allowed;
  }

  function isAllowedOrigin(origin: string): boolean {
    if (origins.has('*') || origins.has(origin)) {
      return true;
    }
    const url = URL.parse(origin);
    return url !== null && hosts.has(nameOf(url.host));
  }

  /** Headers that let the page behind an allowed origin read the answer; empty for other callers. */
  function corsHeaders(origin: string | undefined): Record<string, string> {
    if (origin === undefined || !(origins.has('*') || origins.has(origin))) {
      return {};
    }
    return { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED, vary: 'Origin' };
  }

  /** Headers that answer a preflight request. */
  function preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
    return {
      ...corsHeaders(headers.origin),
      'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
      'access-control-allow-headers': headers['access-control-request-headers'] ?? '',
      'access-control-max-age': '7200',
    };
  }

  return { check, corsHeaders, preflightHeaders };
}

const EXPOSED =
  'mcp-session-id, mcp-protocol-version, x-request-id, grpc-status, grpc-message, grpc-status-details-bin, www-authenticate';

function authorityOf(headers: IncomingHttpHeaders): string {
  const authority = headers[':authority'];
  return typeof authority === 'string' ? authority : '';
}

/** The name in a Host value, without port and brackets, in lower case. */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(host)?.[1];
  return (bracketed ?? host.replace(/:\d+$/, '')).toLowerCase();
}
