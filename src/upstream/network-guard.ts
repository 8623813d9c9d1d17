import { lookup as resolve } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { buildConnector as Connectors } from 'undici';
import { GatewayError } from '../domain/errors.ts';
import { buildConnector } from './undici.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Decides which addresses an upstream's URL may lead to (SSRF guard). */
export interface NetworkGuard {
  /** The error for an address that may not be reached, or undefined when it may; `address` is an IP address in text form. */
  refusalOf(address: string): GatewayError | undefined;
  /**
   * An undici connector that checks the resolved address at connect time, so a name that changes its address later is
   * caught too. Speaks HTTP/1.1 only: closing the connection is then the cancellation of its one exchange.
   */
  connector(timeoutMs: number): Connectors.connector;
}

/** IPv6 space that is routed on the internet; ipaddr.js calls everything it has no name for `unicast`. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3');

/** Metadata services of clouds that hide outside the link-local range: AWS, Google, Azure, Alibaba. */
const METADATA = ['fd00:ec2::254', 'fd20:ce::254', '168.63.129.16', '100.100.100.200'].map((text) =>
  ipaddr.parse(text),
);

/**
 * Makes the guard from the words `loopback` and `private` and from CIDRs. Public addresses always pass; everything else
 * (link-local, metadata, multicast, unspecified, IPv4 in IPv6 …) only when a CIDR of its own family names it. Throws
 * `validation_failed` for an entry that is neither.
 */
export function createNetworkGuard(allowedNetworks: readonly string[]): NetworkGuard {
  const words = new Set(allowedNetworks.filter(isWord));
  const networks = allowedNetworks.filter((entry) => !isWord(entry)).map(parseNetwork);

  const refusalOf = (text: string): GatewayError | undefined => {
    const address = ipaddr.parse(text);
    const kind = kindOf(address);
    if (kind === 'public' || words.has(kind) || networks.some((network) => contains(network, address))) {
      return undefined;
    }
    return refusal(text, kind);
  };
  return { refusalOf, connector: (timeoutMs) => checkingConnector(refusalOf, timeoutMs) };
}

function isWord(entry: string): boolean {
  return entry === 'loopback' || entry === 'private';
}

function parseNetwork(entry: string): [Address, number] {
  if (!ipaddr.isValidCIDR(entry)) {
    const message = `GATEWAY_UPSTREAM_NETWORKS: "${entry}" is not a network. Write loopback, private, or a CIDR such as 10.1.0.0/16.`;
    throw new GatewayError('validation_failed', message);
  }
  return ipaddr.parseCIDR(entry);
}

function contains(network: [Address, number], address: Address): boolean {
  return network[0].kind() === address.kind() && address.match(network);
}

function kindOf(address: Address): string {
  if (METADATA.some((metadata) => contains([metadata, metadata.kind() === 'ipv4' ? 32 : 128], address))) {
    return 'metadata';
  }
  const range = address.range();
  if (range === 'uniqueLocal') {
    return 'private';
  }
  const isRouted = address.kind() === 'ipv4' || contains(GLOBAL_IPV6, address);
  return range === 'unicast' ? (isRouted ? 'public' : 'reserved') : range;
}

/** The address stays out of the message, which may reach an agent; it is in the cause, which only logs show. */
function refusal(address: string, kind: string): GatewayError {
  const setting = isWord(kind) ? `"${kind}" or its CIDR` : 'its CIDR';
  const message =
    `The upstream's address is not public (${kind}), and such addresses are not allowed. ` +
    `If it is meant to be reached, the operator adds ${setting} to GATEWAY_UPSTREAM_NETWORKS.`;
  return new GatewayError('bad_gateway', message, { cause: new Error(`refused to connect to ${address}`) });
}

function checkingConnector(refusalOf: NetworkGuard['refusalOf'], timeoutMs: number): Connectors.connector {
  const connect = buildConnector({ allowH2: false, timeout: timeoutMs, lookup: checkingLookup(refusalOf) });
  return (options, callback) => {
    const refused = isIP(options.hostname) === 0 ? undefined : refusalOf(options.hostname);
    if (refused === undefined) {
      connect(options, callback);
    } else {
      queueMicrotask(() => callback(refused, null));
    }
  };
}

/** Resolves a name to its allowed addresses only; fails with the first refusal when none is left. */
function checkingLookup(refusalOf: NetworkGuard['refusalOf']): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      const allowed = found.filter(({ address }) => refusalOf(address) === undefined);
      const first = allowed[0];
      if (first === undefined) {
        callback(refusalOf(found[0]?.address ?? '0.0.0.0') ?? new Error('no address'), '');
      } else if (options.all === true) {
        callback(null, allowed);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}
