/** Methods of all revisions that neither run a tool nor hand out contents. */
export const UNGOVERNED_METHODS: readonly string[] = [
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/subscribe',
  'resources/unsubscribe',
  'subscriptions/listen',
  'logging/setLevel',
  'completion/complete',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/cancel',
];

/** All methods that the gateway knows. */
export const KNOWN_METHODS: readonly string[] = [...UNGOVERNED_METHODS, 'tools/call', 'prompts/get', 'resources/read'];
