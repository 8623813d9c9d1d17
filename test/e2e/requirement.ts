/** Something that product.md, mcp.md or the Must show demands of this release. */
export interface Requirement {
  /** Cited as `[id]` in the name of the test that proves it. */
  readonly id: string;
  readonly text: string;
  /** Where it is demanded. */
  readonly source: string;
  /** `file: name` of proofs that do not cite the id themselves; the name as it is written in the file. */
  readonly citedBy?: readonly string[];
}
