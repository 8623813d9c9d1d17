import type { HttpRequest, HttpResponse } from '../mcp/exchange.ts';

/** A request at the edge, before anybody knows whose it is. */
export interface EdgeRequest {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly requestId: string;
  /** Without the query. */
  readonly path: string;
}
