// The rules of the house that no compiler knows: layers and rooms of imports, names and sizes of files, what a folder
// must hold. A rule is a pure function over { path -> text }, so that each is also run on a planted offence.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'tap'

type Tree = ReadonlyMap<string, string>
type Rule = (tree: Tree) => string[]

const FOLDERS = ['broker', 'protocol', 'storage', 'replication', 'clients', 'test', 'scripts']
const MAY_IMPORT: Record<string, readonly string[]> = {
  protocol: [],
  storage: ['protocol'],
  replication: ['protocol'],
  broker: ['protocol', 'storage', 'replication'],
  // Its brokers live on disks of its own making: in this process, and in the simulated world.
  clients: ['protocol', 'storage', 'broker'],
  test: FOLDERS,
  scripts: FOLDERS
}

/** Packages and node modules that have one room each; a room is a path or the beginning of one. */
const ROOMS: Record<string, readonly string[]> = {
  fastify: ['broker/http/'],
  level: ['storage/catalog.ts', 'storage/snapshot-cache.ts'],
  'classic-level': ['storage/catalog.ts', 'storage/snapshot-cache.ts'],
  msgpackr: ['storage/'],
  kafkajs: ['clients/'],
  'node:fs': ['storage/files-node.ts', 'broker/cli.ts', 'clients/'],
  'node:fs/promises': ['storage/files-node.ts', 'broker/cli.ts', 'clients/'],
  'node:net': ['broker/net/', 'broker/peers.ts', 'clients/'],
  'node:tls': ['broker/net/', 'broker/peers.ts', 'clients/'],
  'node:child_process': ['clients/']
}
/** pino itself lives in one file; its types may be imported anywhere in broker. */
const PINO_ROOM = 'broker/log.ts'
const MAX_LINES = 400
const VAGUE = /(^|[/-])(utils?|helpers?|manager|misc|common)([-.]|$)/

const sources = (tree: Tree): [string, string][] => [...tree].filter(([path]) => path.endsWith('.ts'))
const folderOf = (path: string): string => path.split('/')[0] ?? ''
const isProduct = (path: string): boolean => !/^(test|scripts)\//.test(path)

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

