import type { Era } from './requests.ts';

/** How long and how often things are measured. */
export interface Plan {
  /** Every target is measured once a round, in turn. */
  readonly rounds: number;
  readonly eras: readonly Era[];
  /** Connections of the closed loop and the seconds one measurement lasts. */
  readonly capacity: readonly { readonly connections: number; readonly seconds: number }[];
  /** Calls a second of the open loop and the seconds one measurement lasts. */
  readonly latency: readonly { readonly rate: number; readonly seconds: number }[];
  readonly latencyEras: readonly Era[];
  /** Seconds of load on each target and era before anything is measured. */
  readonly warmSeconds: number;
  /** Measurements of one kind that may be repeated, in total, because other processes were busy meanwhile. */
  readonly repeats: number;
  readonly starts: number;
  /** Seconds of full load for each era and commit mode in the memory measurement. */
  readonly loadSeconds: number;
  readonly withPostgres: boolean;
  /** False measures the yardstick only: direct and bare proxy. */
  readonly withGateway: boolean;
}

/** The whole measurement, about eleven minutes. */
export const FULL_PLAN: Plan = {
  rounds: 5,
  eras: ['modern', 'legacy'],
  capacity: [
    { connections: 1, seconds: 1 },
    { connections: 16, seconds: 2 },
    { connections: 64, seconds: 2 },
  ],
  latency: [
    { rate: 300, seconds: 1.5 },
    { rate: 3000, seconds: 1 },
  ],
  latencyEras: ['modern', 'legacy'],
  warmSeconds: 2,
  repeats: 10,
  starts: 3,
  loadSeconds: 5,
  withPostgres: true,
  withGateway: true,
};

/** A first impression in under three minutes. */
export const QUICK_PLAN: Plan = {
  ...FULL_PLAN,
  rounds: 2,
  capacity: [
    { connections: 16, seconds: 1 },
    { connections: 64, seconds: 1 },
  ],
  latency: [
    { rate: 300, seconds: 1 },
    { rate: 3000, seconds: 1 },
  ],
  latencyEras: ['modern'],
  warmSeconds: 1,
  repeats: 2,
  starts: 2,
  loadSeconds: 2,
};
