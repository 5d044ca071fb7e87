// Runs rows on subjects: each row is set up and warmed up on every subject, then measured round by round in turn (A B A B), so
// that what slows the machine down slows all of them. A row that cannot run, or fails, is left out, with the reason.
import { Loader } from './loader.ts'
import type { RowResult } from './report.ts'
import type { Subject } from './subject.ts'
import { type Figures, summaryOf } from './summary.ts'
import { CannotRun, type Measured, type Row, type Scene } from './workload.ts'

export interface RunOptions {
  readonly seconds: number
  readonly rounds: number
  /** Of each row on each subject; three times that where it must compile, and nine times before its first row. */
  readonly warmSeconds: number
  readonly oldBytes: number
  readonly crashBytes: number
  readonly idleSeconds: number
  /** Where data goes. */
  readonly directory: string
  readonly progress: (text: string) => void
}

const VIRTUAL_MACHINE_FACTOR = 3
const COLD_FACTOR = 3

interface Runner {
  readonly subject: Subject
  readonly measure: (seconds: number) => Promise<Measured>
  readonly close: () => Promise<void>
  readonly kill: () => void
}

const warmed = new Set<Subject>()

function liverOf(row: Row, subject: Subject, options: RunOptions): Runner | string {
  const { launch } = subject
  if (launch === null) return subject.isFloor ? '' : 'cannot run: it was not started here'
  const { directory, idleSeconds, crashBytes } = options
  const loader = new Loader(text => options.progress(`${row.name}: ${subject.name}: ${text}`))
  return {
    subject,
    measure: () => loader.live(row.name, { launch, directory, idleSeconds, crashBytes }),
    close: () => loader.close(),
    kill: () => loader.kill()
  }
}

async function runnerOf(row: Row, subject: Subject, options: RunOptions): Promise<Runner | string> {
  if (row.live !== undefined) return liverOf(row, subject, options)
  const place = await subject.place(row)
  if (place === null) return ''
  const loader = new Loader(options.progress)
  const scene: Scene = { ...place, oldBytes: options.oldBytes }
  try {
    await loader.setUp(row.name, scene)
    const again = warmed.has(subject) ? 1 : COLD_FACTOR
    const factor = subject.isVirtualMachine ? VIRTUAL_MACHINE_FACTOR * again : 1
    warmed.add(subject)
    if (row.isWarm !== true) await loader.measure(options.warmSeconds * factor)
    return {
      subject,
      measure: seconds => loader.measure(seconds),
      close: () => loader.close(),
      kill: () => loader.kill()
    }
  } catch (error) {
    loader.kill()
    return reasonOf(error)
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof CannotRun) return `cannot run: ${error.message}`
  return `failed: ${error instanceof Error ? error.message : error}`
}

export async function runRow(row: Row, subjects: readonly Subject[], options: RunOptions): Promise<RowResult> {
  const notes: string[] = []
  const measured = new Map<string, Measured[]>()
  const runners: Runner[] = []
  for (const subject of subjects) {
    options.progress(`${row.name}: ${subject.name} is made ready`)
    const runner = await runnerOf(row, subject, options)
    if (typeof runner !== 'string') runners.push(runner)
    else if (runner !== '') notes.push(`${subject.name} ${runner}`)
  }
  const rounds = Math.min(options.rounds, row.mostRounds ?? options.rounds)
  if (rounds < options.rounds) notes.push(`cut short: ${rounds} of ${options.rounds} rounds`)
  const failed = new Set<Runner>()
  for (let round = 1; round <= rounds; round++) {
    for (const runner of runners.filter(each => !failed.has(each))) {
      const { name } = runner.subject
      options.progress(`${row.name}: round ${round} of ${rounds}, ${name}`)
      try {
        const result = await runner.measure(options.seconds)
        measured.set(name, [...(measured.get(name) ?? []), result])
      } catch (error) {
        failed.add(runner)
        measured.delete(name)
        notes.push(`${name} ${reasonOf(error)}`)
        runner.kill()
      }
    }
  }
  for (const runner of runners.filter(each => !failed.has(each))) {
    await runner.close().catch(error => {
      notes.push(`${runner.subject.name}: what the row made could not be removed: ${(error as Error).message}`)
      runner.kill()
    })
  }
  const figures = new Map<string, Figures>([...measured].map(([name, each]) => [name, summaryOf(each)]))
  return { row, figures, notes }
}
