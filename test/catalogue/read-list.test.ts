import { expect, test } from 'vitest';
import { LIST_KINDS, type ListKind } from '../../src/catalogue/list-kinds.ts';
import { readList } from '../../src/catalogue/read-list.ts';

const TOOLS = LIST_KINDS.find(({ field }) => field === 'tools') as ListKind; // it is one of them

test('one item that is nested too deeply is left out, and takes no other away', async () => {
  const deep = `{"name":"deep","inputSchema":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`;
  const page = JSON.parse(`{"tools":[{"name":"first"},${deep},{"name":"last"}]}`);

  const read = await readList(async () => page, TOOLS);

  expect(read.items).toEqual([{ name: 'first' }, { name: 'last' }]);
  expect(read.flaw).toBe('too_large');
});
