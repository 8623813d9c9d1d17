import ipaddr from 'ipaddr.js';

/** What one attacker is likely to own of an address: an IPv4 address, or the /64 of an IPv6 address (RFC 6177). Other text is kept. */
export function addressBlock(address: string): string {
  if (!ipaddr.isValid(address)) {
    return address;
  }
  const parsed = ipaddr.process(address);
  return parsed instanceof ipaddr.IPv6
    ? `${parsed.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`
    : parsed.toString();
}
