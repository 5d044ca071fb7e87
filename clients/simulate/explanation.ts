// What people are told of a run that broke a promise: which, when, by which faults (as few as were found to do), what the
// brokers wrote last, and the command that runs just that again.
import { FAULT_KINDS, type Fault, shownFault } from './faults.ts'
import type { LogLine } from './node.ts'
import { type RunOptions, type RunResult, simulate } from './run.ts'
import { shrink } from './shrink.ts'
import type { Struck } from './statistics.ts'

const LINES_SHOWN = 15

/** As it was asked for: what a command line can say again. */
interface Asked {
  readonly options: RunOptions
  readonly hours: number
}

export async function explain(
  result: RunResult,
  asked: Asked,
  tries: number,
  print: (line: string) => void
): Promise<void> {
  const { violation, atMs, drawn, seed } = result
  print(`  ${violation?.message}`)
  print(`  at ${seconds(atMs)} of the run with seed ${seed}; ${drawn.length} faults were drawn`)
  let shortest = result
  const fails = async (faults: readonly Fault[]): Promise<boolean> => {
    const again = await simulate({ ...asked.options, faults })
    const isSame = again.violation?.invariant === violation?.invariant
    if (isSame) shortest = again
    return isSame
  }
  const before = result.faults.filter(each => each.atMs <= atMs)
  const shrunk = await shrink(before, fails, tries)
  print(tries === 0 ? '  what struck:' : `  what struck, as little as was found in ${shrunk.tries} more runs:`)
  const { brokers } = asked.options
  for (const each of shortest.struck) print(`    ${shownStruck(each, drawn, brokers)}`)
  if (shortest.struck.length === 0) print('    nothing: it fails without any fault')
  if (shortest !== result) print(`  then, at ${seconds(shortest.atMs)}: ${shortest.violation?.message}`)
  print('  what the brokers wrote last:')
  for (const line of shortest.lines.slice(-LINES_SHOWN)) print(`    ${shownLine(line)}`)
  print(`  again: ${commandFor(asked, shrunk.faults.length < result.faults.length ? shrunk.faults : null, drawn)}`)
}

/** Who was struck may be another than who was drawn: then the one that was drawn could not be. */
function shownStruck({ kind, node, fromMs, toMs, fault }: Struck, drawn: readonly Fault[], brokers: number): string {
  const number = fault === undefined ? '' : ` (drawn as ${drawn.indexOf(fault)})`
  const end = Number.isFinite(toMs) ? `to ${seconds(toMs)}` : 'not over'
  const as = fault ?? { other: brokers, ms: 0, dice: 0 }
  return `${shownFault({ ...as, kind, node, atMs: fromMs }, brokers)}, ${end}${number}`
}

function shownLine({ atMs, nodeId, level, msg, fields }: LogLine): string {
  const said = JSON.stringify(fields)
  return `${seconds(atMs)} broker ${nodeId} ${level} ${msg} ${said.length > 300 ? `${said.slice(0, 300)}...` : said}`
}

/** `faults` null: those of the seed. */
export function commandFor(
  { options, hours }: Asked,
  faults: readonly Fault[] | null,
  drawn: readonly Fault[]
): string {
  const { seed, brokers, kinds, everyMs, rest = 1, only } = options
  const words = ['moldau sim', `--seed ${seed}`, `--hours ${hours}`]
  if (brokers !== 3) words.push(`--brokers ${brokers}`)
  const isNone = kinds.length === 0 || faults?.length === 0
  if (isNone) words.push('--faults none')
  else if (kinds.length < FAULT_KINDS.length) words.push(`--faults ${kinds.join(',')}`)
  if (everyMs !== undefined) words.push(`--every ${everyMs / 1000}`)
  if (rest !== 1) words.push(`--rest ${rest}`)
  const numbers = faults === null ? only : faults.map(each => drawn.indexOf(each))
  if (!isNone && numbers !== undefined) words.push(`--only ${numbers.join(',')}`)
  return words.join(' ')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`
}
