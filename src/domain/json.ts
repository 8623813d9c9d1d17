/** A JSON object as parsed. */
export type JsonObject = Readonly<Record<string, unknown>>;
