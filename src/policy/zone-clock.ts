/** Tells how far the local time of a zone is ahead of UTC, in milliseconds, at a Unix time in milliseconds. */
export type ZoneClock = (time: number) => number;

/** All zones change their offset at full quarters of an hour. */
const QUARTER = 900_000;
/** A formatter holds some 50 KiB. */
const MAX_CLOCKS = 500;

/** By name in lower case: case does not count in names of zones. */
const clocks = new Map<string, ZoneClock>();

/**
 * The clock of an IANA time zone, summer time included. It is cheap to ask: a formatter of the zone is used once a quarter of an hour.
 *
 * @throws RangeError when there is no such zone
 */
export function getZoneClock(timeZone: string): ZoneClock {
  const name = timeZone.toLowerCase();
  const known = clocks.get(name);
  if (known !== undefined) {
    return known;
  }
  const clock = createZoneClock(timeZone);
  if (clocks.size >= MAX_CLOCKS) {
    clocks.clear();
  }
  clocks.set(name, clock);
  return clock;
}

function createZoneClock(timeZone: string): ZoneClock {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  let quarter = Number.NaN;
  let offset = 0;
  return (time) => {
    const asked = Math.floor(time / QUARTER);
    if (asked !== quarter) {
      offset = offsetAt(format, asked * QUARTER);
      quarter = asked;
    }
    return offset;
  };
}

function offsetAt(format: Intl.DateTimeFormat, time: number): number {
  const fields: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
  for (const { type, value } of format.formatToParts(time)) {
    fields[type] = Number(value);
  }
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = fields;
  return Date.UTC(year, month - 1, day, hour, minute, second) - time;
}
