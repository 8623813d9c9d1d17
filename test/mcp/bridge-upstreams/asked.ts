/** What the upstreams of both eras ask their clients. */
export const NAME_FORM = {
  mode: 'form' as const,
  message: 'Who are you?',
  requestedSchema: { type: 'object' as const, properties: { name: { type: 'string' as const } }, required: ['name'] },
};

export const SAMPLING = {
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'Capital of France?' } }],
  maxTokens: 10,
};

export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;
