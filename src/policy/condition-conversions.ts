import { type CelFunc, CelScalar, celFunc, celUint, objectType } from '@bufbuild/cel';
import { TimestampSchema, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { GatewayError } from '../domain/errors.ts';
import type { CostMeter } from './condition-cost.ts';

const { BYTES, DOUBLE, INT, STRING, UINT } = CelScalar;

const wholeNumber = /^[+-]?\d{1,20}$/;
const decimalNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const MAX_DECIMAL = 100;

/** Conversions from text that fail for what is no number, and from Unix seconds; with the cost of long texts counted. */
export function createConversions({ spendOnText }: CostMeter): CelFunc[] {
  return [
    celFunc('int', [STRING], INT, (text) => {
      const int = readWhole(text);
      if (BigInt.asIntN(64, int) !== int) throw noNumber();
      return int;
    }),
    celFunc('uint', [STRING], UINT, (text) => {
      const int = readWhole(text);
      if (BigInt.asUintN(64, int) !== int) throw noNumber();
      return celUint(int);
    }),
    celFunc('double', [STRING], DOUBLE, (text) => {
      if (text.length > MAX_DECIMAL || !decimalNumber.test(text)) throw noNumber();
      return Number(text);
    }),
    celFunc('bytes', [STRING], BYTES, (text) => {
      spendOnText(text.length);
      return Buffer.from(text);
    }),
    celFunc('string', [BYTES], STRING, (bytes) => {
      spendOnText(bytes.length);
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    }),
    celFunc('timestamp', [INT], objectType(TimestampSchema), (seconds) => timestampFromMs(Number(seconds) * 1000)),
  ];
}

function readWhole(text: string): bigint {
  if (!wholeNumber.test(text)) throw noNumber();
  return BigInt(text.replace('+', ''));
}

function noNumber(): GatewayError {
  return new GatewayError('policy_denied', 'the condition converts to a number what is none');
}
