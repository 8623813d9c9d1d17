import type { DescFile, DescService } from '@bufbuild/protobuf';
import { createRegistry, type Registry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** The schema of what is served, with everything it imports. */
export interface SchemaFiles {
  readonly services: readonly string[];
  /** A file by its path, such as `portcullis/v1/scope.proto`. */
  findFile(path: string): DescFile | undefined;
  /** The file that defines a type, service, method, field or enum value by its full name. */
  findFileOf(symbol: string): DescFile | undefined;
  /** The file that extends a message with this field number. */
  findExtensionFile(typeName: string, fieldNumber: number): DescFile | undefined;
  /** Field numbers of all extensions of a message, ascending; undefined when the message is not known. */
  findExtensionNumbers(typeName: string): readonly number[] | undefined;
  /** The file and all it imports, each as a binary FileDescriptorProto, imports after importers. */
  closureOf(file: DescFile): readonly Uint8Array[];
}

/** Collects the schema of services and of further files that no service imports. */
export function createSchemaFiles(services: readonly DescService[], further: readonly DescFile[]): SchemaFiles {
  const files = closure([...services.map(({ file }) => file), ...further]);
  const registry = createRegistry(...files.values());
  return {
    services: services.map(({ typeName }) => typeName).sort(),
    findFile: (path) => files.get(path),
    findFileOf: (symbol) => findFileOf(registry, symbol),
    findExtensionFile(typeName, fieldNumber) {
      const message = registry.getMessage(typeName);
      return message && registry.getExtensionFor(message, fieldNumber)?.file;
    },
    findExtensionNumbers(typeName) {
      const extensions = [...files.values()].flatMap((file) => file.extensions);
      const own = extensions.filter(({ extendee }) => extendee.typeName === typeName).map(({ number }) => number);
      return registry.getMessage(typeName) && own.sort((a, b) => a - b);
    },
    closureOf: (file) => [...closure([file]).values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)),
  };
}

/** The files and all they import, by path. */
function closure(roots: readonly DescFile[]): Map<string, DescFile> {
  const files = new Map<string, DescFile>();
  const waiting = [...roots];
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const path = file.proto.name;
    if (!files.has(path)) {
      files.set(path, file);
      waiting.push(...file.dependencies);
    }
  }
  return files;
}

/** Methods, fields and enum values are found by the type that holds them. */
function findFileOf(registry: Registry, symbol: string): DescFile | undefined {
  const name = symbol.replace(/^\./, '');
  const type = registry.get(name);
  if (type !== undefined) {
    return type.file;
  }
  const cut = name.lastIndexOf('.');
  const [holder, member] = [registry.get(name.slice(0, cut)), name.slice(cut + 1)];
  switch (holder?.kind) {
    case 'service':
      return holder.methods.some((method) => method.name === member) ? holder.file : undefined;
    case 'message':
      return holder.fields.some((field) => field.name === member) ? holder.file : undefined;
    default:
      return undefined;
  }
}
