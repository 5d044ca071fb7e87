// `npm run bench -- profile ROW`: where a row's time goes. Twice on a fresh broker: once with V8's sampling profiler, whose file stays
// for a browser's developer tools, once with the system calls counted. The first ten lines of each are printed.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunOptions, runRow } from './run.ts'
import { moldauOf, type Place, type Subject, type SubjectOptions } from './subject.ts'
import type { Row } from './workload.ts'

const LINES = 10
/** Samples twice a millisecond. */
const INTERVAL_MICROS = 500
/** Nobody's work: the loop waits. */
const WAITING = new Set(['(idle)', '(root)'])

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
  /** In microseconds of the system's monotonic clock, as process.hrtime has it. */
  readonly startTime: number
}

export interface Span {
  readonly fromMicros: number
  readonly untilMicros: number
}

export interface SelfTime {
  readonly name: string
  readonly ms: number
  /** Of the time in which anything ran. */
  readonly share: number
}

/** The functions that ran most themselves within the span, the largest first. */
export function selfTimes(profile: CpuProfile, { fromMicros, untilMicros }: Span): SelfTime[] {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const micros = new Map<string, number>()
  let at = profile.startTime
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? '(unknown)'
    const delta = profile.timeDeltas[index] ?? 0
    at += delta
    if (WAITING.has(name) || at < fromMicros || at > untilMicros) continue
    micros.set(name, (micros.get(name) ?? 0) + Math.max(0, delta))
  }
  const total = [...micros.values()].reduce((sum, each) => sum + each, 0)
  return [...micros].map(([name, each]) => ({ name, ms: each / 1000, share: each / total })).sort((a, b) => b.ms - a.ms)
}

function nameOf({ functionName, url, lineNumber }: ProfileNode['callFrame']): string {
  if (url === '') return functionName || '(native)'
  const file = url.startsWith('node:') ? url : url.split('/').slice(-3).join('/')
  return `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`
}

/** The summary of `strace -c`: share, seconds, calls and name of each call. */
export function callsOf(text: string): string[] {
  const lines = text.split('\n').filter(line => /^\s*\d+\.\d+\s/.test(line))
  return lines.filter(line => !line.trimEnd().endsWith(' total'))
}

/** The modules of the build, not its bundle: their names say where a function stands. */
function subjectOf(build: string, options: SubjectOptions): Subject {
  return moldauOf('moldau', build, { ...options, asModules: true })
}

/** Counts while a row is measured: attaches when the broker is first asked for. */
function counted(subject: Subject, file: string): { subject: Subject; stop: () => Promise<void> } {
  let tracer: ChildProcess | undefined
  const attach = (place: Place | null): Place | null => {
    const pid = place?.pids[0]
    tracer ??= spawn('strace', ['-c', '-S', 'calls', '-f', '-q', '-p', String(pid), '-o', file], { stdio: 'ignore' })
    return place
  }
  return {
    subject: { ...subject, place: async row => attach(await subject.place(row)) },
    stop: async () => {
      if (tracer === undefined || tracer.exitCode !== null) return
      const gone = once(tracer, 'exit')
      tracer.kill('SIGINT')
      await gone
    }
  }
}

async function profiled(row: Row, build: string, place: SubjectOptions, options: RunOptions, directory: string) {
  const flags = ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-interval=${INTERVAL_MICROS}`]
  const subject = subjectOf(build, { ...place, nodeFlags: flags })
  let fromMicros = 0
  const progress = (text: string) => {
    if (/: round /.test(text)) fromMicros = Number(process.hrtime.bigint() / 1000n)
    options.progress(text)
  }
  const result = await runRow(row, [subject], { ...options, progress })
  await subject.end()
  for (const note of result.notes) console.error(`${row.name}: ${note}`)
  const file = readdirSync(directory).find(each => each.endsWith('.cpuprofile'))
  if (file === undefined) throw new Error('the broker left no profile')
  const times = selfTimes(JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile, {
    ...{ fromMicros, untilMicros: fromMicros + options.seconds * 1e6 }
  })
  console.log(`\nself time of the broker's functions while it was measured: ${join(directory, file)}`)
  for (const { name, ms, share } of times.slice(0, LINES)) {
    console.log(`  ${(share * 100).toFixed(1).padStart(5)} %  ${ms.toFixed(0).padStart(6)} ms  ${name}`)
  }
}

async function traced(row: Row, build: string, place: SubjectOptions, options: RunOptions, directory: string) {
  if (spawnSync('strace', ['-V'], { stdio: 'ignore' }).status !== 0) {
    console.log('\nsystem calls are not counted: strace is not installed')
    return
  }
  const file = join(directory, 'system-calls.txt')
  writeFileSync(file, '')
  const subject = subjectOf(build, place)
  const { subject: watched, stop } = counted(subject, file)
  const result = await runRow(row, [watched], options)
  await stop()
  await subject.end()
  const requests = (result.figures.get(subject.name)?.requestsPerSecond?.median ?? 0) * options.seconds
  console.log(
    `\nsystem calls, all threads, warm-up included; some ${Math.round(requests)} requests were measured: ${file}`
  )
  console.log('  share    seconds  us/call     calls    errors')
  for (const line of callsOf(readFileSync(file, 'utf8')).slice(0, LINES)) console.log(`  ${line.trimEnd()}`)
}

export async function profile(row: Row, build: string, place: SubjectOptions, options: RunOptions): Promise<void> {
  if (row.live !== undefined) throw new Error(`${row.name} is about whole lives of brokers: it has no profile`)
  mkdirSync(place.directory, { recursive: true })
  const directory = mkdtempSync(join(place.directory, 'moldau-profile-'))
  const once = { ...options, rounds: 1 }
  await profiled(row, build, place, once, directory)
  await traced(row, build, place, { ...once, seconds: Math.min(options.seconds, 3) }, directory)
}
