/** The word of the domain that a value of an enum of the API stands for; undefined for UNSPECIFIED. */
export function fromEnumMessage<Word extends string>(
  values: Readonly<Record<Word, number>>,
  message: number | undefined,
): Word | undefined {
  // Object.keys loses the type of the keys.
  return (Object.keys(values) as Word[]).find((word) => values[word] === message);
}
