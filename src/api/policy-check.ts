import type { FieldViolation } from '../domain/errors.ts';
import type { Policy, PolicyContent } from '../domain/policy.ts';
import { checkAmongOthers, checkContent, checkPolicy } from '../policy/check-policy.ts';
import { createValidationError } from './validation.ts';

/** Where a request has the content that is checked. */
export type ContentField = 'content' | 'draft' | 'version';

/**
 * Refuses content that could not work, by itself or together with the project's other policies. Throws `validation_failed` with the place
 * in each violation: below the field of the request, or in its text when the request only names a version.
 */
export function requireWorkable(field: ContentField, content: PolicyContent, others: readonly Policy[]): void {
  refuse(field, checkPolicy(content, others));
}

/** The part of {@link requireWorkable} that looks at the content alone: for before the configuration is locked, since it may take long. */
export function requireWorkableAlone(field: ContentField, content: PolicyContent): void {
  refuse(field, checkContent(content));
}

/** The part of {@link requireWorkable} that depends on the other policies. */
export function requireWorkableAmong(field: ContentField, content: PolicyContent, others: readonly Policy[]): void {
  refuse(field, checkAmongOthers(content, others));
}

function refuse(field: ContentField, violations: readonly FieldViolation[]): void {
  if (violations.length > 0) {
    throw createValidationError(
      violations.map((violation) => {
        const place = violation.field.replace(/^content(?=$|[.[])/, field);
        return field === 'version'
          ? { field, description: `cannot be put in force: ${violation.field} ${violation.description}` }
          : { field: place, description: violation.description };
      }),
    );
  }
}
