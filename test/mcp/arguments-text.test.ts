import { expect, test } from 'vitest';
import { argumentsText } from '../../src/mcp/arguments-text.ts';

test.each([
  ['{"id":1,"params":{"name":"a","arguments":{"n":1.0}}}', '{"n":1.0}'],
  ['{"params" : { "arguments" :\n[ {"a":"}]"} , 2 ] , "name":"x"} }', '[ {"a":"}]"} , 2 ]'],
  ['{"params":{"arguments":"a \\" , } b","name":"x"}}', '"a \\" , } b"'],
  ['{"params":{"arguments":-1.5e3}}', '-1.5e3'],
  ['{"params":{"arguments":null,"x":{}}}', 'null'],
  ['{"result":{"arguments":1},"params":{"_meta":{"arguments":2},"\\u0061rguments":3}}', '3'],
  ['{"arguments":1,"params":{}}', undefined],
  ['{"params":{"_meta":{"arguments":2}}}', undefined],
  ['{"method":"x"}', undefined],
])('the arguments in %s are written %s', (message, text) => {
  JSON.parse(message);
  expect(argumentsText(message)).toBe(text);
});
