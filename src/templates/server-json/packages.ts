import { type Argument, fixedText, readArguments, toArgs } from './arguments.ts';
import { takeContainerVariables } from './container-variables.ts';
import { type ImportedContent, readKeyValues } from './content.ts';
import { child, DocumentError, type DocumentNode, readText, requireText } from './document.ts';
import { createSettingList, type SettingList } from './inputs.ts';

/** How packages of one kind of registry are run. */
interface Runner {
  /** Commands that can be hinted at; the first one unless another is. */
  readonly commands: readonly string[];
  readonly identifier: RegExp;
  commandLine(parts: CommandParts): string[];
}

interface CommandParts {
  /** Name of the package or image. */
  readonly name: string;
  readonly version: string | undefined;
  /** Host that a document of before October 2025 gives for an image. */
  readonly host: string | undefined;
  readonly runtimeArgs: readonly string[];
  readonly packageArgs: readonly string[];
}

/** Longest name of a package; longer ones would keep the expressions that read it busy. */
const IDENTIFIER_LENGTH = 512;

const VERSION = /^[A-Za-z0-9][A-Za-z0-9.+_!-]*$/;

const RUNNERS: Readonly<Record<string, Runner>> = {
  npm: {
    commands: ['npx'],
    identifier: /^(@[A-Za-z0-9._~-]+\/)?[A-Za-z0-9_~][A-Za-z0-9._~-]*$/,
    commandLine: ({ name, version, runtimeArgs, packageArgs }) => [
      '-y',
      ...runtimeArgs.filter((arg) => arg !== '-y' && arg !== '--yes'),
      atVersion(name, version),
      ...packageArgs,
    ],
  },
  pypi: {
    commands: ['uvx'],
    identifier: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    commandLine: ({ name, version, runtimeArgs, packageArgs }) => [
      ...runtimeArgs,
      // With --from, what follows is the name of a command.
      runtimeArgs.some((arg) => /^--from(=|$)/.test(arg)) ? name : atVersion(name, version),
      ...packageArgs,
    ],
  },
  oci: {
    commands: ['docker', 'podman'],
    identifier: /^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/,
    commandLine: ({ runtimeArgs, packageArgs, ...image }) => [
      'run',
      '-i',
      '--rm',
      ...runtimeArgs.filter((arg, index) => !(index === 0 && arg === 'run') && !ALWAYS_SET.has(arg)),
      toImage(image),
      ...packageArgs,
    ],
  },
};

/** Names that registries have, or had, for kinds of packages. */
const OTHER_NAMES: Readonly<Record<string, string>> = { docker: 'oci' };

const ALWAYS_SET: ReadonlySet<string> = new Set(['-i', '--interactive', '--rm']);

/**
 * Reads a package, which runs as a local process. Where packages come from is decided by the machine's own configuration of npx or uvx: a
 * `registryBaseUrl` counts for images only. Throws a DocumentError for what can't be used.
 */
export function readPackage(node: DocumentNode): ImportedContent {
  const { runner, kind } = readRunner(node);
  requireStdio(child(node, 'transport'));
  const list = createSettingList(node);
  const env = readKeyValues(child(node, 'environmentVariables', 'environment_variables'), list);
  const identifier = child(node, 'identifier', 'name');
  const name = requireText(identifier);
  if (name.length > IDENTIFIER_LENGTH || !runner.identifier.test(name)) {
    throw new DocumentError(identifier, `is not the name of a package of ${kind}`);
  }
  const runtime = readArguments(child(node, 'runtimeArguments', 'runtime_arguments'));
  const names = kind === 'oci' ? takeContainerVariables(runtime, env, list) : { variables: [], rest: runtime };
  const command = readCommand(node, runner, runtime.length > 0);
  const args = runner.commandLine({
    name,
    version: readVersion(child(node, 'version')),
    host: readHost(child(node, 'registryBaseUrl', 'registry_base_url')),
    runtimeArgs: [
      ...withoutPackage(names.rest, name).flatMap((argument) => toArgs(argument, list)),
      ...names.variables,
    ],
    packageArgs: readPackageArgs(node, list),
  });
  return {
    transport: { kind: 'stdio', command, args },
    headers: {},
    env: Object.fromEntries(env),
    settings: list.settings,
  };
}

function readRunner(node: DocumentNode): { runner: Runner; kind: string } {
  const type = child(node, 'registryType', 'registry_type', 'registry_name');
  const name = requireText(type);
  const kind = Object.hasOwn(OTHER_NAMES, name) ? (OTHER_NAMES[name] ?? name) : name;
  const runner = Object.hasOwn(RUNNERS, kind) ? RUNNERS[kind] : undefined;
  if (runner === undefined) {
    throw new DocumentError(type, 'is not a kind of package that the gateway can run: npm, pypi or oci');
  }
  return { runner, kind };
}

function requireStdio(transport: DocumentNode): void {
  if (transport.value === undefined) return; // before September 2025 packages spoke stdio without saying so
  const type = child(transport, 'type');
  if (requireText(type) !== 'stdio') {
    throw new DocumentError(type, 'is not stdio: the gateway speaks to processes that it runs over stdio only');
  }
}

/** The command hinted at. Arguments for another one would mean nothing to it. */
function readCommand(node: DocumentNode, { commands }: Runner, hasArguments: boolean): string {
  const hint = child(node, 'runtimeHint', 'runtime_hint');
  const hinted = readText(hint) ?? '';
  const [usual = ''] = commands;
  if (hinted === '' || commands.includes(hinted)) return hinted || usual;
  if (!hasArguments) return usual;
  throw new DocumentError(
    hint,
    `is not a command that the import knows for this kind of package: ${commands.join(', ')}`,
  );
}

function readVersion(node: DocumentNode): string | undefined {
  const version = readText(node) || undefined;
  if (version === undefined || VERSION.test(version)) return version;
  throw new DocumentError(node, 'must be one version, not a range or a variable');
}

function readHost(node: DocumentNode): string | undefined {
  const text = readText(node) || undefined;
  const host = text === undefined ? undefined : URL.parse(text)?.host;
  if (text !== undefined && !host) throw new DocumentError(node, 'must be a URL');
  return host;
}

function readPackageArgs(node: DocumentNode, list: SettingList): string[] {
  const given = readArguments(child(node, 'packageArguments', 'package_arguments'));
  return given.flatMap((argument) => toArgs(argument, list));
}

/** Some documents name the package among the arguments of the command, too. */
function withoutPackage(args: readonly Argument[], name: string): Argument[] {
  const bare = name.replace(/(:[^/]*|@sha256:.*)$/, '');
  return args.filter((argument) => {
    const text = argument.kind === 'positional' ? fixedText(argument) : undefined;
    return text !== name && text !== bare;
  });
}

function atVersion(name: string, version: string | undefined): string {
  return version === undefined ? name : `${name}@${version}`;
}

function toImage({ name, version, host }: Pick<CommandParts, 'name' | 'version' | 'host'>): string {
  const named = name.includes('/') && /^([^/]*[.:][^/]*|localhost)\//.test(name);
  const image = host === undefined || named ? name : `${host}/${name}`;
  const tagged = /[:@][^/]*$/.test(image);
  return version === undefined || tagged ? image : `${image}:${version}`;
}