function importsOf(text: string): Import[] {
  const found: Import[] = []
  for (const match of text.matchAll(/^\s*(import|export)\s+(type\s)?[^'"()]*?from\s+'([^']+)'/gm)) {
    found.push({ from: match[3] as string, typeOnly: match[2] !== undefined })
  }
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g))
    found.push({ from: match[1] as string, typeOnly: false })
  for (const match of text.matchAll(/^import\s+'([^']+)'/gm)) found.push({ from: match[1] as string, typeOnly: false })
  return found
}

function resolveFrom(path: string, specifier: string): string {
  const parts = path.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

/** The command line is the door to everything; nothing imports it. */
const COMMAND_LINE = 'broker/cli.ts'

const layers: Rule = tree =>
  sources(tree)
    .filter(([path]) => path !== COMMAND_LINE)
    .flatMap(([path, text]) =>
      importsOf(text)
        .filter(each => each.from.startsWith('.'))
        .map(each => folderOf(resolveFrom(path, each.from)))
        .filter(to => to !== folderOf(path) && FOLDERS.includes(to) && !MAY_IMPORT[folderOf(path)]?.includes(to))
        .map(to => `${path} imports ${to}/`)
    )

const rooms: Rule = tree =>
  sources(tree)
    .filter(([path]) => isProduct(path))
    .flatMap(([path, text]) =>
      importsOf(text)
        .filter(({ from, typeOnly }) => {
          if (from === 'pino') return path !== PINO_ROOM && !(typeOnly && path.startsWith('broker/'))
          return ROOMS[from] !== undefined && !ROOMS[from].some(room => path.startsWith(room))
        })
        .map(({ from }) => `${path} imports ${from}`)
    )

/** Groups, transactions and shares are pure but for the files that perform their I/O. */
const pureMachines: Rule = tree =>
  sources(tree)
    .filter(
      ([path]) => /^broker\/(groups|transactions|shares)\//.test(path) && !/\/(shard|coordinator)\.ts$/.test(path)
    )
    .flatMap(([path, text]) =>
      importsOf(text)
        .filter(each => each.from.startsWith('.') && !each.typeOnly)
        .map(each => resolveFrom(path, each.from))
        .filter(to => folderOf(to) !== 'protocol' && !to.startsWith(path.split('/').slice(0, 2).join('/')))
        .map(to => `${path} imports ${to}`)
    )

const noHiddenTime: Rule = tree =>
  sources(tree)
    .filter(
      ([path]) => /^(protocol|storage|replication|broker\/groups)\//.test(path) && path !== 'storage/files-node.ts'
    )
    .flatMap(([path, text]) =>
      text
        .split('\n')
        .map((line, index) => [line.replace(/\/\/.*|^\s*\*.*/g, ''), index + 1] as const)
        .filter(([line]) =>
          /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval)\b|new Date\(\)/.test(line)
        )
        .map(([, number]) => `${path}:${number} takes time or chance from the process`)
    )

const names: Rule = tree =>
  [...tree.keys()].filter(path => VAGUE.test(path)).map(path => `${path} has a name that says nothing`)

const sizes: Rule = tree =>
  sources(tree)
    .filter(([, text]) => text.split('\n').length > MAX_LINES + 1)
    .map(([path, text]) => `${path} has ${text.split('\n').length} lines`)

const headers: Rule = tree =>
  sources(tree)
    .filter(([, text]) => !/^(#!.*\n)?(\/\/|\/\*\*)/.test(text))
    .map(([path]) => `${path} does not open with what it is for`)

const leftovers: Rule = tree =>
  sources(tree)
    .filter(([path]) => path !== 'test/tidy.test.ts')
    .flatMap(([path, text]) =>
      text
        .split('\n')
        .map((line, index) => [line, index + 1] as const)
        .filter(([line]) => /\b(FIXME|TODO|XXX)\b|\btest\.(only|skip)\(|debugger/.test(line))
        .map(([, number]) => `${path}:${number} is a leftover`)
    )

const readmes: Rule = tree =>
  FOLDERS.filter(folder => [...tree.keys()].some(path => path.startsWith(`${folder}/`)))
    .filter(
      folder => !tree.has(`${folder}/README.md`) || (tree.get(`${folder}/README.md`) as string).split('\n').length > 61
    )
    .map(folder => `${folder}/README.md is missing or longer than 60 lines`)

const codeOnlyInFolders: Rule = tree =>
  sources(tree)
    .filter(([path]) => !FOLDERS.includes(folderOf(path)))
    .map(([path]) => `${path} is code outside of the named folders`)

const RULES: Record<string, Rule> = {
  layers,
  rooms,
  pureMachines,
  noHiddenTime,
  names,
  sizes,
  headers,
  leftovers,
  readmes,
  codeOnlyInFolders
}

/** One offence per rule: a rule that does not see its own is no rule. */
const OFFENCES: Record<string, [string, string]> = {
  layers: ['storage/x.ts', "// x\nimport { a } from '../broker/broker.ts'\n"],
  rooms: ['broker/handlers/x.ts', "// x\nimport { readFileSync } from 'node:fs'\n"],
  pureMachines: ['broker/groups/x.ts', "// x\nimport { a } from '../machine.ts'\n"],
  noHiddenTime: ['replication/x.ts', '// x\nexport const now = Date.now()\n'],
  names: ['broker/string-utils.ts', '// x\n'],
  sizes: ['protocol/x.ts', `// x\n${'\n'.repeat(MAX_LINES + 1)}`],
  headers: ['protocol/x.ts', 'export const a = 1\n'],
  leftovers: ['protocol/x.ts', '// x\n// FIXME later\n'],
  readmes: ['clients/x.ts', '// x\n'],
  codeOnlyInFolders: ['lib/x.ts', '// x\n']
}

function readTree(): Tree {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { encoding: 'utf8' })
  const paths = listed.split('\0').filter(path => /\.(ts|md)$/.test(path))
  const tree = new Map<string, string>()
  for (const path of paths) {
    try {
      tree.set(path, readFileSync(path, 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error // Deleted, but still in the index.
    }
  }
  return tree
}

const tree = readTree()
for (const [name, rule] of Object.entries(RULES)) {
  test(name, async t => {
    t.same(rule(tree), [], 'the tree keeps the rule')
    const [path, text] = OFFENCES[name] as [string, string]
    t.not(rule(new Map([[path, text]])).length, 0, 'a planted offence is seen')
  })
}
