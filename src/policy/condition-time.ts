import { type CelFunc, CelScalar, celMethod, objectType } from '@bufbuild/cel';
import { TimestampSchema, timestampMs } from '@bufbuild/protobuf/wkt';
import { getZoneClock } from './zone-clock.ts';

const { INT, STRING } = CelScalar;
const TIMESTAMP = objectType(TimestampSchema);

const DAY = 86_400_000;

/** What the functions read of a date whose UTC fields are the local time asked for. */
const readers: Readonly<Record<string, (local: Date) => number>> = {
  getFullYear: (local) => local.getUTCFullYear(),
  getMonth: (local) => local.getUTCMonth(),
  getDate: (local) => local.getUTCDate(),
  getDayOfMonth: (local) => local.getUTCDate() - 1,
  getDayOfWeek: (local) => local.getUTCDay(),
  getDayOfYear: (local) => Math.floor((local.getTime() - new Date(local).setUTCMonth(0, 1)) / DAY),
  getHours: (local) => local.getUTCHours(),
  getMinutes: (local) => local.getUTCMinutes(),
  getSeconds: (local) => local.getUTCSeconds(),
  getMilliseconds: (local) => local.getUTCMilliseconds(),
};

/** The functions that read the clock of a timestamp; those of the package go through the time zone of the process. */
export function createTimeFunctions(): CelFunc[] {
  return Object.entries(readers).flatMap(([name, read]) => [
    celMethod(name, TIMESTAMP, [], INT, function () {
      return BigInt(read(new Date(timestampMs(this.message))));
    }),
    celMethod(name, TIMESTAMP, [STRING], INT, function (zone) {
      const time = timestampMs(this.message);
      return BigInt(read(new Date(time + getOffset(zone, time))));
    }),
  ]);
}

/** Whether a function takes a time zone as its argument. */
export function takesTimeZone(name: string): boolean {
  return Object.hasOwn(readers, name);
}

const fixedOffset = /^(?<sign>[+-]?)(?<hours>[01]\d|2[0-3]):(?<minutes>[0-5]\d)$/;

/**
 * How far the time zone, an IANA name or an offset such as `+02:00`, is ahead of UTC at a Unix time, both in milliseconds.
 *
 * @throws RangeError when there is no such zone
 */
export function getOffset(zone: string, time: number): number {
  const { sign, hours, minutes } = fixedOffset.exec(zone)?.groups ?? {};
  if (hours === undefined) return getZoneClock(zone)(time);
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === '-' ? -offset : offset;
}
