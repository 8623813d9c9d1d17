import { isIPv4 } from 'node:net';

/** Names under which a machine reaches itself. */
export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** True for `localhost`, 127.0.0.0/8 and ::1: nothing outside the machine reaches a listener there. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK_NAMES.includes(host) || (isIPv4(host) && host.startsWith('127.'));
}
