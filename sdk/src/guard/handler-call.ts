/** One call of a tool's handler, as the MCP SDKs make it. */
export interface HandlerCall {
  readonly toolName: string;
  /** What the handler gets as arguments; `{}` for a tool without an input schema. */
  readonly args: unknown;
  /** What the handler gets beside its arguments. */
  readonly extra: unknown;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal | undefined;
}

/** Reads the parameters of a handler: `(args, extra)`, or `(extra)` when the tool has no input schema, or `(args)`. */
export function readHandlerCall(toolName: string, params: readonly unknown[]): HandlerCall {
  const [first, second] = params;
  // Arguments that only look like an extra must not pass for a call without arguments: a signal can't come from a client.
  const isExtraOnly = params.length === 1 && findSignal(first) !== undefined;
  const extra = isExtraOnly ? first : second;
  return { toolName, args: isExtraOnly || first === undefined ? {} : first, extra, signal: findSignal(extra) };
}

/** The signal of the extra: its own in the MCP SDK 1.x, that of its `mcpReq` in 2.x. */
function findSignal(extra: unknown): AbortSignal | undefined {
  const own = propertyOf(extra, 'signal');
  const signal = own ?? propertyOf(propertyOf(extra, 'mcpReq'), 'signal');
  return isSignal(signal) ? signal : undefined;
}

function propertyOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

/** By its methods, since a runtime may have more than one class of this name. */
function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof propertyOf(value, 'aborted') === 'boolean' && typeof propertyOf(value, 'addEventListener') === 'function'
  );
}
