// The mutation proof of the simulator: bugs that others have had, each planted into a copy of the compiled program, and run
// until a checker sees it. A program of its own: `node build/test/simulate/plants.js [--seeds K] [--hours H] [NAME...]`
// prints, for each, the seeds it took and the promise that was broken. Nothing of this is a switch in the product.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { PLANTS, type Plant } from './planted.ts'

export interface Caught {
  readonly plant: string
  /** How many seeds it took; null: not within the limit. */
  readonly seeds: number | null
  readonly invariant: string
  readonly message: string
}

export interface SearchOptions {
  readonly firstSeed: number
  readonly seeds: number
  readonly ms: number
}

const FOLDERS = ['broker', 'clients', 'protocol', 'replication', 'storage', 'node_modules']

/** The compiled tree that this file belongs to. */
export const BUILD = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')

/** A copy of the compiled program with the bug in it. Throws where the place for it is not found exactly once. */
export function plant({ name, changes }: Plant, into: string, build = BUILD): void {
  rmSync(into, { recursive: true, force: true })
  mkdirSync(into, { recursive: true })
  for (const folder of FOLDERS) {
    if (folder === 'node_modules') continue
    cpSync(path.join(build, folder), path.join(into, folder), {
      recursive: true,
      filter: from => !/\.(map|d\.ts)$/.test(from)
    })
  }
  for (const change of changes) {
    const text = placeOf(name, change, into)
    writeFileSync(
      path.join(into, change.file),
      text.replace(change.find, () => change.replace)
    )
  }
}

/** The text of the file that is to be changed. Throws where it is not clear what to change there. */
export function placeOf(name: string, { file, find }: Plant['changes'][number], build = BUILD): string {
  const text = readFileSync(path.join(build, file), 'utf8')
  const count = text.split(find).length - 1
  if (count !== 1) throw new Error(`plant '${name}': found ${count} times in ${file}, not once: ${find}`)
  return text
}

/** Runs seeds on a planted tree, in this process. */
export async function search(plant: Plant, tree: string, o: SearchOptions): Promise<Caught> {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(path.join(tree, file)).href)
  const { simulate } = (await load('clients/simulate/run.js')) as typeof import('../../clients/simulate/run.ts')
  const { FAULT_KINDS } = (await load(
    'clients/simulate/faults.js'
  )) as typeof import('../../clients/simulate/faults.ts')
  const kinds = plant.kinds ?? FAULT_KINDS
  for (let seed = o.firstSeed; seed < o.firstSeed + o.seeds; seed++) {
    const { violation } = await simulate({ seed, ms: o.ms, brokers: 3, kinds, everyMs: 8000 })
    if (violation === null) continue
    const seeds = seed - o.firstSeed + 1
    return { plant: plant.name, seeds, invariant: violation.invariant, message: violation.message }
  }
  return { plant: plant.name, seeds: null, invariant: '', message: '' }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '1000' },
      hours: { type: 'string', default: '0.05' },
      seed: { type: 'string', default: '1' },
      tree: { type: 'string' }
    }
  })
  const options = { firstSeed: Number(values.seed), seeds: Number(values.seeds), ms: Number(values.hours) * 3_600_000 }
  const chosen = PLANTS.filter(({ name }) => positionals.length === 0 || positionals.some(word => name.includes(word)))
  if (values.tree !== undefined) {
    const caught = await search(chosen[0] as Plant, values.tree, options)
    process.stdout.write(`${JSON.stringify(caught)}\n`)
    return
  }
  for (const each of chosen) {
    const tree = path.join(BUILD, '../.work/plants', each.name.replaceAll(' ', '-'))
    plant(each, tree)
    const args = [fileURLToPath(import.meta.url), each.name, `--tree=${tree}`]
    for (const key of ['seed', 'seeds', 'hours'] as const) args.push(`--${key}=${values[key]}`)
    const said = execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
    const { seeds, message } = JSON.parse(said.trim().split('\n').at(-1) as string) as Caught
    process.stdout.write(`${each.name}: ${seeds === null ? 'NOT SEEN' : `${seeds} seeds, ${message}`}\n`)
    rmSync(tree, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
