// The load process: one row on one broker, told what to do over the channel to the process that started it. It alone talks to
// the broker, and reads what the broker has cost at both ends of what it measures.

import { freePort } from '../../clients/free-ports.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { accountsOf, forgetPeaks } from './accounts.ts'
import { Histogram } from './histogram.ts'
import { freshDirectory, type Launch, livesOf } from './launch.ts'
import { ALIASES, ROWS } from './rows.ts'
import { lookAtTurns, turnMs } from './turns.ts'
import { CannotRun, type Measured, type Row, type Scene, type Stage } from './workload.ts'

/** A scene of whole lives, as it can be told over a channel. */
export interface LifeOrder {
  readonly launch: Launch
  readonly directory: string
  readonly idleSeconds: number
  readonly crashBytes: number
}

export type Order =
  | { readonly order: 'live'; readonly row: string; readonly life: LifeOrder }
  | { readonly order: 'set-up'; readonly row: string; readonly scene: Scene }
  | { readonly order: 'measure'; readonly seconds: number }
  | { readonly order: 'close' }

export type Answer =
  | { readonly answer: 'progress'; readonly text: string }
  | { readonly answer: 'done' }
  | { readonly answer: 'measured'; readonly measured: Measured }
  | { readonly answer: 'cannot'; readonly why: string }
  | { readonly answer: 'failed'; readonly why: string }

/** What nobody measured. */
const NOTHING = {
  ...{ p50Ms: Number.NaN, p99Ms: Number.NaN, p999Ms: Number.NaN, maxMs: Number.NaN, cpuSeconds: Number.NaN },
  ...{ loadCpuSeconds: Number.NaN, residentMegabytes: Number.NaN, peakMegabytes: Number.NaN, writtenBytes: Number.NaN }
}

let stage: Stage | null = null
let pids: readonly number[] = []
let metricsUrl: string | undefined

async function measured(seconds: number): Promise<Measured> {
  if (stage === null) throw new Error('nothing is set up')
  const turnsBefore = await lookAtTurns(metricsUrl)
  forgetPeaks(pids)
  const before = accountsOf(pids)
  const ownBefore = process.cpuUsage()
  const { latency, extra = {}, ...outcome } = await stage.measure(seconds)
  const own = process.cpuUsage(ownBefore)
  const after = accountsOf(pids)
  const turns = await lookAtTurns(metricsUrl)
  const ofTurns = {
    turnP99Ms: turnMs(turnsBefore, turns, 0.99),
    turnMaxMs: turnMs(turnsBefore, turns, 1)
  }
  return {
    ...outcome,
    ...(latency ?? new Histogram()).quantiles(),
    extra: { ...ofTurns, ...extra },
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    loadCpuSeconds: (own.user + own.system) / 1e6,
    residentMegabytes: after.residentMegabytes,
    peakMegabytes: after.peakMegabytes,
    writtenBytes: after.writtenBytes - before.writtenBytes
  }
}

async function lived(name: string, { launch, directory, idleSeconds, crashBytes }: LifeOrder): Promise<Measured> {
  const { live } = rowOf(name)
  if (live === undefined) throw new Error(`${name} is no row about lives`)
  const { latency: _, ...outcome } = await live({
    ...{ lives: livesOf(launch), freePort, idleSeconds, crashBytes },
    freshDirectory: () => freshDirectory(directory),
    progress: text => tell({ answer: 'progress', text })
  })
  return { ...outcome, ...NOTHING, extra: outcome.extra ?? {} }
}

function rowOf(name: string): Row {
  const row = ROWS.find(each => each.name === (ALIASES[name] ?? name))
  if (row === undefined) throw new Error(`no row is called ${name}`)
  return row
}

async function obey(order: Order): Promise<Answer> {
  if (order.order === 'live') return { answer: 'measured', measured: await lived(order.row, order.life) }
  if (order.order === 'measure') return { answer: 'measured', measured: await measured(order.seconds) }
  if (order.order === 'close') {
    await stage?.close()
    return { answer: 'done' }
  }
  const { setUp } = rowOf(order.row)
  if (setUp === undefined) throw new Error(`${order.row} is about lives`)
  await prepareCompression()
  pids = order.scene.pids
  metricsUrl = order.scene.metricsUrl
  stage = await setUp(order.scene)
  return { answer: 'done' }
}

function tell(answer: Answer, then: () => void = () => {}): void {
  if (process.send === undefined) throw new Error('this is the load of `npm run bench`: it is not run by hand')
  process.send(answer, then)
}

const fail = (error: unknown) =>
  tell({ answer: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
    process.exit(1)
  )

process.on('uncaughtException', fail)
process.on('disconnect', () => process.exit(1))
process.on('message', order => {
  obey(order as Order).then(
    answer => tell(answer, (order as Order).order === 'close' ? () => process.exit(0) : undefined),
    error => (error instanceof CannotRun ? tell({ answer: 'cannot', why: error.message }) : fail(error))
  )
})
