// The mutation proof of the simulator: bugs that others have had, each planted into a copy of the compiled program, and run
// until a checker sees it as what it is; and as a control the unchanged program, on the same seeds with the same options, in
// which nothing may be seen. A program of its own:
// `node build/test/simulate/plants.js [--seeds K] [--hours H] [--control SEEDS] [NAME...]` prints, for each plant, the seeds it
// took and the promise that was broken; `--control 0` leaves the control out. Nothing of this is a switch in the product.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { Invariant } from '../../clients/simulate/checkers/violation.ts'
import { PLANTS, type Plant } from './planted.ts'

export interface Caught {
  readonly plant: string
  /** How many seeds it took; null: not within the limit. */
  readonly seeds: number | null
  readonly invariant: Invariant | null
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
  return { plant: plant.name, seeds: null, invariant: null, message: '' }
}

/** Whether a plant was seen, and as what it is. */
export function verdictOf(plant: Plant, { seeds, invariant, message }: Caught): { holds: boolean; line: string } {
  if (seeds === null || invariant === null) return { holds: false, line: `${plant.name}: NOT SEEN` }
  const line = `${plant.name}: ${seeds} seeds, ${message}`
  if (plant.expected.includes(invariant)) return { holds: true, line }
  return { holds: false, line: `${line}\n  SEEN AS ANOTHER: ${invariant}, not ${plant.expected.join(' or ')}` }
}

/** Of each set of faults one plant, and the seeds that the unchanged program has to run with it: as many as were taken, and
 *  with all faults `least`. */
export function controlsOf(caught: readonly (readonly [Plant, number | null])[], least: number): [Plant, number][] {
  const controls = new Map<string, [Plant, number]>()
  for (const [plant, taken] of caught) {
    const key = plant.kinds?.join() ?? 'all'
    const wanted = Math.max(taken ?? 0, plant.kinds === undefined ? least : 0, controls.get(key)?.[1] ?? 0)
    controls.set(key, [plant, wanted])
  }
  return [...controls.values()].filter(([, seeds]) => seeds > 0)
}

const OPTIONS = {
  seeds: { type: 'string', default: '1000' },
  hours: { type: 'string', default: '0.05' },
  seed: { type: 'string', default: '1' },
  control: { type: 'string', default: '50' },
  tree: { type: 'string' }
} as const

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS })
  const [firstSeed, seeds, hours, least] = [values.seed, values.seeds, values.hours, values.control].map(Number) as [
    ...[number, number, number, number]
  ]
  if (!(firstSeed >= 0 && seeds >= 1 && hours > 0 && least >= 0)) throw new Error('a number was expected')
  const chosen = PLANTS.filter(({ name }) => positionals.length === 0 || positionals.some(word => name.includes(word)))
  if (chosen.length === 0) throw new Error(`no plant has ${positionals.join(' or ')} in its name`)
  if (values.tree !== undefined) {
    const caught = await search(chosen[0] as Plant, values.tree, { firstSeed, seeds, ms: hours * 3_600_000 })
    process.stdout.write(`${JSON.stringify(caught)}\n`)
    return
  }
  const inProcess = (each: Plant, tree: string, count: number): Caught => {
    const numbers = [`--seed=${firstSeed}`, `--seeds=${count}`, `--hours=${hours}`]
    const args = [fileURLToPath(import.meta.url), each.name, `--tree=${tree}`, ...numbers]
    const said = execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
    return JSON.parse(said.trim().split('\n').at(-1) as string)
  }
  const say = ({ holds, line }: { holds: boolean; line: string }): void => {
    process.stdout.write(`${line}\n`)
    if (!holds) process.exitCode = 1
  }
  const taken: [Plant, number | null][] = []
  for (const each of chosen) {
    const tree = path.join(BUILD, '../.work/plants', each.name.replaceAll(' ', '-'))
    plant(each, tree)
    const caught = inProcess(each, tree, seeds)
    taken.push([each, caught.seeds])
    say(verdictOf(each, caught))
    rmSync(tree, { recursive: true, force: true })
  }
  if (least === 0) return
  for (const [each, count] of controlsOf(taken, least)) {
    const { seeds: broken, message } = inProcess(each, BUILD, count)
    const name = `control, nothing planted, ${each.kinds?.join(', ') ?? 'all faults'}`
    const end = broken === null ? `nothing seen in ${count} seeds` : `BROKEN after ${broken} seeds, ${message}`
    say({ holds: broken === null, line: `${name}: ${end}` })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
