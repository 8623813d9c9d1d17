import { type FieldViolation, GatewayError } from '../domain/errors.ts';

/** Collects what is wrong at one place of a policy and below. */
export interface Report {
  /** The report of a place below, such as `rules[0]` or `id`. */
  at(place: string): Report;
  add(description: string): void;
  /** Runs what refuses with a GatewayError, and reports its message. */
  try(action: () => void): void;
}

/** Makes the report of a field; everything that is added ends up in `violations`. */
export function createReport(field: string, violations: FieldViolation[]): Report {
  const add = (description: string) => {
    violations.push({ field, description });
  };
  return {
    at: (place) => createReport(`${field}.${place}`, violations),
    add,
    try(action) {
      try {
        action();
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        add(error.message);
      }
    },
  };
}
